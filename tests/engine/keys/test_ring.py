"""Keys and their hashes: who is known, until when, and what it takes to find out."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from tests.engine.keys.made import Counted, entropy, terms
from tests.support.mutants import Mutant
from tests.support.planted import a_law_breaks, planted_profile
from understudy.config.faults import BadKey
from understudy.keys import ring, token
from understudy.keys.keys import new_record, next_record
from understudy.keys.token import Hashing, id_of, issue, read_hash
from understudy_actors.domain.errors import InvalidRequest

NAMES: Final = st.sampled_from(["ann", "bob"])


def check_any_order(module: ModuleType) -> None:
    """Raise unless exactly the keys are good that should be, whatever happens to them."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.ring: Any = module.Ring()
            self.kept: dict[str, Any] = {}
            self.wall = 1000.0
            self.entropy = entropy()
            self.until: dict[str, tuple[str, float]] = {}  # key: its name, and until when
            self.revoked: set[str] = set()

        @rule(name=NAMES, lasts_s=st.sampled_from([None, 10.0, 50.0]))
        def create(self, name: str, lasts_s: float | None) -> None:
            expires_at = None if lasts_s is None else self.wall + lasts_s
            living = any(n == name and self.wall < until for n, until in self.until.values())
            key, hashed = issue(self.entropy, Hashing())
            try:
                record = new_record(self.ring, name, terms(), self.wall, expires_at)
            except InvalidRequest:
                assert living
                return
            assert not living
            self.until = {k: v for k, v in self.until.items() if v[0] != name}
            self.ring.put(made(module, replace(record, hashes=(hashed,))))
            self.until[key] = name, float("inf") if expires_at is None else expires_at

        @rule(name=NAMES)
        def revoke(self, name: str) -> None:
            if (record := self.ring.records.get(name)) is not None:
                self.ring.put(replace(record, revoked_at=self.wall))
                for key, (owner, until) in self.until.items():
                    if owner == name:
                        self.until[key] = owner, min(until, self.wall)

        @rule(name=NAMES, grace_s=st.sampled_from([0.0, 5.0, 10.0]))
        def rotate(self, name: str, grace_s: float) -> None:
            record = self.ring.records.get(name)
            if record is None:
                return
            key, hashed = issue(self.entropy, Hashing())
            if record.over(self.wall):
                with pytest.raises(InvalidRequest):
                    next_record(record, hashed, self.wall, grace_s)
                return
            new = module.rotated(record, hashed, self.wall, grace_s)
            self.ring.put(new)
            for old, (owner, until) in self.until.items():
                if owner == name:
                    self.until[old] = owner, min(until, self.wall + grace_s)
            expires_at = record.expires_at
            self.until[key] = name, float("inf") if expires_at is None else expires_at

        @rule(by_s=st.sampled_from([1.0, 5.0, 10.0]))
        def wait(self, by_s: float) -> None:
            self.wall += by_s

        @rule()
        def keep_and_restart(self) -> None:
            self.keep()
            encoded = [msgspec.msgpack.encode(each) for each in self.kept.values()]
            records = [msgspec.msgpack.decode(e, type=module.KeyRecord) for e in encoded]
            self.ring = module.Ring(records)

        @rule()
        def keep(self) -> None:
            if (changes := self.ring.gather(self.wall)) is not None:
                self.kept.update(changes.states)
                self.kept = {k: v for k, v in self.kept.items() if v is not None}

        @invariant()
        def the_good_ones_are_good(self) -> None:
            for key, (name, until) in self.until.items():
                found = self.ring.find(key)
                good = found is not None and module.why_not(*found, self.wall) is None
                assert good == (self.wall < until), (name, until, self.wall)
                if found is not None:
                    assert found[0].name == name
                assert self.ring.find(key[:-1] + ("0" if key[-1] != "0" else "1")) is None
                assert self.ring.find(key + "0") is None
            known = sum(len(each.hashes) for each in self.ring.records.values())
            assert len(self.ring._by_id) == known, "no id is left behind"

    run_state_machine_as_test(
        Machine, settings=settings(deadline=None, max_examples=25, stateful_step_count=20)
    )


def made(module: ModuleType, record: Any) -> Any:
    """A record of a copy of the module."""
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    return module.KeyRecord(**fields)


def check_equal_work(module: ModuleType) -> None:
    """Raise unless every wrong key costs as many hashes and comparisons as every right one."""
    counted = Counted()
    kept = module.Ring(hashing=counted)
    keys = dict[str, str]()
    for name, more in {"a": {}, "b": {"revoked_at": 5.0}, "c": {"expires_at": 5.0}}.items():
        keys[name], hashed = issue(entropy(ord(name)), Hashing())
        record = module.KeyRecord(
            name=name, hashes=(hashed,), terms=terms(), created_at=0.0, **more
        )
        kept.put(record)

    @settings(deadline=None, max_examples=40)
    @given(st.text(max_size=90) | st.sampled_from([*keys.values()]) | _near(keys["a"]))
    def costs_the_same(given_: str) -> None:
        kept.find(given_)
        assert counted.taken() == (1, 1), given_

    costs_the_same()


def _near(key: str) -> st.SearchStrategy[str]:
    """Keys that are wrong in one place, or too short, or too long."""
    places = st.integers(0, len(key) - 1)
    return st.one_of(
        places.map(lambda at: key[:at] + "x" + key[at + 1 :]),
        places.map(lambda at: key[:at]),
        st.text("0f", min_size=1, max_size=9).map(lambda more: key + more),
    )


def check_grace(module: ModuleType) -> None:
    """Raise unless each of several keys is good until the earliest end that it was given."""

    @settings(deadline=None, max_examples=40)
    @given(st.lists(st.sampled_from([0.0, 5.0, 10.0]), min_size=1, max_size=3))
    def holds(graces_s: list[float]) -> None:
        draw, wall, kept = entropy(), 100.0, module.Ring()
        key, hashed = issue(draw, Hashing())
        record = module.KeyRecord(name="a", hashes=(hashed,), terms=terms(), created_at=wall)
        kept.put(record)
        ends = {key: float("inf")}
        for grace_s in graces_s:
            wall += 2.0
            key, hashed = issue(draw, Hashing())
            kept.put(module.rotated(kept.records["a"], hashed, wall, grace_s))
            ends = {old: min(end, wall + grace_s) for old, end in ends.items()}
            ends[key] = float("inf")
        for at in {wall, *(end for end in ends.values() if wall <= end < float("inf"))}:
            for moment in (at, at - 0.5) if at > wall else (at,):
                for key, end in ends.items():
                    found = kept.find(key)
                    good = found is not None and module.why_not(*found, moment) is None
                    assert good == (moment < end)

    holds()


def check_bounds(module: ModuleType) -> None:
    """Raise unless records are bounded, and only those that are over make room."""
    kept = module.Ring(most=3)
    for at, name in enumerate("abc"):
        kept.put(module.KeyRecord(name=name, hashes=(), terms=terms(), created_at=float(at)))
    assert not kept.room(10.0)
    kept.put(replace(kept.records["c"], revoked_at=1.0))
    kept.put(replace(kept.records["b"], expires_at=11.0))
    assert kept.room(10.0)
    assert sorted(kept.records) == ["a", "b"]
    changes = kept.gather(10.0)
    assert changes is not None
    assert changes.states["key/c"] is None, "and the store forgets it"
    assert kept.gather(10.0) is None, "told once"


LAWS: Final = (check_any_order, check_equal_work, check_grace, check_bounds)
PROFILE: Final = planted_profile("planted in keys", max_examples=40)
FAULTS: Final = [
    Mutant(name, ring.__name__, old, new)
    for name, old, new in (
        ("any key of a known id", "return found if right else None", "return found"),
        (
            "unknown ids are told at once",
            "        hashed = NOBODY",
            "        if found is None:\n            return None\n        hashed = NOBODY",
        ),
        (
            "revoked keys are good",
            "if record.revoked_at is not None:\n        return",
            "if 0:\n        return",
        ),
        (
            "expired keys are good",
            "wall >= record.expires_at:\n        return",
            "0:\n        return",
        ),
        ("no time of grace ends", "hashed.until is not None and wall >= hashed.until", "False"),
        ("a moment too long", "wall >= hashed.until:", "wall > hashed.until:"),
        ("grace begins anew", "else min(each.until, until)", "else until"),
        ("no grace at all", "hashes=(new, *living)", "hashes=(new,)"),
        ("old ids stay", "            self._by_id.pop(each.id, None)\n", "            pass\n"),
        ("a store is not told", "        self._change(record.name)\n", ""),
        ("a name is never free again", "or self.revoked_at is not None", "or False"),
        ("living ones make room", "if r.over(wall) and not r.configured]", "]"),
        ("nobody makes room", "            self.remove(each.name)\n", "            pass\n"),
        ("the store keeps what was removed", "self.records.get(name) for name", "1 for name"),
    )
]


@pytest.mark.parametrize("law", LAWS)
def test_keys_keep_the_law(law: Callable[[ModuleType], None]) -> None:
    law(ring)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_planted_fault_is_noticed(fault: Mutant) -> None:
    assert a_law_breaks(LAWS, fault.plant(), PROFILE)


@given(st.integers(0, 2**64))
def test_a_key_is_its_hash_and_the_hash_no_key(seed: int) -> None:
    key, hashed = issue(entropy(seed), Hashing())
    assert (id_of(key), len(key)) == (hashed.id, 3 + 1 + 16 + 1 + 64)
    assert read_hash(str(hashed)) == hashed
    assert hashed.digest == Hashing().digest(hashed.salt, key)
    assert key not in str(hashed)
    assert key.rsplit("-", 1)[1] not in repr(hashed)
    assert not Hashing().same(token.NOBODY.digest, Hashing().digest(token.NOBODY.salt, key))


@given(
    st.lists(
        st.sampled_from(["gpt-*", "openai/*", "small", "*", "a*b", "auto", "[x]?"]), max_size=3
    ),
    st.sampled_from(["gpt-4", "openai/gpt", "small", "smaller", "ab", "aXb", "[x]?", "xy", None]),
)
def test_wildcards_stand_for_any_letters(patterns: list[str], model: str | None) -> None:
    known: dict[str, set[str | None]] = {
        "gpt-*": {"gpt-4"},
        "openai/*": {"openai/gpt"},
        "small": {"small"},
        "a*b": {"ab", "aXb"},
        "auto": {None},
        "[x]?": {"[x]?"},
    }
    wanted = any(each == "*" or model in known[each] for each in patterns)
    assert terms(models=patterns).allows(model) == wanted
    assert terms().allows(model)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"budgets": ["10"]}, "budgets[0]"),
        ({"budgets": ["10/year"]}, "budgets[0].per"),
        ({"budgets": ["10/day", "$5 / day"]}, "names a window twice"),
        ({"parallel": 0}, "parallel"),
        ({"models": ["a b"]}, "models[0]"),
        ({"rpm": 5}, "rpm"),
    ],
)
def test_wrong_terms_are_refused_by_name(written: dict[str, Any], said: str) -> None:
    with pytest.raises(BadKey) as caught:
        terms(**written)
    assert said in str(caught.value)
