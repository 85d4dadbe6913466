"""Keys, teams and tags: each attempt counts once for each of them, also in another process."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import given, settings, strategies as st

from tests.properties.test_accounts import CALLS, NOON, sums, told
from tests.support.mutants import Mutant
from tests.support.planted import a_law_breaks, planted_profile
from understudy.accounts import book, keeping, reports
from understudy.accounts.accounts import Accounts
from understudy.zones import IanaZone
from understudy_actors.keeper.batch import Batch
from understudy_sim.disk import SimDisk

DAY_S: Final = 86_400
SCOPES: Final = st.lists(
    st.tuples(
        st.sampled_from(["key", "team", "tag"]), st.sampled_from(["a", "b", "c", "", "x" * 200])
    ),
    unique=True,
    max_size=3,
)
CASES: Final = st.lists(st.tuples(CALLS, SCOPES, st.booleans()), max_size=15)
NAMED_MAX: Final = 2


def check(books: ModuleType, keeper: ModuleType, told_by: ModuleType) -> None:
    """Raise unless what is told is what was counted, whatever was kept and restored meanwhile."""

    @settings(deadline=None, max_examples=60)
    @given(CASES)
    def holds(cases: list[tuple[Any, list[tuple[str, str]], bool]]) -> None:
        disk, zone = SimDisk(), IanaZone("UTC")

        def restarted() -> tuple[Any, Any]:
            made = books.Book(zone, days_max=99, users_max=NAMED_MAX)
            keeper.restore(made, disk.saved.sums)
            return made, keeper.UsageSource(made, lambda: None)

        def keep(source: Any) -> None:
            if (changes := source.gather(0.0)) is not None:
                number = disk.saved.number + 1
                disk.put(Batch(number, 0.0, sums=tuple(changes.sums), before=changes.before))

        own, source = restarted()
        for call, scopes, again in cases:
            wall, idle_s = call.ended, call.idle_s
            own.count(call.attempt, call.usage, call.user, call.tenant, wall, idle_s, tuple(scopes))
            keep(source)
            if again:
                own, source = restarted()
        for kind in ("key", "team", "tag"):
            rest = kind != "tag"
            shares = own.shares(kind, None, None)
            found = told_by.top_spenders(shares, list(own.rows()), 99, rest=rest)
            named: dict[str, list[Any]] = {}
            per_day: dict[Any, list[str]] = {}
            others: list[Any] = []
            for call, scopes, _ in cases:
                for name in (name for k, name in scopes if k == kind):
                    day = per_day.setdefault(call.date("UTC"), [])
                    if name in day or (len(day) < NAMED_MAX and 0 < len(name) < 128):
                        if name not in day:
                            day.append(name)
                        named.setdefault(name, []).append(call)
                    else:
                        others.append(call)
            said = {e.name: told(e) for e in found if not e.others and e.name is not None}
            assert said == {name: sums(calls) for name, calls in named.items()}
            assert [told(e) for e in found if e.others] == ([sums(others)] if others else [])
            assert all(e.name is None for e in found if e.others)
            nobody = [e for e in found if not e.others and e.name is None]
            free = [c for c, scopes, _ in cases if all(k != kind for k, _ in scopes)]
            once = all(sum(k == kind for k, _ in scopes) <= 1 for _, scopes, _ in cases)
            if rest and once:
                assert [told(e) for e in nobody] == ([sums(free)] if free else [])
            assert not nobody or rest
            assert [e.usd for e in found] == sorted((e.usd for e in found), reverse=True)

    holds()


PROFILE: Final = planted_profile("planted in spenders", max_examples=60)
FAULTS: Final = [
    Mutant(name, f"understudy.accounts.{module}", old, new)
    for module, name, old, new in (
        (
            "book",
            "only the first is told",
            "for scope in scopes:\n            share",
            "for scope in scopes[:1]:\n            share",
        ),
        ("book", "all of the row each time", "map(sub, row.numbers(), before)", "row.numbers()"),
        ("book", "any number of names", "day.named[kind] >= self._users_max or", ""),
        (
            "book",
            "kinds share their room",
            "day.named[kind] += not others",
            "day.named['x'] += not others",
        ),
        ("book", "long names", "or not 0 < len(name) <= NAME_MAX", ""),
        (
            "book",
            "grown unnoticed",
            "            if not share.owed:\n                self._owe(share)\n",
            "",
        ),
        (
            "book",
            "room after a restart",
            "            day.named[share.kind] += 1\n",
            "            pass\n",
        ),
        (
            "keeping",
            "the others are somebody",
            "_OTHERS if row.others else _written(row.name)",
            "_written(row.name)",
        ),
        (
            "keeping",
            "taken again",
            "        taken=kept.numbers,\n    )\n\n\ndef _row",
            "    )\n\n\ndef _row",
        ),
        ("keeping", "shares are left", "            shares.append(each)\n", "            pass\n"),
        ("reports", "the others have a name", "name=None if others else name", "name=name"),
        ("reports", "nobody is forgotten", "if left.attempts > 0:", "if False:"),
        ("reports", "tags have a rest", "    if rest:\n", "    if True:\n"),
        (
            "reports",
            "the cheapest key first",
            "(-e[1].micro_usd, -e[1].tokens",
            "(e[1].micro_usd, -e[1].tokens",
        ),
    )
]


def test_what_is_told_is_what_was_counted() -> None:
    check(book, keeping, reports)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_planted_fault_is_noticed(fault: Mutant) -> None:
    planted, place = fault.plant(), fault.module.rpartition(".")[2]
    modules = {"book": book, "keeping": keeping, "reports": reports, place: planted}

    def law(_: ModuleType) -> None:
        check(modules["book"], modules["keeping"], modules["reports"])

    assert a_law_breaks([law], planted, PROFILE)


def test_days_are_days() -> None:
    own = book.Book(IanaZone("UTC"))
    for day in range(3):
        own.count(_call(), None, None, None, NOON + day * DAY_S, 0.0, (("key", "ann"),))
    asked = Accounts(own, lambda: NOON + 2 * DAY_S, "UTC")
    assert [e.attempts for e in asked.top("keys", days=2)] == [2]
    assert [e.attempts for e in asked.top("keys")] == [3]
    assert asked.top("teams")[0].name is None


def _call() -> Any:
    from understudy_actors.domain.result import Attempt

    return Attempt("p", "m", "ok", elapsed_s=1.0, cost_usd=0.5)
