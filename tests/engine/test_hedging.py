"""Hedged requests: when a second copy goes out, who wins, and what becomes of the loser."""

from __future__ import annotations

import contextlib
import contextvars
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings, strategies as st

from tests.engine.house import HANG, Books, Script, house, ordered, tasks
from understudy import (
    AllAttemptsFailed,
    BadRequest,
    Engine,
    ErrorClass,
    Request,
    Result,
    ShuttingDown,
    UnderstudyError,
)
from understudy_actors.domain import events
from understudy_actors.domain.events import AttemptEnded, RequestOutcome
from understudy_actors.domain.hedge_events import HedgeLaunched, HedgeWon

HI = Request.chat("hi")
KNOWN = 20
"""So many quick answers teach what is usual."""
PRICE = {"request": 0.01}
OFF = {"ratio": 0, "trip_after": 10**6, "growth": False}


@asynccontextmanager
async def taught(
    *late: Any,
    config: dict[str, Any] | None = None,
    asked: Request = HI,
    **others: Callable[..., Any],
) -> AsyncIterator[tuple[Engine, Books, Script]]:
    """An engine whose first choice `a` has answered at once 20 times, and then goes on so."""
    a = Script(*["quick"] * KNOWN, *late)
    keys = {"hedge": {"floor": 1.0}, **(config or {})}
    functions: dict[str, Any] = {"a": a, **others}
    async with house(ordered(*functions, **keys), **functions) as (engine, books):
        for _ in range(KNOWN):
            await engine.route(asked)
        yield engine, books, a


async def test_the_second_copy_wins_and_the_first_is_called_off_and_booked() -> None:
    b = Script("second")
    prices = {"providers": {name: {"price": PRICE} for name in ("a", "b")}}
    async with taught(HANG, b=b, config=prices) as (engine, books, _):
        result = await engine.route(HI)
        assert (result.text, result.provider) == ("second", "b")
        assert (trio.current_time(), result.elapsed_s) == (1.0, 1.0)
        first, second = result.attempts
        assert (first.endpoint, first.outcome, first.error) == (
            "a/function",
            "neutral",
            "cancelled",
        )
        assert first.reason == "another copy answered first"
        assert (second.endpoint, second.outcome) == ("b/function", "ok")
        assert (first.cost_usd, second.cost_usd, result.cost_usd) == (0.01, 0.01, 0.02)
        (launched,) = books.of(HedgeLaunched)
        (won,) = books.of(HedgeWon)
        assert (launched.endpoint, launched.after_s) == ("b/function", 1.0)
        assert won.attempt == launched.attempt


async def test_a_race_that_ends_later_than_its_winner_is_told_at_the_later_time() -> None:
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)

    def stand_still(_: int, event: events.Event) -> None:
        if type(event) is AttemptEnded:
            clock.jump(0.5)

    async with taught(0.5) as (engine, books, _):
        engine.listen(stand_still)
        result = await engine.route(HI)
        assert (trio.current_time(), result.elapsed_s) == (1.0, 1.0)
        assert books.of(RequestOutcome)[-1].at_s == 1.0


async def test_the_first_copy_may_still_win() -> None:
    async with taught(1.5, b=Script(HANG)) as (engine, books, _):
        result = await engine.route(HI)
        assert (result.provider, trio.current_time()) == ("a", 1.5)
        assert [each.endpoint for each in result.attempts] == ["b/function", "a/function"]
        assert result.attempts[0].reason == "another copy answered first"
        assert len(books.of(HedgeWon)) == 1


@pytest.mark.parametrize(
    "error", [ErrorClass.SERVER, ErrorClass.CONTENT_POLICY, ErrorClass.RATE_LIMIT]
)
async def test_an_error_or_a_refusal_of_the_second_copy_never_wins(error: ErrorClass) -> None:
    b = Script(error)
    async with taught(5.0, b=b) as (engine, books, _):
        result = await engine.route(HI)
        assert (result.provider, trio.current_time()) == ("a", 5.0)
        assert [each.error for each in result.attempts] == [error.value, None]
        assert len(b.calls) == 1
        assert [each.endpoint for each in books.of(HedgeWon)] == ["a/function"]


async def test_while_anybody_waits_for_a_slot_no_copy_goes_out() -> None:
    only = {"providers": {"a": {"concurrency": 1, "tags": ["x"]}}}
    async with taught(3.0, 0.0, b=Script("second"), config=only) as (engine, books, _):
        answers: list[Result] = []

        async def ask(request: Request) -> None:
            answers.append(await engine.route(request))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, HI)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(ask, Request.chat("hi", tags=("x",)))
        assert [each.provider for each in answers] == ["a", "a"]
        assert trio.current_time() == 3.0
        assert not books.of(HedgeLaunched)


async def test_what_was_retried_at_the_first_copys_target_was_not_at_the_seconds() -> None:
    """The copy fails first of all there: its target may be asked once more."""
    b = Script(ErrorClass.SERVER, "at last")
    once = {"retry": {"attempts": 1, "jitter": "none", "base": 0.1}, "max_attempts": 6}
    timed = {"providers": {"a": {"timeout": 3}}, **once}
    async with taught(ErrorClass.SERVER, HANG, b=b, config=timed) as (engine, books, _):
        result = await engine.route(HI)
        assert (result.text, len(books.of(HedgeLaunched))) == ("at last", 1)
        told = [(each.endpoint[0], each.error) for each in result.attempts]
        assert told == [("a", "server"), ("b", "server"), ("a", "silent"), ("b", None)]


class Late:
    """Fails or answers after a while."""

    def __init__(self, after_s: float, *steps: Any) -> None:
        self.after_s, self.script = after_s, Script(*steps)

    async def __call__(self, request: Request) -> Any:
        await trio.sleep(self.after_s)
        return await self.script(request)


@pytest.mark.parametrize("error", [ErrorClass.SERVER, ErrorClass.CONTENT_POLICY])
async def test_a_failure_of_the_first_copy_leaves_the_race_to_the_second(error: ErrorClass) -> None:
    slow = Late(0.0, *["quick"] * KNOWN, error)
    b, c = Script(4.0), Script("never asked")
    async with house(ordered("a", "b", "c", hedge=True), a=slow, b=b, c=c) as (engine, books):
        for _ in range(KNOWN):
            await engine.route(HI)
        slow.after_s = 2.0
        result = await engine.route(HI)
        assert (result.provider, trio.current_time()) == ("b", 0.25 + 4.0)
        assert [each.error for each in result.attempts] == [error.value, None]
        assert not c.calls
        assert not books.of(events.FailedOver), "the other copy was under way"


async def test_after_both_have_failed_the_request_goes_on_as_after_any_failure() -> None:
    silent = {"a": {"timeout": 3}}
    b, c = Late(1.0, ErrorClass.SERVER), Script("third")
    async with taught(HANG, b=b, c=c, config={"providers": silent}) as (engine, _, _a):
        result = await engine.route(Request.chat("hi", strategy="round_robin"))
        assert result.text == "third"
        assert Counter(each.error for each in result.attempts) == {
            "silent": 1,
            "server": 1,
            None: 1,
        }
        assert result.attempts[-1].endpoint == "c/function"


async def test_what_asking_others_cannot_help_ends_the_request_when_both_have_failed() -> None:
    slow, b = Late(0.0, *["quick"] * KNOWN, ErrorClass.BAD_REQUEST), Late(3.0, ErrorClass.SERVER)
    async with house(ordered("a", "b", hedge=True), a=slow, b=b) as (engine, _):
        for _ in range(KNOWN):
            await engine.route(HI)
        slow.after_s = 1.0
        with pytest.raises(BadRequest) as caught:
            await engine.route(HI)
        assert len(caught.value.attempts) == 2


@pytest.mark.parametrize(
    ("request_", "config"),
    [
        (Request.chat("hi", hedge=False), {}),
        (HI, {"hedge": False}),
        (HI, {"operations": {"chat": {"hedge": False}}}),
        (Request.chat("hi", max_attempts=1), {}),
        (Request.chat("hi", fallback=False), {}),
        (HI, {"providers": {n: {"failure_domain": "cloud"} for n in "ab"}}),
        (HI, {"hedge": {"samples": KNOWN + 1}}),
        (HI, {"hedge": {"share": 0, "burst": 0.5}}),
        (HI, {"retry": {"budget": {"start": 0, "ratio": 0, "per_second": 0}}}),
        (
            Request.chat("hi", max_cost_usd=0.015),
            {"providers": {n: {"price": PRICE} for n in "ab"}},
        ),
    ],
    ids=str,
)
async def test_no_second_copy_goes_out(request_: Request, config: dict[str, Any]) -> None:
    b = Script("second")
    keys = {"hedge": {"floor": 0.5}, **config}
    if "providers" in keys:
        keys["providers"] = {n: {**keys["providers"][n]} for n in "ab"}
    async with taught(0.8, b=b, config=keys) as (engine, books, _):
        result = await engine.route(request_)
        assert result.provider == "a"
        assert not b.calls
        assert not books.of(HedgeLaunched)


async def test_a_request_or_an_operation_may_ask_for_it_where_it_is_off() -> None:
    for asked, config in (
        (Request.chat("hi", hedge=True), {"hedge": False}),
        (HI, {"hedge": False, "operations": {"chat": {"hedge": True}}}),
    ):
        async with taught(HANG, b=Script("second"), config=config) as (engine, _, _a):
            assert (await engine.route(asked)).provider == "b"


async def test_the_wait_is_learned() -> None:
    a = Script(*[2.0] * KNOWN, HANG)
    async with house(ordered("a", "b", hedge=True), a=a, b=Script("second")) as (engine, books):
        for _ in range(KNOWN):
            await engine.route(HI)
        await engine.route(HI)
        assert [e.after_s for e in books.of(HedgeLaunched)] == [pytest.approx(3.0)]


async def test_no_second_copy_follows_a_failure() -> None:
    slow, b = Late(0.0, *["quick"] * KNOWN, ErrorClass.BAD_REQUEST), Script("second")
    async with house(ordered("a", "b", hedge={"floor": 2}), a=slow, b=b) as (engine, books):
        for _ in range(KNOWN):
            await engine.route(HI)
        slow.after_s = 1.0
        with pytest.raises(BadRequest):
            await engine.route(HI)
        await trio.sleep(5.0)
        assert not books.of(HedgeLaunched)


async def test_the_money_for_both_copies_is_set_aside_and_both_are_booked() -> None:
    short = Request.chat("hi", max_tokens=10)
    for limit, copied in ((0.215, False), (0.225, True)):
        keys: dict[str, Any] = {
            "providers": {name: {"price": PRICE} for name in ("a", "b")},
            "budgets": [{"usd": limit, "per": "day"}],
        }
        async with taught(2.0, config=keys, asked=short, b=Script(HANG)) as (engine, books, _):
            assert engine.budgets()[0].spent_usd == pytest.approx(0.2)
            assert (await engine.route(short)).provider == "a"
            assert bool(books.of(HedgeLaunched)) is copied
            (budget,) = engine.budgets()
            assert budget.reserved_usd == 0
            assert budget.spent_usd == pytest.approx(0.22 if copied else 0.21)


async def test_a_copy_goes_to_nobody_for_whom_others_wait() -> None:
    one = {"b": {"concurrency": 1}}
    b = Script(10.0)
    async with taught(HANG, b=b, config={"providers": one}) as (engine, books, _):
        asks_b = Request.chat("hi", model="b/function")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.route, asks_b)
            nursery.start_soon(engine.route, asks_b)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(UnderstudyError):
                await engine.route(Request.chat("hi", timeout_s=5))
        assert not books.of(HedgeLaunched)


async def test_copies_stay_within_both_budgets_while_nobody_answers() -> None:
    """Everybody hangs: the burst, then 5 % of the requests, and never more than so many at once."""
    keys = {
        "hedge": {"floor": 1.0, "share": 0.05, "burst": 4, "concurrent": 3},
        "providers": {name: {"timeout": 4, "concurrency": 256, "breaker": OFF} for name in "ab"},
        "retry": {"budget": {"start": 20}},
    }
    async with taught(HANG, b=Script(HANG), config=keys) as (engine, books, _):
        at_once = most = 0

        async def ask(number: int) -> None:
            await trio.sleep(number * 0.25)
            with pytest.raises(AllAttemptsFailed):
                await engine.route(Request.chat("hi", max_attempts=2))

        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(ask, number)
        copies = {event.attempt for event in books.of(HedgeLaunched)}
        for event in books.events:
            if isinstance(event, HedgeLaunched):
                at_once += 1
                most = max(most, at_once)
            elif isinstance(event, AttemptEnded) and event.attempt in copies:
                at_once -= 1
        assert 4 <= len(copies) <= 4 + 0.05 * 100
        assert most == 3


async def test_leaving_in_the_middle_of_a_race_settles_both_copies() -> None:
    async with taught(HANG, b=Script(HANG)) as (engine, books, _):
        at_rest = tasks()
        with trio.move_on_after(2.0) as leaving:
            await engine.route(HI)
        assert leaving.cancelled_caught
        ended = [e for e in books.of(AttemptEnded) if e.error]
        assert Counter((e.endpoint, e.error, e.verdict) for e in ended) == {
            ("a/function", "cancelled", "neutral"): 1,
            ("b/function", "cancelled", "neutral"): 1,
        }
        assert books.outcomes()["cancelled"] == 1
        assert tasks() == at_rest


async def test_closing_the_engine_ends_a_race() -> None:
    caught: list[Exception] = []
    async with trio.open_nursery() as nursery:

        async def ask(engine: Engine) -> None:
            try:
                await engine.route(HI)
            except ShuttingDown as error:
                caught.append(error)

        config = ordered("a", "b", hedge=True)
        a = Script(*["quick"] * KNOWN, HANG)
        async with house(config, a=a, b=Script(HANG), drain_s=1.0) as (engine, books):
            for _ in range(KNOWN):
                await engine.route(HI)
            nursery.start_soon(ask, engine)
            await trio.sleep(0.5)
            assert len(books.of(HedgeLaunched)) == 1
    assert len(caught) == 1


async def test_no_task_is_spawned_before_a_copy_goes_out() -> None:
    seen: list[int] = []

    async def count(request: Request) -> str:
        seen.append(tasks())
        await trio.sleep(0.5 if len(seen) > KNOWN else 0.0)
        return "ok"

    async with house(ordered("a", "b", hedge={"floor": 1}), a=count, b=Script()) as (engine, _):
        at_rest = tasks()
        for _ in range(KNOWN + 1):
            await engine.route(HI)
        assert set(seen) == {at_rest}


async def test_the_second_copy_runs_in_the_context_of_its_request() -> None:
    whose: contextvars.ContextVar[str] = contextvars.ContextVar("whose")
    heard: list[str] = []

    async def b(request: Request) -> str:
        heard.append(whose.get())
        return "second"

    async with taught(HANG, b=b) as (engine, _, _a):
        whose.set("mine")
        result: Result = await engine.route(HI)
        assert (result.text, heard) == ("second", ["mine"])


EVENLY = st.sampled_from(
    ["ok", ErrorClass.SERVER, ErrorClass.CONTENT_POLICY, ErrorClass.RATE_LIMIT]
)


@given(st.integers(3, 12), EVENLY, st.integers(1, 12), EVENLY)
@settings(max_examples=60, deadline=None)
def test_the_earliest_answer_wins_and_an_error_wins_over_nobody(
    first_s: int, first: Any, second_s: int, second: Any
) -> None:
    """The copy goes out after 2.5 s, so that no two ends fall together."""

    async def main() -> None:
        a, b = Late(0.0, *["quick"] * KNOWN, first), Late(float(second_s), second)
        async with house(ordered("a", "b", hedge={"floor": 2.5}), a=a, b=b) as (engine, books):
            for _ in range(KNOWN):
                await engine.route(HI)
            a.after_s = float(first_s)
            served_by, began = None, trio.current_time()
            with contextlib.suppress(UnderstudyError):
                served_by = (await engine.route(Request.chat("hi", max_attempts=2))).provider
            answers = {}
            if first == "ok":
                answers[float(first_s)] = "a"
            if second == "ok":
                answers[2.5 + second_s] = "b"
            assert len(books.of(HedgeLaunched)) == 1
            if answers:
                at_s = min(answers)
                assert (served_by, trio.current_time() - began) == (answers[at_s], at_s)
            else:
                assert served_by is None
                assert not books.of(HedgeWon)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
