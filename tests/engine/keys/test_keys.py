"""Keys of an engine: what was answered holds at once, and outlives the process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given, settings, strategies as st

from tests.engine.keys.made import PRICE, terms
from tests.engine.store.test_restart import House, answering, ask, spent
from tests.support.mutants import Mutant
from understudy import ConfigError, Engine, InvalidRequest, OverBudget, StoreFailed, open_engine
from understudy.gateway.guard import Guard
from understudy.gateway.problem import Refused
from understudy.keys.forms import changing
from understudy.keys.ring import HASHES_MAX
from understudy_actors.domain.errors import OverLimit

TOKENS: Final = 5
COST: Final = 10 * TOKENS


def house(**store: Any) -> House:
    provider = {"concurrency": 4096, "models": [{"name": "m", "price": PRICE}]}
    return House(providers={"p": provider}, store={"path": "simulated", **store})


async def use(engine: Engine, key: str, tokens: int = TOKENS) -> str | None:
    """Ask with a key as a gateway does: whose it was, None if it was refused."""
    guard = Guard(wall=engine.keys.wall)
    guard.ring = engine.keys.ring
    try:
        caller = guard.caller({"x-api-key": key})
    except Refused:
        return None
    assert caller is not None
    await engine.route(caller.marked(ask(tokens)))
    return caller.name


async def test_a_key_that_was_answered_outlives_the_process() -> None:
    home = house()
    async with home.process(kill=True, p=answering(TOKENS)) as engine:
        made = await engine.keys.create("ann", terms(budgets=["0.0001/day"], parallel=2))
        assert await use(engine, made.key.reveal()) == "ann"
        home.disk.kill()
    assert made.key.reveal() not in str(home.disk.saved)
    async with home.process(p=answering(TOKENS)) as engine:
        assert engine.keys.every() == (made.view,)
        with contextlib.suppress(OverBudget):  # what may have been spent is charged
            await use(engine, made.key.reveal())
        assert [str(each.budget) for each in engine.budgets()] == ["key ann, $0.000100 a day"]
        await engine.keys.revoke("ann")
        assert await use(engine, made.key.reveal()) is None
        home.disk.kill()
    async with home.process(p=answering(TOKENS)) as engine:
        assert await use(engine, made.key.reveal()) is None
        assert engine.keys.show("ann").state == "revoked"


async def test_the_first_budget_and_limit_of_an_engine_may_be_a_keys() -> None:
    """With both durabilities: no ledger runs before there is a budget, and then it holds."""
    for durability in ("batched", "strict"):
        home = house(durability=durability)
        async with home.process(p=answering(TOKENS)) as engine:
            assert engine.budgets() == ()
            rich = await engine.keys.create("rich", terms())
            poor = await engine.keys.create("poor", terms(budgets=["0.00012/total"]))
            busy = await engine.keys.create("busy", terms(requests_per_minute=1))
            for _ in range(2):
                assert await use(engine, poor.key.reveal()) == "poor"
            with pytest.raises(OverBudget):
                await use(engine, poor.key.reveal())
            assert await use(engine, busy.key.reveal()) == "busy"
            with pytest.raises(OverLimit):
                await use(engine, busy.key.reveal())
            assert await use(engine, rich.key.reveal()) == "rich"
            assert spent(engine) == [(2 * COST, 2)]
        async with home.process(p=answering(TOKENS)) as engine:
            with pytest.raises(OverBudget):
                await use(engine, poor.key.reveal())
            with pytest.raises(OverLimit):
                await use(engine, busy.key.reveal())


async def test_other_terms_hold_at_once_and_forget_no_money() -> None:
    home = house()
    async with home.process(p=answering(TOKENS)) as engine:
        made = await engine.keys.create("ann", terms(budgets=["0.0001/day"], user="ann"))
        for _ in range(2):
            await use(engine, made.key.reveal())
        with pytest.raises(OverBudget):
            await use(engine, made.key.reveal())
        view = await engine.keys.change("ann", changing({"budgets": ["0.0002/day"]}, 0.0))
        assert view.terms["user"] == "ann", "what is left out stays"
        for _ in range(2):
            await use(engine, made.key.reveal())
        with pytest.raises(OverBudget):
            await use(engine, made.key.reveal())
        await engine.keys.change("ann", changing({"budgets": None}, 0.0))
        await use(engine, made.key.reveal())
        await engine.keys.change("ann", changing({"budgets": ["0.0002/day"]}, 0.0))
        with pytest.raises(OverBudget):
            await use(engine, made.key.reveal())
        await engine.keys.revoke("ann")
        again = await engine.keys.create("ann", terms(budgets=["0.0002/day"]))
        with pytest.raises(OverBudget):
            await use(engine, again.key.reveal())
        assert await use(engine, made.key.reveal()) is None


async def test_a_replaced_key_is_good_for_its_time_of_grace() -> None:
    home = house()
    async with home.process(p=answering(TOKENS)) as engine:
        old = await engine.keys.create("ann", terms())
        new = await engine.keys.rotate("ann", 60.0)
        assert await use(engine, old.key.reveal()) == await use(engine, new.key.reveal()) == "ann"
        assert list(engine.keys.show("ann").older) == [old.view.id]
        await trio.sleep(60)
        assert await use(engine, old.key.reveal()) is None
        assert await use(engine, new.key.reveal()) == "ann"
        for _ in range(HASHES_MAX - 1):
            await engine.keys.rotate("ann", 60.0)
        with pytest.raises(InvalidRequest, match="predecessors of the key ann are still good"):
            await engine.keys.rotate("ann", 60.0)
        last = await engine.keys.rotate("ann", 0.0)
        assert await use(engine, new.key.reveal()) is None
        assert await use(engine, last.key.reveal()) == "ann"


async def test_a_broken_disk_makes_no_key_and_revokes_all_the_same() -> None:
    home = house(interval=0.1)
    async with home.process(p=answering(TOKENS)) as engine:
        ann = await engine.keys.create("ann", terms())
        bob = await engine.keys.create("bob", terms())
        home.disk.broken = "no space left on device"
        with pytest.raises(StoreFailed, match="no key was made"):
            await engine.keys.create("eve", terms())
        with pytest.raises(InvalidRequest):
            engine.keys.show("eve")
        with pytest.raises(StoreFailed, match="the key bob is as it was"):
            await engine.keys.rotate("bob", 0.0)
        assert await use(engine, bob.key.reveal()) == "bob"
        with pytest.raises(StoreFailed, match="is revoked from now on, but the store"):
            await engine.keys.revoke("ann")
        assert await use(engine, ann.key.reveal()) is None
        home.disk.broken = None
        await trio.sleep(30)
        home.disk.kill()
    async with home.process(p=answering(TOKENS)) as engine:
        assert [(e.name, e.state) for e in engine.keys.every()] == [
            ("ann", "revoked"), ("bob", "active")
        ]  # fmt: skip
        assert await use(engine, bob.key.reveal()) == "bob"


async def test_without_a_store_and_without_a_name_it_is_said_what_to_do() -> None:
    async with open_engine({"providers": {"local": {}}, "log": {"level": "off"}}, environ={}) as e:
        with pytest.raises(ConfigError, match=r'add `store = "understudy\.db"`'):
            await e.keys.create(None, terms())
    home = house()
    async with home.process(p=answering(TOKENS)) as engine:
        made = await engine.keys.create(None, terms())
        assert made.view.name == made.view.id
        keys = engine.keys
        for wrong, said in (
            (lambda: keys.create(made.view.name, terms()), "already"),
            (lambda: keys.create("late", terms(), expires_at=1.0), "expired already"),
            (lambda: keys.revoke("nobody"), "there is no key 'nobody'"),
        ):
            with pytest.raises(InvalidRequest, match=said):
                await wrong()


async def test_one_name_is_one_key() -> None:
    home = house()
    async with home.process(p=answering(TOKENS)) as engine:
        await engine.keys.create("ann", terms())
    hashed = "0" * 16 + ":" + "0" * 32 + ":" + "0" * 64
    home.config["gateway"] = {"keys": {"ann": {"key_hash": hashed}}}
    with pytest.raises(ConfigError, match=r"`gateway.keys.ann` is also a key that the store keeps"):
        async with home.process(p=answering(TOKENS)):
            pass
    home.config["gateway"] = {"keys": {"bob": {"key_hash": hashed}}}
    async with home.process(p=answering(TOKENS)) as engine:
        with pytest.raises(InvalidRequest, match=r"stands in the configuration"):
            await engine.keys.revoke("bob")
        with pytest.raises(InvalidRequest, match="already"):
            await engine.keys.create("bob", terms())


@attrs.define
class Known:
    """A key as the test remembers it."""

    name: str
    until: float


STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(["create", "use", "use", "revoke", "rotate", "wait", "restart", "kill"]),
        st.sampled_from(["ann", "bob"]),
        st.sampled_from([0.0, 5.0, 40.0]),
    ),
    max_size=14,
)


@settings(deadline=None, max_examples=15)
@given(STEPS, st.sampled_from(["batched", "strict"]))
def test_any_life_of_keys(steps: list[tuple[str, str, float]], durability: str) -> None:
    """Whatever was answered holds, from then on and in the next process; money is never passed."""
    trio.run(_live, steps, durability, clock=trio.testing.MockClock(autojump_threshold=0))


async def _live(steps: list[tuple[str, str, float]], durability: str) -> None:
    home = house(durability=durability)
    known: dict[str, Known] = {}
    paid = {"ann": 0, "bob": 0}
    limit, killed = 4 * COST, False
    left = [*steps, ("end", "", 0.0)]
    while left:
        async with home.process(p=answering(TOKENS)) as engine:
            keys = engine.keys
            while left:
                what, name, seconds = left.pop(0)
                wall = keys.wall()
                alive = [k for k in known.values() if k.name == name and wall < k.until]
                if what == "create":
                    end = wall + seconds if seconds else None
                    own = terms(budgets=[f"{limit / 1e6}/total"])
                    try:
                        made = await keys.create(name, own, expires_at=end)
                    except InvalidRequest:
                        assert alive
                        continue
                    known = {s: k for s, k in known.items() if k.name != name}
                    known[made.key.reveal()] = Known(name, end or float("inf"))
                elif what == "revoke" and name in keys.ring.records:
                    await keys.revoke(name)
                    for each in alive:
                        each.until = wall
                elif what == "rotate" and alive:
                    end = keys.show(name).expires_at
                    with contextlib.suppress(InvalidRequest):
                        made = await keys.rotate(name, seconds)
                        for each in alive:
                            each.until = min(each.until, wall + seconds)
                        known[made.key.reveal()] = Known(name, end or float("inf"))
                elif what == "wait":
                    await trio.sleep(seconds)
                elif what == "kill":
                    home.disk.kill()
                    killed = True  # what may have been spent is charged, whatever was
                for secret, each in known.items():
                    if what in ("use", "restart"):
                        good = keys.wall() < each.until
                        try:
                            found = await use(engine, secret)
                        except OverBudget:
                            assert good
                            assert paid[each.name] + COST > limit or killed
                            continue
                        assert found == (each.name if good else None)
                        paid[each.name] += COST if good else 0
                assert all(amount <= limit for amount in paid.values()), "a budget was passed"
                if what in ("restart", "kill"):
                    break


FAULTS: Final[list[tuple[Mutant, Callable[[], Any]]]] = [
    (Mutant(name, "understudy.keys.keys", old, new), test)
    for name, old, new, test in (
        (
            "answered before the disk has it",
            "return self.kept is not None and await self.kept()",
            "return True",
            test_a_broken_disk_makes_no_key_and_revokes_all_the_same,
        ),
        (
            "a key that was not written stays",
            "self.ring.remove(record.name) if before is None else self.ring.put(before)",
            "pass",
            test_a_broken_disk_makes_no_key_and_revokes_all_the_same,
        ),
        (
            "a key that was not replaced is",
            "                self.ring.put(record)\n            raise",
            "                pass\n            raise",
            test_a_broken_disk_makes_no_key_and_revokes_all_the_same,
        ),
        (
            "a new key has no limits",
            "        self.scope(record.name, terms)\n",
            "",
            test_the_first_budget_and_limit_of_an_engine_may_be_a_keys,
        ),
        (
            "other terms hold after a restart",
            "        self.scope(name, record.terms)\n",
            "",
            test_other_terms_hold_at_once_and_forget_no_money,
        ),
        (
            "a revoked key is only written as such",
            "            self.ring.put(record)\n        await",
            "            pass\n        await",
            test_a_key_that_was_answered_outlives_the_process,
        ),
        (
            "no end to replacing",
            "if len(new.hashes) > HASHES_MAX:",
            "if False:",
            test_a_replaced_key_is_good_for_its_time_of_grace,
        ),
        (
            "a living name is given away",
            "or not known.over(wall))",
            "or False)",
            test_without_a_store_and_without_a_name_it_is_said_what_to_do,
        ),
    )
]


@pytest.mark.parametrize(("fault", "test"), FAULTS, ids=[str(fault) for fault, _ in FAULTS])
def test_a_planted_fault_is_noticed(
    fault: Mutant, test: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("understudy.keys.opening.Keys", fault.plant().Keys)
    with pytest.raises(BaseException) as noticed:  # noqa: PT011 - whatever shows it
        trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0))
    assert not isinstance(noticed.value, KeyboardInterrupt | LookupError)
