"""Cancelling asyncio tasks, wherever they wait: the request is settled before they go on."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings, strategies as st

from tests.engine.bridges.house import HI, MODE, MODES, house, on_asyncio, tidily
from tests.engine.house import Books, ordered
from understudy import AllAttemptsFailed, Choice, ErrorClass, Request, UnderstudyError
from understudy.bridges import AsyncioEngine
from understudy_actors.domain import events

Act = Callable[[AsyncioEngine], Awaitable[object]]
STEPS_MAX = 40


async def wanders(request: Request) -> str:
    for _ in range(3):
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
    return "yes"


async def fails(request: Request) -> str:
    await asyncio.sleep(0)
    raise ConnectionResetError


async def forever(request: Request) -> str:
    await asyncio.get_running_loop().create_future()
    return "never"


async def cleans_up(request: Request) -> str:
    try:
        await asyncio.sleep(1)
    finally:
        await asyncio.sleep(0.002)
    return "late"


async def _route(engine: AsyncioEngine) -> object:
    return await engine.route(HI)


async def _stream(engine: AsyncioEngine) -> object:
    async with engine.stream(HI) as stream:
        return [delta async for delta in stream]


async def _own_call(engine: AsyncioEngine) -> object:
    async def call(choice: Choice) -> str:
        await asyncio.sleep(0)
        if choice.provider == "a":
            raise ConnectionResetError
        return "yes"

    return await engine.with_fallback("chat", call)


async def _behind_another(engine: AsyncioEngine) -> object:
    async with asyncio.TaskGroup() as group:
        group.create_task(engine.route(HI))
        await asyncio.sleep(0)
        return await engine.route(HI)


async def _test(engine: AsyncioEngine) -> object:
    return await engine.test_provider("a")


QUICKLY = {"retry": {"jitter": "none", "base": 0.001}}
WORLDS: dict[str, tuple[dict[str, Any], dict[str, Any], Act]] = {
    "a request": (ordered("a"), {"a": wanders}, _route),
    "a failover": (ordered("a", "b", **QUICKLY), {"a": fails, "b": wanders}, _route),
    "a function that cleans up": (ordered("a"), {"a": cleans_up}, _route),
    "a stream": (ordered("a"), {"a": wanders}, _stream),
    "the caller's own function": (
        ordered("a", "b", **QUICKLY),
        {"a": fails, "b": fails},
        _own_call,
    ),
    "a wait for a slot": (
        ordered("a", providers={"a": {"concurrency": 1}}),
        {"a": wanders},
        _behind_another,
    ),
    "a test call": (ordered("a"), {"a": wanders}, _test),
    "a function that never answers": (ordered("a"), {"a": forever}, _route),
}


async def rounds(count: int) -> None:
    """Let the loop come round so often."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("name", WORLDS)
@on_asyncio
async def test_cancelling_at_any_moment_leaves_nothing(name: str) -> None:
    config, functions, act = WORLDS[name]
    cancelled = 0
    async with house(config, **functions) as (engine, books):
        for moment in range(STEPS_MAX):
            task = asyncio.ensure_future(act(engine))
            await rounds(moment)
            if moment % 3 == 2:
                await asyncio.sleep(0.0007 * moment)
            if not task.cancel():
                assert not task.exception()
                continue
            with pytest.raises(asyncio.CancelledError):
                await task
            cancelled += 1
            books.balance()  # in this very moment: it was settled before the task went on
            assert engine.status().running == 0
        assert cancelled > 2
        ended = books.of(events.AttemptEnded)
        left = [event for event in ended if event.error == "cancelled"]
        assert all((e.verdict, e.origin) == ("neutral", "local") for e in left)
        if name != "a function that never answers":
            engine.reset()
            assert await act(engine)


@on_asyncio
async def test_a_timeout_is_a_timeout_and_cancels_no_more_than_its_block() -> None:
    async with house(a=forever) as (engine, books):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await engine.route(HI)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engine.route(HI), 0.01)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        assert books.outcomes() == {"cancelled": 2}


@on_asyncio
async def test_a_task_group_that_fails_cancels_its_requests() -> None:
    async def fail() -> None:
        while engine.status().running < 10:  # noqa: ASYNC110  an engine has no such event
            await asyncio.sleep(0)
        raise ValueError("enough")

    async with house(a=forever) as (engine, books):
        with pytest.raises(ExceptionGroup) as failed:
            async with asyncio.TaskGroup() as group:
                for _ in range(10):
                    group.create_task(engine.route(HI))
                group.create_task(fail())
        assert [type(each) for each in failed.value.exceptions] == [ValueError]
        assert books.outcomes() == {"cancelled": 10}


@on_asyncio
async def test_whoever_is_cancelled_twice_still_waits_for_the_end() -> None:
    async with house(a=cleans_up) as (engine, books):
        task = asyncio.create_task(engine.route(HI))
        await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert books.outcomes() == {"cancelled": 1}


@on_asyncio
async def test_whoever_is_cancelled_before_it_began_was_never_there() -> None:
    async with house(a=wanders) as (engine, books):
        task = asyncio.create_task(engine.route(HI))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert books.outcomes() == {}


@on_asyncio
async def test_a_request_has_its_deadline() -> None:
    async with house(a=forever) as (engine, books):
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(AllAttemptsFailed):
            await engine.route(Request.chat("hi", timeout_s=0.05))
        assert 0.045 <= loop.time() - began < 5
        assert books.outcomes() == {"AllAttemptsFailed": 1}


@on_asyncio
async def test_somebody_who_cancels_a_providers_task_fails_its_attempt() -> None:
    async def cancels_itself(request: Request) -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1)
        return "never"

    config = ordered("a", "b", retry={"attempts": 0})
    async with house(config, a=cancels_itself, b=wanders) as (engine, books):
        assert (await engine.route(HI)).provider == "b"
        (first, _) = books.of(events.AttemptEnded)
        assert (first.endpoint, first.error) == ("a/function", ErrorClass.ADAPTER.value)


@on_asyncio
async def test_callers_begin_in_the_order_in_which_they_came() -> None:
    order = []

    async def notes(request: Request) -> str:
        order.append(request.tenant)
        await asyncio.sleep(0)
        return "yes"

    config = ordered("a", providers={"a": {"concurrency": 4096}})
    async with house(config, a=notes) as (engine, _):
        names = [f"{n:04}" for n in range(1000)]
        await asyncio.gather(*(engine.route(Request.chat("hi", tenant=n)) for n in names))
        assert order == names


@on_asyncio
async def test_a_thousand_callers_wait_in_line_and_all_are_served() -> None:
    served = []

    async def notes(request: Request) -> str:
        served.append(request.tenant)
        return "yes"

    config = ordered("a", providers={"a": {"concurrency": 1}}, queue_capacity=2000)
    async with house(config, a=notes) as (engine, books):
        crowd = (engine.route(Request.chat("hi", tenant=str(n))) for n in range(1000))
        results = await asyncio.gather(*crowd)
        assert {result.text for result in results} == {"yes"}
        assert books.outcomes() == {"ok": 1000}
        assert served == [str(n) for n in range(1000)]


@on_asyncio
async def test_calls_leave_no_memory_behind() -> None:
    async with house(ordered("a", "b", **QUICKLY), a=fails, b=wanders) as (engine, _):

        async def some(count: int) -> int:
            for _ in range(count):
                task = asyncio.create_task(engine.route(HI))
                await asyncio.sleep(0)
                if _ % 2:
                    task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                async with engine.stream(HI) as stream:
                    await anext(stream)
            gc.collect()
            kinds = ("Call", "AsyncioStream", "Flight", "CancelScope", "Task", "Context")
            return sum(type(each).__name__ in kinds for each in gc.get_objects())

        engine.isolate("a")
        parts = engine._parts
        parts.records = type(parts.records)(0)
        before = await some(5)
        assert await some(60) <= before + 200, "explain records are kept, nothing else"


# Any schedule

ACTS = ("route", "stream", "leave early", "own", "test")


async def _act(engine: AsyncioEngine, act: str) -> object:
    if act == "route":
        return await engine.route(HI)
    if act == "own":
        return await _own_call(engine)
    if act == "test":
        return await engine.test_provider("a")
    async with engine.stream(HI) as stream:
        async for _ in stream:
            if act == "leave early":
                break
    return None


async def _any_schedule(plan: list[tuple[str, int, int | None]], exits: bool) -> Books:
    config = ordered("a", "b", providers={"a": {"concurrency": 2}}, **QUICKLY)
    results: list[object] = []
    async with house(config, drain_s=0.05, a=wanders, b=fails) as (engine, books):
        tasks = []
        for act, wait, cancel_after in plan:
            await rounds(wait)
            task = asyncio.ensure_future(_act(engine, act))
            tasks.append(task)
            if cancel_after is not None:
                await rounds(cancel_after)
                task.cancel()
        if not exits:
            results = await asyncio.gather(*tasks, return_exceptions=True)
    if exits:  # the block is left while they still run
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert len(results) == len(plan)
    for each in results:
        if isinstance(each, BaseException):
            assert isinstance(each, UnderstudyError | asyncio.CancelledError), repr(each)
    return books


@pytest.mark.parametrize("mode", MODES)
@given(
    plan=st.lists(
        st.tuples(st.sampled_from(ACTS), st.integers(0, 6), st.none() | st.integers(0, 30)),
        max_size=12,
    ),
    exits=st.booleans(),
)
@settings(max_examples=25)
def test_any_schedule_ends_every_call_once_and_leaves_nothing(
    plan: list[tuple[str, int, int | None]], exits: bool, mode: str
) -> None:
    token = MODE.set(mode)
    try:
        factory = uvloop.new_event_loop if mode == "uvloop" else None
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(tidily(_any_schedule(plan, exits)))
    finally:
        MODE.reset(token)


if sys.version_info >= (3, 12):

    @on_asyncio
    async def test_eager_tasks_are_fine() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        async with house(a=wanders) as (engine, _):
            assert (await asyncio.create_task(engine.route(HI))).text == "yes"
