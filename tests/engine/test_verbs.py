"""The verbs beside `route`: own calls, reports, work by hand, and what can be looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import pytest
import trio

from tests.engine.house import HANG, Script, Wire, failing, house, ordered
from understudy import (
    AllAttemptsFailed,
    Choice,
    ErrorClass,
    InvalidRequest,
    NoCandidate,
    Request,
    ServerFailed,
)
from understudy.listening import EventStream
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain import events
from understudy_actors.domain.request import CustomInput
from understudy_actors.runtime.trace import Trace

HI = Request.chat("hi")


# with_fallback


async def test_the_callers_own_function_runs_until_one_candidate_succeeds() -> None:
    seen: list[Choice] = []

    def call(choice: Choice, question: str, *, loud: bool) -> str:
        seen.append(choice)
        if choice.provider == "a":
            raise ServerFailed("it broke")
        return f"{question} {loud} by {choice.name}"

    own = {"a": {"price": {"input": 1}}}
    config = {**ordered("a", "b", providers=own), "strategy": "round_robin"}
    async with house(config, a=Script(), b=Script()) as (engine, books):
        result, provider, attempts = await engine.with_fallback("chat", call, "what", loud=True)
        assert (result, provider) == ("what True by b/function", "b")
        assert [(each.provider, each.error) for each in attempts] == [("a", "server"), ("b", None)]
        assert [each.why for each in seen] == ["round_robin", "round_robin"]
        assert (seen[0].priority, seen[0].operations) == (1, ("chat",))
        assert seen[1].estimated_cost_usd is None
        assert books.outcomes() == {"ok": 1}
        assert engine.health()[0].failures == 1


@pytest.mark.parametrize(
    ("raised", "error", "verdict"),
    [
        (TimeoutError("slow"), "silent", "neutral"),
        (ConnectionRefusedError(), "connect", "failed"),
        (ConnectionResetError(), "reset", "failed"),
        (failing(ErrorClass.RATE_LIMIT, retry_after_s=9), "rate_limit", "throttled"),
        (ValueError("secret words"), "adapter", "failed"),
    ],
)
async def test_what_the_callers_function_raises_is_classified(
    raised: Exception, error: str, verdict: str
) -> None:
    async def call(choice: Choice) -> None:
        await trio.lowlevel.checkpoint()
        raise raised

    config = ordered("a", retry={"attempts": 0})
    async with house(config, a=Script()) as (engine, _):
        with pytest.raises(AllAttemptsFailed) as caught:
            await engine.with_fallback("chat", call)
        assert [(a.error, a.outcome) for a in caught.value.attempts] == [(error, verdict)]
        assert "secret words" not in str(caught.value) + repr(caught.value.attempts)


async def test_the_callers_function_is_held_to_the_deadline() -> None:
    async def call(choice: Choice) -> None:
        await trio.sleep_forever()

    async with house(ordered("a", deadline=5), a=Script()) as (engine, _):
        with pytest.raises(AllAttemptsFailed):
            await engine.with_fallback("chat", call)
        assert trio.current_time() == 5.0


async def test_an_operation_of_ones_own_reaches_ones_own_function() -> None:
    async def translate(request: Request) -> Any:
        return request.input

    config = ordered("a", providers={"a": {"operations": ["translate"]}})
    async with house(config, a=translate) as (engine, _):
        result = await engine.route(Request.custom("translate", "hello", kwargs={"to": "fr"}))
        assert result.output == CustomInput(("hello",), {"to": "fr"})


# select and report


async def test_reports_of_own_calls_feed_health_and_breaker() -> None:
    config = {**ordered("a", "b"), "breaker": {"trip_after": 3, "cooldown": "10s"}}
    a, b = Script(), Script()
    async with house(config, a=a, b=b) as (engine, _):
        assert engine.select("chat").name == "a/function"
        engine.report_success("a", elapsed_s=0.2)
        for _ in range(3):
            assert engine.select("chat").provider == "a"
            engine.report_failure("a", "function", error="timeout", elapsed_s=0.5)
        choice = engine.select(HI)
        assert (choice.provider, choice.why) == ("b", "priority")
        health = engine.health()[0]
        assert (health.breaker, health.failures, health.total_requests) == ("open", 3, 4)
        assert health.consecutive_failures == 3
        assert health.response_ms == pytest.approx(200)
        assert (await engine.route(HI)).provider == "b"
        assert not a.calls


async def test_a_reported_rate_limit_holds_as_long_as_it_says() -> None:
    async with house(ordered("a"), a=Script()) as (engine, _):
        engine.report_failure("a", error=ErrorClass.RATE_LIMIT, retry_after_s=20)
        with pytest.raises(NoCandidate) as caught:
            engine.select("chat")
        assert caught.value.retry_at is not None
        assert caught.value.retry_at >= 20.0
        await trio.sleep_until(caught.value.retry_at)
        assert engine.select("chat").provider == "a"


async def test_a_reported_success_closes_a_half_open_breaker() -> None:
    config = ordered("a", breaker={"trip_after": 1, "cooldown": 5, "close_after": 1})
    async with house(config, a=Script()) as (engine, _):
        engine.report_failure("a")
        await trio.sleep(20)
        assert engine.health()[0].breaker == "half-open"
        engine.report_success("a")
        assert engine.health()[0].breaker == "closed"


# By hand


async def test_hold_release_isolate_disable_enable_and_reset_do_what_they_say() -> None:
    config = {**ordered("a"), "breaker": {"trip_after": 1, "cooldown": "60s"}}
    a = Script("yes", ErrorClass.SERVER)
    async with house(config, a=a) as (engine, _):

        def state() -> tuple[bool, str, str | None]:
            health = engine.health()[0]
            return health.healthy, health.breaker, health.hold

        engine.hold("a")
        assert state() == (False, "closed", "held by hand")
        assert engine.health()[0].retry_in_s is None
        engine.release("a")
        engine.hold("a/function", seconds=5)
        assert engine.health()[0].retry_in_s == pytest.approx(5)
        await trio.sleep(5)
        assert state() == (True, "closed", None)
        engine.isolate("a")
        assert state() == (False, "isolated", None)
        engine.enable("a")
        assert (await engine.route(HI)).text == "yes"
        engine.disable("a/function")
        for _ in range(3):
            with pytest.raises(AllAttemptsFailed):
                await engine.route(Request.chat("hi", max_attempts=1))
        assert state() == (True, "disabled", None)
        engine.enable("a")
        with pytest.raises(AllAttemptsFailed):
            await engine.route(Request.chat("hi", max_attempts=1))
        assert state()[:2] == (False, "open")
        engine.reset("a")
        assert state() == (True, "closed", None)
        assert engine.health()[0].total_requests == 0
        engine.hold("a")
        engine.reset()
        assert state() == (True, "closed", None)


@pytest.mark.parametrize("verb", ["hold", "release", "reset", "isolate", "disable", "enable"])
async def test_an_unknown_name_is_refused_with_the_known_ones(verb: str) -> None:
    async with house(ordered("a"), a=Script()) as (engine, _):
        with pytest.raises(InvalidRequest, match="use one of a, a/function"):
            getattr(engine, verb)("b")
        with pytest.raises(InvalidRequest, match="a/function"):
            engine.report_success("a", "other")
        with pytest.raises(InvalidRequest):
            await engine.test_provider("b")


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0, "5"])
async def test_what_is_no_length_of_time_is_refused(seconds: Any) -> None:
    async with house(ordered("a"), a=Script()) as (engine, books):
        acts: list[Callable[[], None]] = [
            lambda: engine.hold("a", seconds=seconds),
            lambda: engine.hold("a", seconds=0),
            lambda: engine.report_success("a", elapsed_s=seconds),
            lambda: engine.report_failure("a", elapsed_s=seconds),
            lambda: engine.report_failure("a", error="rate_limit", retry_after_s=seconds),
        ]
        for act in acts:
            with pytest.raises(InvalidRequest, match="number of seconds"):
                act()
        assert not books.of(events.ActorCrashed)
        assert (await engine.route(HI)).text == "fine"


# Status, events


async def test_the_status_document_has_every_field_and_iso_times() -> None:
    config = {**ordered("a", "b"), "strategy": "round_robin"}
    async with house(config, a=Script(ErrorClass.SERVER), b=Script(0.25)) as (engine, _):
        await engine.route(HI)
        status = msgspec.json.decode(msgspec.json.encode(engine.status()))
        assert {k: status[k] for k in ("health", "healthy", "total", "fallback_available")} == {
            "health": "healthy",
            "healthy": 2,
            "total": 2,
            "fallback_available": True,
        }
        assert (status["running"], status["waiting"], status["attempts"]) == (0, 0, 2)
        a, b = status["providers"]
        assert (a["failure_rate"], a["failures"], a["consecutive_failures"]) == (1.0, 1, 1)
        assert a["success_rate"] < 1.0
        assert (a["last_success"], b["last_failure"], a["last_check"]) == (None, None, None)
        assert (b["response_ms"], b["success_rate"], b["total_requests"]) == (250.0, 1.0, 1)
        for told in (a["last_failure"], b["last_success"]):
            assert datetime.fromisoformat(told).utcoffset() is not None
        engine.hold("b")
        assert engine.status().health == "degraded"
        engine.isolate("a")
        assert engine.status().health == "unhealthy"
        assert not engine.status().fallback_available


async def test_refused_attempts_are_not_counted_as_attempts() -> None:
    """An actor that is down refuses what the dispatcher still counts on."""
    async with house(ordered("a", "b"), a=Script(), b=Script()) as (engine, books):
        engine._parts.providers["a"].tell("poison")
        assert (await engine.route(HI)).provider == "b"
        assert len(books.of(events.AttemptRefused)) == 1
        assert engine.status().attempts == len(books.of(events.AttemptAdmitted)) == 1


async def test_events_arrive_complete_and_in_order() -> None:
    config = ordered("a", "b")
    async with house(config, a=Script(ErrorClass.SERVER), b=Script()) as (engine, books):
        del books.events[:]
        with engine.events() as stream, engine.events(fine=False) as coarse:
            await engine.route(HI)
            await engine.route(HI)
        assert [event async for event in stream] == books.events
        kinds = {type(event) for event in books.events}
        rare = [event async for event in coarse]
        assert events.SlotTaken in kinds
        assert rare == [e for e in books.events if e in rare]
        assert {events.RequestOutcome, events.FailedOver} <= {type(e) for e in rare}
        assert not {events.SlotTaken, events.Decided} & {type(e) for e in rare}
        assert (stream.dropped, coarse.dropped) == (0, 0)


async def test_a_slow_reader_loses_the_oldest_events_and_knows_how_many() -> None:
    trace = Trace()
    stream = EventStream(trace, fine=True, kept_max=3)
    for at in range(10):
        trace.emit(events.ActorStopped(at_s=float(at), actor="x"))
    stream.close()
    assert [event.at_s async for event in stream] == [7.0, 8.0, 9.0]
    assert stream.dropped == 7
    assert not trace.on


async def test_several_readers_of_one_stream_all_come_to_an_end() -> None:
    trace = Trace()
    stream = EventStream(trace, fine=True)
    got: list[float] = []

    async def read() -> None:
        got.extend([event.at_s async for event in stream])

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(read)
        for at in range(20):
            await trio.testing.wait_all_tasks_blocked()
            trace.emit(events.ActorStopped(at_s=float(at), actor="x"))
        await trio.testing.wait_all_tasks_blocked()
        stream.close()
    assert sorted(got) == [float(at) for at in range(20)]


async def test_requests_beyond_the_last_ones_are_forgotten() -> None:
    async with house(ordered("a"), a=Script()) as (engine, _):
        ids = [(await engine.route(HI)).request_id for _ in range(2010)]
        assert [engine.explain(each) is None for each in ids] == [True] * 10 + [False] * 2000


# test_provider


async def test_a_test_call_asks_every_model_once_and_counts_for_nobody() -> None:
    config = ordered("a", providers={"a": {"models": ["m", "n"], "timeout": 4}})
    async with house(config, a=Script("ok", ErrorClass.AUTH)) as (engine, _):
        engine.hold("a")
        good, bad = await engine.test_provider("a")
        assert (good.ok, good.answer, good.model) == (True, "ok", "m")
        assert (bad.ok, bad.error, bad.model) == (False, "auth", "n")
        assert engine.health()[0].total_requests == 0
    async with house(config, a=Script(HANG)) as (engine, _):
        (report,) = await engine.test_provider("a/m", timeout_s=1.5)
        assert (report.ok, report.error, report.elapsed_s) == (False, "silent", 1.5)


async def test_health_checks_find_a_provider_that_is_down_and_that_is_back() -> None:
    alive = [False]

    def answer(provider: str, request: HttpRequest) -> HttpResponse:
        return HttpResponse(200 if alive[0] else 503, {}, b'{"data":[]}')

    provider = {
        "kind": "openai-compatible",
        "base_url": "http://test/v1",
        "models": ["m"],
        "health_check": {"interval": "10s"},
        "breaker": {"trip_after": 3, "cooldown": "5s"},
    }
    async with house({"providers": {"p": provider}}, transport=Wire(answer)) as (engine, books):
        await trio.sleep(35)
        health = engine.health()[0]
        assert (health.breaker, health.last_check_ok) == ("open", False)
        assert health.last_check is not None
        alive[0] = True
        await trio.sleep(60)
        health = engine.health()[0]
        assert (health.healthy, health.breaker, health.last_check_ok) == (True, "closed", True)
        assert [e.ok for e in books.of(events.HealthChecked)][:4] == [False, False, False, True]


async def test_a_disabled_provider_is_left_alone_by_health_checks() -> None:
    asked: list[str] = []

    def answer(provider: str, request: HttpRequest) -> HttpResponse:
        asked.append(provider)
        return HttpResponse(200, {}, b'{"data":[]}')

    provider = {
        "kind": "openai-compatible",
        "base_url": "http://test/v1",
        "models": ["m"],
        "health_check": {"interval": "10s"},
    }
    config = {"providers": {"used": provider, "unused": {**provider, "enabled": False}}}
    async with house(config, transport=Wire(answer)) as (engine, books):
        await engine.check()
        assert asked == ["used"]
        await trio.sleep(35)
        assert asked == ["used"] * 4
        assert {each.provider for each in books.of(events.HealthChecked)} == {"used"}
        assert [each.last_check_ok for each in engine.health()] == [True, None]
