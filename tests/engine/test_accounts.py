"""What the engine counts is what its attempts, its ledger and its results say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import trio
from hypothesis import given, settings, strategies as st

from tests.engine.house import HANG, Books, Script, house, ordered
from tests.engine.streaming.lines import CUT, hear, streaming
from tests.engine.streaming.test_streams import GOOD, after
from tests.engine.test_hedging import taught
from understudy import (
    AllAttemptsFailed,
    Attempt,
    ChatOutput,
    ConfigError,
    Engine,
    ErrorClass,
    InvalidRequest,
    Reply,
    Request,
    Result,
    UnderstudyError,
    Usage,
    open_engine,
)
from understudy.ports import Ports
from understudy_actors.domain.events import AttemptEnded
from understudy_actors.domain.money_events import AccountsClosed, MoneyCharged
from understudy_actors.runtime.ports import Randomness
from understudy_sim.check import check
from understudy_sim.check.accounts import Sums

PRICES = [{"name": "m", "price": {"input": 1.0, "output": 10.0}}]
NOTHING = (0, 0, 0, 0)


def sold(tokens: int) -> Reply:
    """An answer of so many tokens."""
    return Reply(ChatOutput("ok"), Usage(7, tokens))


def priced(*names: str, **keys: Any) -> dict[str, Any]:
    """Functions in this order, whose model has a price."""
    providers = {name: {"models": PRICES, "retry": {"attempts": 0}} for name in names}
    return ordered(*names, providers=providers, **keys)


def told(report: Any) -> tuple[int, int, int, int]:
    """Attempts, successes, those of unknown cost, and micro-USD."""
    return report.attempts, report.successes, report.unknown, round(report.usd * 1e6)


def ended(books: Books) -> tuple[int, int, int, int]:
    """The same, of the trace."""
    made = books.of(AttemptEnded)
    return (
        len(made),
        sum(each.verdict == "ok" for each in made),
        sum(each.cost_usd is None for each in made),
        sum(round((each.cost_usd or 0) * 1e6) for each in made),
    )


@asynccontextmanager
async def counting(
    functions: dict[str, Any], config: dict[str, Any]
) -> AsyncIterator[tuple[Engine, Books]]:
    """An engine whose accounts agree with its trace, and keep their law, in the end."""
    async with house(config, **functions) as (engine, books):
        yield engine, books
        agree(engine, books)
    assert not check(enumerate(books.events, 1), [Sums])
    assert len(books.of(AccountsClosed)) == 1


def agree(engine: Engine, books: Books) -> None:
    """However the accounts are cut, they come to the attempts of the trace."""
    costs = engine.costs()
    assert told(costs) == ended(books)
    cuts = (costs.providers, engine.top("models"), engine.top("users", 1000), engine.usage())
    for reports in cuts:
        assert tuple(map(sum, zip(NOTHING, *map(told, reports), strict=True))) == ended(books)


STEPS = st.sampled_from(
    [
        sold(3),
        sold(0),
        sold(50),
        0.5,
        HANG,
        ErrorClass.SERVER,
        ErrorClass.RESET,
        ErrorClass.RATE_LIMIT,
        ErrorClass.CONTENT_POLICY,
    ]
)
ASKED = st.tuples(st.sampled_from([None, "ann", "bob"]), st.sampled_from([None, 0.3]))


@settings(max_examples=60)
@given(
    st.lists(STEPS, min_size=1, max_size=8),
    st.lists(STEPS, min_size=1, max_size=8),
    st.lists(ASKED, min_size=1, max_size=8),
    st.booleans(),
    st.booleans(),
)
def test_trace_ledger_results_and_accounts_agree(
    first: list[Any], second: list[Any], asked: list[Any], budget: bool, hedge: bool
) -> None:
    config = priced(
        "a",
        "b",
        hedge=hedge,
        degraded={"chat": "sorry"},
        **({"budgets": [{"usd": 0.01}]} if budget else {}),
    )
    attempts: list[Attempt] = []

    async def ask(engine: Engine, user: str | None, patience_s: float | None) -> None:
        request = Request.chat("hi", max_tokens=60, user=user, timeout_s=5.0)
        with trio.move_on_after(patience_s or 1e6):
            try:
                result: Result = await engine.route(request)
                attempts.extend(result.attempts)
            except UnderstudyError as error:
                attempts.extend(error.attempts)

    async def main() -> None:
        functions = {"a": Script(*first), "b": Script(*second)}
        async with counting(functions, config) as (engine, books), trio.open_nursery() as nursery:
            for user, patience_s in asked:
                nursery.start_soon(ask, engine, user, patience_s)
                await trio.sleep(0.1)
        known = [each for each in books.of(MoneyCharged) if each.known]
        assert sum(each.micro_usd for each in known) <= ended(books)[3]
        if all(patience_s is None for _, patience_s in asked):  # nobody left without an answer
            sent = [each for each in attempts if each.outcome != "refused"]
            assert len(sent) == ended(books)[0]
            assert sum(round((each.cost_usd or 0.0) * 1e6) for each in sent) == ended(books)[3]

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_costs_by_provider_and_the_mean_of_a_token() -> None:
    config = priced("a", "b", fallback=True)
    functions = {"a": Script(ErrorClass.SERVER, sold(3)), "b": Script(sold(20))}
    async with counting(functions, config) as (engine, _):
        results = [await engine.route(Request.chat("hi")) for _ in range(2)]
        costs = engine.costs()
        assert [each.provider for each in results] == ["b", "a"]
        assert costs.usd == pytest.approx(sum(each.cost_usd or 0.0 for each in results))
        assert (costs.tokens, costs.input_tokens, costs.output_tokens) == (37, 14, 23)
        assert costs.usd_per_token == pytest.approx((14 + 230) / 37 / 1e6)
        dear, cheap = costs.providers
        assert (dear.provider, dear.attempts, dear.successes, dear.usd) == ("b", 1, 1, 0.000207)
        assert (cheap.provider, cheap.attempts, cheap.successes, cheap.usd) == ("a", 2, 1, 0.000037)


async def test_an_unknown_price_is_counted_and_not_added() -> None:
    async with counting({"a": Script(sold(9))}, ordered("a")) as (engine, _):
        await engine.route(Request.chat("hi"))
        costs = engine.costs()
        assert (costs.unknown, costs.usd, costs.tokens, costs.usd_per_token) == (1, 0.0, 16, None)


async def test_tokens_that_nobody_reported_are_marked_as_estimates() -> None:
    async with counting({"a": Script("fine")}, ordered("a")) as (engine, _):
        result = await engine.route(Request.chat("hi"))
        costs = engine.costs()
        assert costs.estimated_tokens == costs.tokens == result.usage.total_tokens > 0


async def test_a_copy_that_was_called_off_is_counted() -> None:
    prices = {"providers": {name: {"price": {"request": 0.01}} for name in ("a", "b")}}
    async with taught(HANG, b=Script("second"), config=prices) as (engine, books, _):
        await engine.route(Request.chat("hi"))
        agree(engine, books)
        costs = engine.costs()
        assert (costs.attempts, costs.successes) == (22, 21)
        assert costs.usd == pytest.approx(0.22)


async def test_streams_whole_broken_and_left_are_counted() -> None:
    scripts = {"a": [after(4, CUT), GOOD, GOOD], "b": GOOD}
    async with streaming(scripts, {"retry": {"guard": False}}) as (engine, books, _):
        for patience_s in (1e6, 1e6, 0.35):
            with trio.move_on_after(patience_s):
                await hear(engine, Request.chat("hi", max_tokens=100, user="ann"))
        agree(engine, books)
        costs = engine.costs()
        assert (costs.attempts, costs.successes) == (4, 2)
        assert costs.tokens > 60


async def test_a_slow_reader_makes_no_provider_slow() -> None:
    async with streaming({"a": GOOD}) as (engine, _, _):
        async with engine.stream(Request.chat("hi")) as stream:
            async for _ in stream:
                await trio.sleep(10.0)
        (found,) = engine.costs().providers
        assert found.mean_ms is not None
        assert found.mean_ms < 5000


async def test_requests_that_share_a_call_pay_once() -> None:
    async with counting({"a": Script(1.0)}, ordered("a", collapse=True)) as (engine, _):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(engine.route, Request.chat("hi", temperature=0))
        assert engine.costs().attempts == 1


async def test_an_answer_from_the_cache_is_no_attempt() -> None:
    config = priced("a", cache={"ttl": "1h"})
    async with counting({"a": Script(sold(3))}, config) as (engine, _):
        results = [await engine.route(Request.chat("hi", user="ann")) for _ in range(3)]
        assert [each.cached for each in results] == [False, True, True]
        (ann,) = engine.top("users")
        assert (ann.attempts, ann.usd) == (1, results[0].cost_usd)


async def test_configured_fallback_content_is_no_attempt() -> None:
    config = priced("a", degraded={"chat": "sorry"})
    async with counting({"a": Script(ErrorClass.SERVER)}, config) as (engine, _):
        assert (await engine.route(Request.chat("hi"))).degraded
        assert [each.provider for each in engine.costs().providers] == ["a"]


async def test_users_are_told_apart_by_tenant_and_the_dearest_comes_first() -> None:
    async with counting({"a": Script(sold(1), sold(5), sold(2))}, priced("a")) as (engine, _):
        await engine.route(Request.chat("hi", user="ann"))
        await engine.route(Request.chat("hi", user="ann", tenant="acme"))
        await engine.route(Request.chat("hi"))
        users = [(each.user, each.tenant, each.usd) for each in engine.top("users")]
        assert users == [
            ("ann", "acme", 0.000057),
            (None, None, 0.000027),
            ("ann", None, 0.000017),
        ]
        assert len(engine.top("users", 2)) == 2


async def test_who_comes_when_a_day_is_full_is_counted_among_the_others() -> None:
    config = priced("a", accounts={"users": 2})
    async with counting({"a": Script(sold(1))}, config) as (engine, _):
        for name in ("ann", "bob", "cy", "dee", "ann"):
            await engine.route(Request.chat("hi", user=name))
        found = {(each.user, each.others): each.attempts for each in engine.top("users")}
        assert found == {("ann", False): 2, ("bob", False): 1, (None, True): 2}


class Calendar:
    """A clock on virtual time whose wall clock starts where one likes."""

    def __init__(self, start: datetime) -> None:
        self._offset = start.timestamp()

    def now(self) -> float:
        """Seconds on virtual time."""
        return trio.current_time()

    def wall(self) -> float:
        """Unix seconds."""
        return self._offset + trio.current_time()


async def test_an_attempt_is_in_the_local_day_in_which_it_began_as_its_charge_is() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    clock = Calendar(datetime(2026, 6, 30, 23, 59, 30, tzinfo=berlin))
    config = {
        "log": {"level": "off"},
        "time_zone": "Europe/Berlin",
        "budgets": [{"usd": 1.0}],
        **priced("a"),
    }

    async def slow(request: Request) -> Reply:
        await trio.sleep(40)
        return sold(3)

    ports = Ports(clock=clock, randomness=Randomness(1))
    async with open_engine(config, functions={"a": slow}, ports=ports, environ={}) as engine:
        ask = Request.chat("hi", max_tokens=5)
        await engine.route(ask)  # from June into July, in Berlin
        assert engine.budgets()[0].spent_usd == 0
        assert [(e.day, e.attempts) for e in engine.usage(2)] == [
            ("2026-06-30", 1),
            ("2026-07-01", 0),
        ]
        await engine.route(ask)
        assert engine.budgets()[0].spent_usd == 0.000037
        assert [(e.day, e.attempts) for e in engine.usage(2)] == [
            ("2026-06-30", 1),
            ("2026-07-01", 1),
        ]
        costs = engine.costs()
        assert (costs.since, costs.until, costs.time_zone) == (
            "2026-06-30",
            "2026-07-01",
            "Europe/Berlin",
        )
        assert engine.costs(days=1).attempts == 1
        assert datetime.fromtimestamp(clock.wall(), UTC).date().isoformat() == "2026-06-30"


async def test_accounts_may_be_switched_off() -> None:
    async with house({"accounts": False}, a=Script()) as (engine, books):
        await engine.route(Request.chat("hi"))
        with pytest.raises(InvalidRequest, match=r"set `accounts\.enabled` to true"):
            engine.costs()
    assert not books.of(AccountsClosed)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"days": 1}, r"`accounts\.days` is 1: .* from 2 to 3660"),
        ({"users": -1}, r"`accounts\.users` is -1: .* from 0 to 100000"),
        ({"weeks": 1}, "accounts"),
    ],
)
async def test_a_wrong_setting_is_refused_by_its_key(given_: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        async with open_engine({"functions": {"a": Script()}, "accounts": given_}):
            pass


async def test_a_failed_request_is_counted_by_its_attempts() -> None:
    functions = {"a": Script(ErrorClass.RESET), "b": Script(ErrorClass.SERVER)}
    async with counting(functions, priced("a", "b")) as (engine, _):
        with pytest.raises(AllAttemptsFailed):
            await engine.route(Request.chat("hi"))
        assert told(engine.costs()) == (2, 0, 1, 0)  # whoever breaks off may bill
