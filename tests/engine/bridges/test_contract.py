"""What every way to hold an engine promises: the same verbs, the same answers, the same errors."""

from __future__ import annotations

import contextvars
import functools
import gc
import inspect
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.bridges.drivers import DRIVERS, WAITING, Driver, Scenario
from tests.engine.bridges.house import HI
from tests.engine.house import ordered
from understudy import (
    AllAttemptsFailed,
    Choice,
    ConfigError,
    Engine,
    InvalidRequest,
    NoCandidate,
    Request,
    ShuttingDown,
)
from understudy.bridges import AsyncioEngine, BlockingEngine
from understudy_actors.domain import events

ONCE = {"retry": {"attempts": 0}}
PLACE: contextvars.ContextVar[str] = contextvars.ContextVar("PLACE")


def everywhere(scenario: Scenario) -> Callable[[Driver], None]:
    """A test that plays a scenario on each driver."""

    @pytest.mark.parametrize("driver", DRIVERS, ids=[each.name for each in DRIVERS])
    def test(driver: Driver) -> None:
        driver.play(scenario)
        gc.collect()  # what was lost warns here

    test.__name__, test.__doc__ = scenario.__name__, scenario.__doc__
    return test


async def quick(request: Request) -> str:
    return "yes"


async def broken(request: Request) -> str:
    raise ConnectionResetError


@everywhere
async def test_a_request_fails_over_is_answered_and_is_explained(driver: Driver) -> None:
    async with driver.house(ordered("a", "b", **ONCE), a=broken, b=quick) as (engine, books):
        result = await engine.route(HI)
        assert (result.text, result.provider) == ("yes", "b")
        assert [attempt.endpoint for attempt in result.attempts] == ["a/function", "b/function"]
        assert engine.explain(result.request_id) is not None
        assert engine.explain("nobody's") is None
        assert books.outcomes() == {"ok": 1}


@everywhere
async def test_errors_are_the_engines(driver: Driver) -> None:
    async with driver.house(ordered("a", **ONCE), a=broken) as (engine, _):
        with pytest.raises(AllAttemptsFailed) as failed:
            await engine.route(Request.chat("hi", max_attempts=1))
        assert failed.value.attempts[0].error == "reset"
        with pytest.raises(InvalidRequest):
            await engine.route(Request.chat("hi", timeout_s=-1))
        with pytest.raises(InvalidRequest):
            engine.hold("nobody")
        engine.hold("a")
        with pytest.raises(NoCandidate):
            engine.select("chat")


@everywhere
async def test_a_function_has_its_time_and_no_more(driver: Driver) -> None:
    async def late(request: Request) -> str:
        await driver.sleep(30)
        return "late"

    config = ordered("a", "b", providers={"a": {"timeout": 0.05}}, **ONCE)
    async with driver.house(config, a=late, b=quick) as (engine, _):
        result = await engine.route(HI)
        assert (result.provider, result.attempts[0].error) == ("b", "silent")


@everywhere
async def test_an_answer_is_streamed(driver: Driver) -> None:
    async with driver.house(a=quick) as (engine, books):
        async with engine.stream(HI) as stream:
            with pytest.raises(RuntimeError, match="not over"):
                stream.result()
            assert stream.provider == "a"
            pieces = [delta async for delta in stream]
        assert "".join(getattr(piece, "text", "") for piece in pieces) == "yes"
        assert (stream.text, stream.result().text, stream.skipped) == ("yes", "yes", 0)
        async with engine.stream(HI):
            pass  # left before its end
        with pytest.raises(InvalidRequest):
            async with engine.stream(Request.embed("no chat")):
                pass
        assert books.outcomes() == {"ok": 1, "cancelled": 1}


@everywhere
async def test_the_callers_own_function_fails_over(driver: Driver) -> None:
    async def own(choice: Choice, word: str, *, times: int) -> str:
        await driver.sleep(0.001)
        if choice.provider == "a":
            raise ConnectionResetError
        return word * times

    async with driver.house(ordered("a", "b", **ONCE), a=quick, b=quick) as (engine, _):
        done = await engine.with_fallback("chat", own, "ha", times=2)
        assert (done.result, done.provider) == ("haha", "b")
        assert (await engine.with_fallback("chat", lambda _choice: "now")).result == "now"


@everywhere
async def test_the_other_verbs_do_not_wait(driver: Driver) -> None:
    async with driver.house(a=quick, b=quick) as (engine, _):
        engine.hold("a", seconds=60)
        assert engine.select(HI).provider == "b"
        engine.report_failure("b", error="server", elapsed_s=0.1)
        engine.report_success("b", elapsed_s=0.1)
        engine.release("a")
        engine.isolate("b")
        assert (await engine.route(HI)).provider == "a"
        engine.disable("b")
        engine.enable("b")
        engine.set_strategy("priority", operation="chat")
        engine.reset()
        assert {each.provider for each in engine.health()} == {"a", "b"}
        assert {each.name for each in engine.models()} >= {"function"}
        assert engine.status().running == 0
        assert engine.budgets() == engine.projection() == ()
        assert (engine.cache_stats(), engine.clear_cache()) == (None, 0)
        with pytest.raises(InvalidRequest):
            engine.thaw()
        assert engine.costs(days=1).attempts == 1
        assert len(engine.top("models", 5)) == len(engine.usage(1)) == 1
        assert [each.user for each in engine.top("users")] == [None]


@everywhere
async def test_looks_at_providers_wait_for_them(driver: Driver) -> None:
    async with driver.house(a=quick) as (engine, _):
        (report,) = await engine.test_provider("a", timeout_s=5)
        assert (report.ok, report.answer) == (True, "yes")
        assert (await engine.check(timeout_s=1)).running == 0


@everywhere
async def test_listeners_hear_everything_until_they_stop(driver: Driver) -> None:
    heard: list[str] = []
    async with driver.house(a=quick) as (engine, _):
        stop = engine.listen(lambda _seq, event: heard.append(type(event).__name__))
        await engine.route(HI)
        stop()
        count = len(heard)
        await engine.route(HI)
    assert events.RequestOutcome.__name__ in heard
    assert len(heard) == count


@everywhere
async def test_context_variables_cross_both_ways(driver: Driver) -> None:
    seen = []

    async def looks(request: Request) -> str:
        seen.append(PLACE.get())
        PLACE.set("provider")
        return PLACE.get()

    async with driver.house(a=looks) as (engine, _):

        async def caller(place: str) -> tuple[str, str]:
            PLACE.set(place)
            return (await engine.route(HI)).text, PLACE.get()

        pairs = await driver.gather([functools.partial(caller, str(n)) for n in range(5)])
    assert sorted(seen) == ["0", "1", "2", "3", "4"]
    assert pairs == [("provider", "provider")] * 5


@everywhere
async def test_a_thousand_callers_at_once_are_all_served(driver: Driver) -> None:
    busy = most = 0

    async def counted(request: Request) -> str:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await driver.sleep(0.001)
        busy -= 1
        return "yes"

    config = {"providers": {"a": {"concurrency": 50}}}
    async with driver.house(config, a=counted) as (engine, books):
        answers = await driver.gather([lambda: engine.route(HI)] * 1000)
        assert {each.text for each in answers} == {"yes"}
        assert (busy, books.outcomes()) == (0, {"ok": 1000})
        assert 1 < most <= 50
        assert engine.status().running == 0


@everywhere
async def test_after_the_block_there_is_nobody_to_ask(driver: Driver) -> None:
    async with driver.house(a=quick) as (engine, _):
        pass
    with pytest.raises(ShuttingDown):
        await engine.route(HI)
    with pytest.raises(ShuttingDown):
        async with engine.stream(HI):
            pass


@everywhere
async def test_an_error_in_the_block_comes_out_as_it_is(driver: Driver) -> None:
    with pytest.raises(ZeroDivisionError):
        async with driver.house(a=quick) as (engine, _):
            await engine.route(HI)
            raise ZeroDivisionError


@everywhere
async def test_a_configuration_that_cannot_run_is_refused(driver: Driver) -> None:
    with pytest.raises(ConfigError, match="no_such_key"):
        async with driver.house({"no_such_key": 1}):
            pass


@everywhere
async def test_many_engines_one_after_the_other_leave_nothing_open(driver: Driver) -> None:
    async def once() -> None:
        async with driver.house(a=quick) as (engine, _):
            await engine.route(HI)

    await once()
    files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(50):
        await once()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= files
    assert threading.active_count() <= threads


def test_every_verb_is_there_with_the_same_parameters() -> None:
    def verbs(kind: type[Any]) -> dict[str, Any]:
        own = inspect.getmembers(kind, inspect.isfunction)
        return {name: verb for name, verb in own if not name.startswith("_")}

    engine = verbs(Engine)
    assert {name for name, verb in engine.items() if inspect.iscoroutinefunction(verb)} == set(
        WAITING
    )
    for bridge in (AsyncioEngine, BlockingEngine):
        assert set(verbs(bridge)) - {"close"} == set(engine)
        for name, verb in verbs(bridge).items():
            if name in engine:
                given, own = inspect.signature(verb), inspect.signature(engine[name])
                assert given.parameters == own.parameters, (bridge, name)
