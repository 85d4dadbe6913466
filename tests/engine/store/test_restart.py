"""An engine goes on where an earlier process was stopped, or killed: money, breakers, holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from tests.engine.house import QUIET, Script
from understudy import (
    ChatOutput,
    Engine,
    ErrorClass,
    NoCandidate,
    OverBudget,
    Reply,
    Request,
    StoreFailed,
    UnderstudyError,
    Usage,
    open_engine,
)
from understudy.ports import Ports
from understudy_actors.domain.rates import Sighting, Unit
from understudy_actors.domain.store_events import StoreFailing, StoreWorking
from understudy_actors.runtime.ports import Randomness
from understudy_sim.disk import SimDisk

USD = 1_000_000


class Wall:
    """A clock whose wall can be set, and that begins anew with each process."""

    def __init__(self) -> None:
        self.wall_s = 1_800_000_000.0
        self.began_s = 0.0

    def restart(self) -> None:
        self.began_s = trio.current_time() - 5_000.0  # another process, another beginning

    def now(self) -> float:
        return trio.current_time() - self.began_s

    def wall(self) -> float:
        return self.wall_s + trio.current_time()


class House:
    """Engines that follow each other on one disk."""

    def __init__(self, **config: Any) -> None:
        self.disk = SimDisk()
        self.clock = Wall()
        self.config = config

    @asynccontextmanager
    async def process(self, *, kill: bool = False, **functions: Any) -> AsyncIterator[Engine]:
        """One process; `kill` ends it without a last word."""
        store = self.disk.open()
        opening = open_engine(
            {"store": "simulated", **QUIET, **self.config},
            functions=functions,
            ports=Ports(clock=self.clock, randomness=Randomness(1)),
            store=store,
            environ={},
            drain_s=0.0,
        )
        async with opening as engine:
            yield engine
            if kill:
                self.disk.kill()


PRICE = {"input": 0.0, "output": 10.0}
"""10 micro-USD for each token of an answer."""


def answering(tokens: int, seconds: float = 0.0) -> Any:
    """A provider that answers so many tokens after so many seconds."""

    async def answer(request: Request) -> Reply:
        await trio.sleep(seconds)
        return Reply(ChatOutput("ok"), Usage(0, tokens))

    return answer


def under(*budgets: dict[str, Any], **store: Any) -> House:
    """A house with one provider `p` whose tokens have a price."""
    provider = {"concurrency": 4096, "models": [{"name": "m", "price": PRICE}]}
    return House(
        providers={"p": provider},
        budgets=list(budgets),
        store={"path": "simulated", **store},
    )


def ask(tokens: int = 10, **more: Any) -> Request:
    return Request.chat("hi", max_tokens=tokens, **more)


def spent(engine: Engine) -> list[tuple[int, int]]:
    """Micro-USD spent and charges of each budget."""
    return [(round(each.spent_usd * USD), each.charges) for each in engine.budgets()]


async def test_a_closed_engine_is_charged_what_it_spent_and_nothing_more() -> None:
    house = under({"usd": 1.0}, {"usd": 0.5, "user": "*"})
    async with house.process(p=answering(7)) as engine:
        for _ in range(3):
            await engine.route(ask(user="ann"))
        assert spent(engine) == [(210, 3), (210, 3)]
    async with house.process(p=answering(7)) as engine:
        assert spent(engine) == [(210, 3), (210, 3)]
        await engine.route(ask(user="ann"))
        assert spent(engine) == [(280, 4), (280, 4)]
    assert [each.body["micro_usd"] for each in house.disk.journal] == [70] * 4
    assert [each.seq for each in house.disk.journal] == [1, 2, 3, 4]


async def test_what_runs_when_a_process_is_killed_is_charged_at_its_worst() -> None:
    house = under({"usd": 1.0}, durability="strict")
    async with house.process(kill=True, p=answering(7, 60.0)) as engine, trio.open_nursery() as n:
        n.start_soon(engine.route, ask(100))
        await trio.sleep(1)
        house.disk.kill()
        n.cancel_scope.cancel()
    async with house.process(p=answering(7)) as engine:
        ((micro_usd, charges),) = spent(engine)
        assert 1000 <= micro_usd <= 2000, "its worst case, and what was ahead of need"
        assert charges == 1
    unknown = [each for each in house.disk.journal if each.kind == "unknown"]
    assert [each.body["micro_usd"] for each in unknown] == [micro_usd]


async def test_an_engine_at_rest_that_is_killed_is_charged_nothing_more() -> None:
    house = under({"usd": 1.0}, durability="strict")
    async with house.process(kill=True, p=answering(7)) as engine:
        for _ in range(5):
            await engine.route(ask(100))
        await trio.sleep(5)
    async with house.process(p=answering(7)) as engine:
        assert spent(engine) == [(350, 5)]


@pytest.mark.parametrize("at_s", [0.0, 0.05, 0.3, 1.0, 2.5])
async def test_a_budget_holds_over_any_number_of_killed_processes(at_s: float) -> None:
    house, served = under({"usd": 0.01}, durability="strict"), 0

    async def answer(request: Request) -> Reply:
        nonlocal served
        served += 100  # billed as soon as it arrives, whatever becomes of the process
        await trio.sleep(0.2)
        return Reply(ChatOutput("ok"), Usage(0, 10))

    house.disk.write_s = 0.01
    for _ in range(8):
        async with house.process(kill=True, p=answer) as engine, trio.open_nursery() as nursery:

            async def client(engine: Engine = engine) -> None:
                while True:
                    try:
                        await engine.route(ask(10))
                    except OverBudget:
                        return

            for _ in range(5):
                nursery.start_soon(client)
            await trio.sleep(at_s)
            house.disk.kill()
            nursery.cancel_scope.cancel()
        assert served <= 10_000
    async with house.process(p=answer) as engine:
        ((micro_usd, _),) = spent(engine)
        assert served <= micro_usd <= 10_000


async def test_strict_answers_when_the_charge_is_written_and_not_before() -> None:
    house = under({"usd": 1.0}, durability="strict")
    house.disk.write_s = 2.0
    async with house.process(p=answering(7)) as engine:
        began = trio.current_time()
        await engine.route(ask())
        assert trio.current_time() - began == 4.0, "once before it was sent, once after"
        assert house.disk.journal[-1].body["micro_usd"] == 70
        began = trio.current_time()
        async with engine.stream(ask()) as stream:
            async for _ in stream:
                pass
        assert len(house.disk.journal) == 2
        assert trio.current_time() - began >= 2.0


async def test_batched_never_waits() -> None:
    house = under({"usd": 1.0}, durability="batched")
    house.disk.write_s = 1000.0
    async with house.process(p=answering(7)) as engine:
        began = trio.current_time()
        for _ in range(50):
            await engine.route(ask())
        assert trio.current_time() == began
        house.disk.write_s = 0.0


async def test_batched_loses_at_most_the_interval() -> None:
    house = under({"usd": 1.0}, interval="2s")
    async with house.process(kill=True, p=answering(7)) as engine:
        for _ in range(10):
            await engine.route(ask())
            await trio.sleep(1)
    known = [each for each in house.disk.journal if each.kind == "charge"]
    assert 8 <= len(known) <= 10
    async with house.process(p=answering(7)) as engine:
        assert spent(engine)[0][0] >= 70 * 8


async def test_under_strict_a_broken_disk_stops_what_costs_money_and_says_so_once() -> None:
    house = under({"usd": 1.0}, durability="strict")
    async with house.process(p=answering(7)) as engine:
        heard: list[Any] = []
        engine.listen(lambda _, event: heard.append(event), fine=False)
        await engine.route(ask())
        house.disk.broken = "no space left"
        with pytest.raises(UnderstudyError) as first:
            await engine.route(ask())
        assert "no space left" in str(first.value)
        for _ in range(20):
            with pytest.raises(NoCandidate, match="the store cannot keep what is spent: the simul"):
                await engine.route(ask())
        assert len([e for e in heard if isinstance(e, StoreFailing)]) == 1
        state = engine.status().store
        assert state is not None
        assert "no space left" in (state.failing or "")
        house.disk.broken = None
        await trio.sleep(6)
        await engine.route(ask())
        assert len([e for e in heard if isinstance(e, StoreWorking)]) == 1
        money = spent(engine)
    async with house.process(p=answering(7)) as engine:
        assert spent(engine) == money


async def test_an_answer_whose_charge_cannot_be_written_is_handed_over_with_the_error() -> None:
    house = under({"usd": 1.0}, durability="strict")
    async with house.process(p=answering(7, 10.0)) as engine, trio.open_nursery() as nursery:

        async def break_it() -> None:
            await trio.sleep(5)
            house.disk.broken = "no space left"

        nursery.start_soon(break_it)
        with pytest.raises(StoreFailed, match="the answer is here, in `result`") as caught:
            await engine.route(ask())
        assert caught.value.result.text == "ok"


async def test_an_answer_whose_charge_cannot_be_written_is_not_given_again() -> None:
    house = under({"usd": 1.0}, durability="strict")
    house.config["cache"] = True
    async with house.process(p=answering(7, 10.0)) as engine, trio.open_nursery() as nursery:

        async def break_it() -> None:
            await trio.sleep(5)
            house.disk.broken = "no space left"

        nursery.start_soon(break_it)
        with pytest.raises(StoreFailed) as caught:
            await engine.route(ask())
        assert caught.value.result.text == "ok"
        stats = engine.cache_stats()
        assert stats is not None
        assert (stats.misses, stats.stored) == (1, 0)


async def test_under_batched_a_broken_disk_stops_nobody_and_is_caught_up_with() -> None:
    house = under({"usd": 1.0})
    async with house.process(p=answering(7)) as engine:
        house.disk.broken = "no space left"
        for _ in range(30):
            await engine.route(ask())
            await trio.sleep(1)
        assert house.disk.writes == 0
        house.disk.broken = None
        await trio.sleep(30)
        assert len(house.disk.journal) == 30
        assert house.disk.writes <= 4, "one for what was on its way, one for all the rest"
    async with house.process(p=answering(7)) as engine:
        assert spent(engine) == [(2100, 30)]


async def test_a_write_that_took_effect_unheard_counts_once() -> None:
    house = under({"usd": 1.0})
    async with house.process(p=answering(7)) as engine:
        house.disk.unsure = True
        for _ in range(10):
            await engine.route(ask())
            await trio.sleep(1)
        house.disk.unsure = False
        await trio.sleep(30)
    assert [each.seq for each in house.disk.journal] == [*range(1, 11)]
    async with house.process(p=answering(7)) as engine:
        assert spent(engine) == [(700, 10)]


async def test_a_frozen_budget_stays_frozen_until_thawed() -> None:
    house = under({"usd": 1.0})
    async with house.process(p=answering(900)) as engine:
        await engine.route(ask(10))
        assert engine.budgets()[0].frozen
    async with house.process(p=answering(7)) as engine:
        assert engine.budgets()[0].frozen
        with pytest.raises(OverBudget):
            await engine.route(ask(10))
        engine.thaw()
    async with house.process(p=answering(7)) as engine:
        await engine.route(ask(10))


async def test_a_new_window_begins_where_it_would_have() -> None:
    house = under({"usd": 0.001, "per": "day"}, {"usd": 1.0, "per": "total"})
    async with house.process(p=answering(100)) as engine:
        await engine.route(ask(100))
    house.clock.wall_s += 86_400
    async with house.process(p=answering(100)) as engine:
        assert spent(engine) == [(0, 0), (1000, 1)]


async def test_a_changed_limit_counts_and_what_was_spent_stays() -> None:
    house = under({"usd": 1.0})
    async with house.process(p=answering(7)) as engine:
        await engine.route(ask(10))
    house.config["budgets"] = [{"usd": 0.0001}]
    async with house.process(p=answering(7)) as engine:
        (budget,) = engine.budgets()
        assert (budget.limit_usd, budget.left_usd) == (0.0001, 0.00003)
    house.config["budgets"] = []
    async with house.process(p=answering(7)) as engine:
        await engine.route(ask(10))
    house.config["budgets"] = [{"usd": 1.0}]
    async with house.process(p=answering(7)) as engine:
        assert spent(engine) == [(70, 1)], "a budget that is put back goes on"


def of(engine: Engine, provider: str = "p") -> Any:
    return next(each for each in engine.health() if each.provider == provider)


@pytest.mark.parametrize("kill", [False, True])
async def test_an_open_breaker_stays_open_as_long_as_it_would_have(kill: bool) -> None:
    house = House(breaker={"trip_after": 3, "cooldown": "60s"})
    async with house.process(kill=kill, p=Script(ErrorClass.SERVER)) as engine:
        for _ in range(3):
            with pytest.raises(UnderstudyError):
                await engine.route(ask(max_attempts=1))
        assert of(engine).breaker == "open"
        await trio.sleep(20)
        assert 39 <= of(engine).retry_in_s <= 40
    house.clock.restart()
    await trio.sleep(10)
    async with house.process(p=Script()) as engine:
        assert of(engine).breaker == "open"
        assert 29 <= of(engine).retry_in_s <= 30
        with pytest.raises(NoCandidate):
            await engine.route(ask())
        await trio.sleep(30)
        await engine.route(ask())
        assert of(engine).breaker == "closed"


@pytest.mark.parametrize(("jump_s", "left_s"), [(-7200.0, 40.0), (0.0, 40.0), (10.0, 30.0)])
async def test_a_wall_clock_that_was_set_back_lengthens_nothing(
    jump_s: float, left_s: float
) -> None:
    house = House(breaker={"trip_after": 3, "cooldown": "60s"})
    async with house.process(p=Script(ErrorClass.SERVER)) as engine:
        for _ in range(3):
            with pytest.raises(UnderstudyError):
                await engine.route(ask(max_attempts=1))
        await trio.sleep(20)
        engine.hold("p", seconds=40)
    house.clock.restart()
    house.clock.wall_s += jump_s
    async with house.process(p=Script()) as engine:
        assert of(engine).retry_in_s == pytest.approx(left_s, abs=0.5)


async def test_a_breaker_of_hand_and_holds_survive() -> None:
    house = House(providers={"q": {"models": ["m"]}, "r": {"models": ["m"]}})
    scripts: dict[str, Any] = {"p": Script(), "q": Script(), "r": Script()}
    async with house.process(**scripts) as engine:
        engine.isolate("p")
        engine.disable("q")
        engine.hold("r")
    house.clock.restart()
    async with house.process(**scripts) as engine:
        assert [of(engine, each).breaker for each in "pqr"] == ["isolated", "disabled", "closed"]
        assert of(engine, "r").hold == "held by hand"
        engine.release("r")
        engine.enable("p")
    async with house.process(**scripts) as engine:
        assert [of(engine, each).breaker for each in "pqr"] == ["closed", "disabled", "closed"]
        assert of(engine, "r").hold is None


async def test_scores_and_counts_go_on() -> None:
    house = House()
    async with house.process(p=Script(2.0)) as engine:
        for _ in range(4):
            await engine.route(ask())
    house.clock.restart()
    async with house.process(p=Script(2.0)) as engine:
        assert (of(engine).total_requests, of(engine).response_ms) == (4, 2000.0)


async def test_requests_a_minute_count_over_a_restart() -> None:
    house = House(providers={"p": {"requests_per_minute": 5}})
    async with house.process(p=Script()) as engine:
        for _ in range(5):
            await engine.route(ask())
            await trio.sleep(6)
    house.clock.restart()
    async with house.process(p=Script()) as engine:
        with pytest.raises(NoCandidate):
            await engine.route(ask(timeout_s=1))
        await trio.sleep(62)
        await engine.route(ask())


async def test_a_limit_that_was_learned_is_known_after_a_restart() -> None:
    async def saying(request: Request) -> Reply:
        seen = Sighting(Unit.REQUESTS, 10, 2)
        return Reply(ChatOutput("ok"), Usage(0, 1), limits=(seen,))

    house = House(providers={"p": {}})
    async with house.process(p=saying) as engine:
        for _ in range(2):
            await engine.route(ask())
    house.clock.restart()
    async with house.process(p=Script()) as engine:
        with pytest.raises(NoCandidate, match="rate limited"):
            for _ in range(3):
                await engine.route(ask(timeout_s=1))
        await trio.sleep(62)
        await engine.route(ask())


async def test_minutes_of_whoever_asks_count_over_a_restart() -> None:
    house = House(limits=[{"user": "*", "requests_per_minute": 6}])
    served = 0
    async with house.process(p=Script()) as engine:
        for _ in range(100):
            try:
                await engine.route(ask(user="ann"))
                served += 1
            except UnderstudyError:
                pass
            await trio.sleep(0.3)
    assert served == 6
    house.clock.restart()
    async with house.process(p=Script()) as engine:
        with pytest.raises(UnderstudyError):
            await engine.route(ask(user="ann"))
        await engine.route(ask(user="bob"))
        await trio.sleep(62)
        await engine.route(ask(user="ann"))


async def test_new_models_start_fresh_and_those_left_out_are_remembered_for_a_while() -> None:
    house = House(providers={"q": {"models": ["m"]}}, store={"path": "s", "retention": "30d"})
    async with house.process(p=Script(), q=Script()) as engine:
        engine.isolate("q")
    house.config["providers"] = {"p": {"models": ["new"]}}
    async with house.process(p=Script()) as engine:
        assert of(engine).breaker == "closed"
    assert "provider/q" in house.disk.saved.states
    house.clock.wall_s += 29 * 86_400
    async with house.process(p=Script()):
        await trio.sleep(1)
    assert "provider/q" in house.disk.saved.states
    house.clock.wall_s += 2 * 86_400
    async with house.process(p=Script()):
        await trio.sleep(1)
    assert "provider/q" not in house.disk.saved.states
    house.clock.wall_s += 40 * 86_400
    async with house.process(p=Script()):
        await trio.sleep(1)
    assert "provider/p" in house.disk.saved.states, "it lives, however old what is known of it"


async def test_what_cannot_be_read_is_not_spent_on() -> None:
    house = under({"usd": 1.0})
    async with house.process(p=answering(7)) as engine:
        await engine.route(ask())
    key = next(each for each in house.disk.saved.states if each.startswith("account/"))
    house.disk.saved.states[key] = b"torn"
    with pytest.raises(StoreFailed, match=f"holds a state '{key}' that cannot be read"):
        async with house.process(p=answering(7)):
            pass


async def test_a_keeper_that_crashes_loses_nothing() -> None:
    house = under({"usd": 1.0}, durability="strict")
    async with house.process(p=answering(7, 0.01)) as engine:
        keeping = engine._parts.keeping
        assert keeping is not None
        for at in range(20):
            if at % 7 == 3:
                keeping.keeper.tell(object())
            await engine.route(ask())
    async with house.process(p=answering(7)) as engine:
        assert spent(engine) == [(1400, 20)]


async def test_a_ledger_that_is_down_is_asked_again() -> None:
    house = under({"usd": 1.0}, interval="10ms")
    async with house.process(p=answering(7)) as engine:
        keeping = engine._parts.keeping
        assert keeping is not None
        await engine.route(ask())
        assert keeping.money.ledger is not None
        keeping.money.ledger.tell(object())  # it is down for a moment, at the very time
        await trio.sleep(5)
        assert len(house.disk.journal) == 1


async def test_status_tells_of_the_store_and_an_engine_without_one_has_none() -> None:
    house = under({"usd": 1.0})
    async with house.process(p=answering(7)) as engine:
        await engine.route(ask())
        await trio.sleep(3)
        store = engine.status().store
        assert store is not None
        assert (store.durability, store.failing, store.behind_s) == ("batched", None, 0.0)
        assert store.batches >= 1
    async with open_engine(QUIET, functions={"p": Script()}, environ={}) as engine:
        assert engine.status().store is None
