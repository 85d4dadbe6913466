"""Identical requests share one call: what is shared, who may leave, and who pays."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings, strategies as st

from tests.engine.house import HANG, Books, Script, house, ordered, tasks
from understudy import (
    AllAttemptsFailed,
    Engine,
    ErrorClass,
    InvalidRequest,
    Request,
    Result,
    ShuttingDown,
    StreamBroken,
    UnderstudyError,
)
from understudy.routing.collapse import copied
from understudy_actors.dispatcher.collapse import collapses, key_of
from understudy_actors.domain import events
from understudy_actors.domain.collapse_events import RequestJoined
from understudy_actors.domain.errors import provider_error
from understudy_actors.runtime.errors import ActorDied, DeadlineExceeded
from understudy_sim.check import check
from understudy_sim.check.collapsing import Shared
from understudy_sim.check.requests import InTime

SAME = Request.chat("hi", temperature=0)
ON = {"collapse": True}
PAID = {"providers": {"a": {"price": {"request": 0.01}}}}


async def ask(engine: Engine, answers: list[Any], request: Request = SAME) -> None:
    """Ask, and note the answer or the error."""
    try:
        answers.append(await engine.route(request))
    except UnderstudyError as error:
        answers.append(error)


async def together(engine: Engine, *requests: Request) -> list[Any]:
    """Ask at once; what came of it, in the order in which it came."""
    answers: list[Any] = []
    async with trio.open_nursery() as nursery:
        for request in requests:
            nursery.start_soon(ask, engine, answers, request)
            await trio.testing.wait_all_tasks_blocked()
    return answers


def lawful(books: Books) -> None:
    """The laws of shared calls hold over all that happened."""
    trace = list(enumerate(books.events, 1))
    assert not check(trace, [Shared, InTime])


async def test_identical_requests_under_way_make_one_call_and_it_is_paid_once() -> None:
    a = Script(1.0)
    async with house({**ordered("a", **PAID), **ON}, a=a) as (engine, books):
        answers = await together(engine, SAME, SAME, SAME)
        assert [each.text for each in answers] == ["late"] * 3
        assert len(a.calls) == 1
        answers.sort(key=lambda each: -each.cost_usd)
        assert [each.cost_usd for each in answers] == [0.01, 0.0, 0.0]
        assert [len(each.attempts) for each in answers] == [1, 0, 0]
        assert len({each.request_id for each in answers}) == 3
        again = await engine.route(SAME)
        assert len(a.calls) == 2, "a call that is over is shared with nobody"
        assert again.cost_usd == 0.01
        booked = [each.cost_usd for each in books.of(events.RequestOutcome)]
        assert sum(usd or 0.0 for usd in booked) == pytest.approx(0.02)
        took_s = [each.elapsed_s for each in books.of(events.RequestOutcome)]
        assert took_s == pytest.approx([1.0] * len(took_s)), "theirs ended when the call did"
        record = engine.explain(answers[1].request_id)
        assert record is not None
        assert [each.endpoint for each in record.attempts] == ["a/function"]
        lawful(books)


async def test_who_came_first_may_leave_and_the_others_are_answered() -> None:
    a = Script(2.0)
    async with house({**ordered("a"), **ON}, a=a) as (engine, books):
        answers: list[Any] = []
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(1.0) as leaving:
                nursery.start_soon(lambda: later(engine, answers))
                await engine.route(SAME)
        assert leaving.cancelled_caught
        assert [each.text for each in answers] == ["late"]
        assert len(a.calls) == 1
        lawful(books)


async def later(engine: Engine, answers: list[Any]) -> None:
    """Come a little later."""
    await trio.sleep(0.5)
    await ask(engine, answers)


async def test_the_last_one_to_leave_ends_the_call_and_nobody_joins_it_any_more() -> None:
    a = Script(HANG, "fresh")
    async with house({**ordered("a"), **ON}, a=a) as (engine, books):
        at_rest = tasks()
        with trio.move_on_after(1.0):
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(engine.route, SAME)
        assert (await engine.route(SAME)).text == "fresh"
        assert books.outcomes() == {"cancelled": 4, "ok": 2}
        assert tasks() == at_rest
        lawful(books)


async def test_nobody_joins_a_call_that_is_being_called_off() -> None:
    calls: list[float] = []

    async def a(request: Request) -> str:
        calls.append(trio.current_time())
        if len(calls) == 1:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(5.0)  # it takes its time to hang up
        return "fresh"

    async with house({**ordered("a"), **ON}, a=a) as (engine, books):
        with trio.move_on_after(1.0):
            await engine.route(SAME)
        assert (await engine.route(SAME)).text == "fresh"
        assert (calls, trio.current_time()) == ([0.0, 1.0], 1.0)
        lawful(books)


async def test_each_is_gone_at_its_own_deadline_and_the_call_lasts_as_long_as_the_latest() -> None:
    hasty = Request.chat("hi", temperature=0, timeout_s=1.0)
    a = Script(3.0)
    async with house({**ordered("a"), **ON}, a=a) as (engine, books):
        first, second = await together(engine, hasty, SAME)
        assert isinstance(first, AllAttemptsFailed)
        assert "shares with others" in str(first)
        assert isinstance(second, Result)
        assert (second.text, trio.current_time(), len(a.calls)) == ("late", 3.0, 1)
        lawful(books)


async def test_a_longer_wait_does_not_stretch_a_providers_own_timeout() -> None:
    hasty = Request.chat("hi", temperature=0, timeout_s=1.0)
    config = {**ordered("a", providers={"a": {"timeout": 2}}), **ON}
    async with house(config, a=Script(HANG)) as (engine, books):
        await together(engine, hasty, SAME)
        (ended,) = books.of(events.AttemptEnded)
        assert (ended.error, ended.elapsed_s) == ("silent", 2.0)
        lawful(books)


async def test_errors_are_shared_and_not_tried_again_for_each() -> None:
    script, calls = Script(ErrorClass.SERVER), Script(1.0)

    async def a(request: Request) -> Any:
        await calls(request)
        return await script(request)

    config = {**ordered("a", retry={"attempts": 0}), **ON}
    async with house(config, a=a) as (engine, books):
        answers = await together(engine, *[SAME] * 3)
        assert len(calls.calls) == 1
        assert {type(each) for each in answers} == {AllAttemptsFailed}
        assert len({id(each) for each in answers}) == 3, "each has an error of its own"
        assert len({each.request_id for each in answers}) == 3
        lawful(books)


ERRORS: list[UnderstudyError] = [
    DeadlineExceeded("dispatcher", 5.0),
    ActorDied("provider/a", 3.0),
    AllAttemptsFailed("all failed", retry_at=3.0, reasons={"a": "open"}),
    StreamBroken("broke", delivered_chars=7),
    provider_error(ErrorClass.RATE_LIMIT, "slow down", provider="a", retry_after_s=2.0),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_copy_of_an_error_says_the_same_whatever_its_constructor_asks_for(
    error: UnderstudyError,
) -> None:
    own = copied(error)
    assert (type(own), str(own), own.args) == (type(error), str(error), error.args)
    assert vars(own) == vars(error)
    own.request_id = "mine"
    assert error.request_id != "mine"


@pytest.mark.parametrize(
    ("request_", "config", "calls"),
    [
        (SAME, {}, 2),
        (Request.chat("hi", collapse=True), {}, 1),
        (Request.chat("hi"), ON, 2),
        (Request.chat("hi", temperature=0, collapse=False), ON, 2),
        (Request.chat("hi", temperature=0.1), ON, 2),
        (Request.custom("chat", object(), collapse=True), {}, 2),
    ],
    ids=[
        "not asked for",
        "asked for",
        "varies",
        "refused",
        "varies a little",
        "cannot be compared",
    ],
)
async def test_it_is_shared_only_where_it_may_be(
    request_: Request, config: dict[str, Any], calls: int
) -> None:
    a = Script(1.0)
    async with house({**ordered("a"), **config}, a=a) as (engine, _):
        await together(engine, request_, request_)
        assert len(a.calls) == calls


async def test_a_wish_that_is_none_is_refused() -> None:
    async with house(ordered("a"), a=Script()) as (engine, _):
        with pytest.raises(InvalidRequest, match="collapse"):
            await engine.route(Request.chat("hi", collapse="yes"))


async def test_closing_the_engine_tells_all_who_wait() -> None:
    answers: list[Any] = []
    async with trio.open_nursery() as nursery:
        config = {**ordered("a"), **ON}
        async with house(config, a=Script(HANG), drain_s=1.0) as (engine, books):
            for _ in range(3):
                nursery.start_soon(ask, engine, answers)
            await trio.sleep(0.5)
            assert len(books.of(RequestJoined)) == 3
    assert [type(each) for each in answers] == [ShuttingDown] * 3


OPTIONS: dict[str, Any] = {
    "model": "m",
    "max_cost_usd": 1.0,
    "max_attempts": 2,
    "strategy": "priority",
    "complexity": "simple",
    "quality_boost": True,
    "capabilities": ("tools",),
    "region": "eu",
    "tags": ("paid",),
    "fallback": False,
    "output_tokens": 7,
    "user": "u",
    "tenant": "t",
    "team": "x",
    "key": "k",
    "labels": ("night",),
    "max_tokens": 5,
    "seed": 3,
    "system": "be brief",
}


@given(st.sets(st.sampled_from(sorted(OPTIONS))), st.sets(st.sampled_from(sorted(OPTIONS))))
def test_requests_are_identical_if_and_only_if_their_answers_could_be(
    one: set[str], other: set[str]
) -> None:
    made = [Request.chat("hi", **{name: OPTIONS[name] for name in each}) for each in (one, other)]
    first = key_of(made[0])
    assert (first == key_of(made[1])) == (one == other)
    named = Request.chat(
        "hi",
        **{name: OPTIONS[name] for name in one},
        id="x",
        timeout_s=9.0,
        priority=2,
        hedge=True,
        collapse=True,
    )
    assert first == key_of(named), "what it is called and how long it may take changes no answer"


@given(st.floats(0, 2) | st.none(), st.booleans() | st.none(), st.booleans())
@settings(deadline=None)
def test_only_steady_answers_are_shared_unasked(
    temperature: float | None, asked: bool | None, default: bool
) -> None:
    request = Request.chat("hi", temperature=temperature, collapse=asked)
    expected = asked if asked is not None else default and temperature == 0
    assert collapses(request, default) is expected
    assert collapses(Request.embed("hi"), default) is default
