"""However it ends, from whichever side: everybody hears of it, and nothing is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.engine.bridges.house import HI, MODE, house, on_asyncio, open_threaded_engine
from tests.engine.house import QUIET, ordered
from understudy import Request, ShuttingDown
from understudy.bridges import AsyncioEngine


async def slow(request: Request) -> str:
    await asyncio.sleep(0.05)
    return "yes"


async def forever(request: Request) -> str:
    await asyncio.get_running_loop().create_future()
    return "never"


def descriptors() -> int:
    """Open files of this process."""
    return len(os.listdir("/proc/self/fd"))


@on_asyncio
async def test_leaving_the_block_waits_for_what_is_under_way() -> None:
    async with house(a=slow) as (engine, books):
        task = asyncio.create_task(engine.route(HI))
        await asyncio.sleep(0.01)
    assert (await task).text == "yes"
    assert books.outcomes() == {"ok": 1}


@on_asyncio
async def test_what_does_not_end_in_time_is_told_so() -> None:
    async with house(drain_s=0.02, a=forever) as (engine, books):
        task = asyncio.create_task(engine.route(HI))
        stream = asyncio.create_task(_reads(engine))
        await asyncio.sleep(0.01)
    for each in (task, stream):
        with pytest.raises(ShuttingDown):
            await each
    assert books.outcomes() == {"ShuttingDown": 2}


async def _reads(engine: AsyncioEngine) -> None:
    async with engine.stream(HI) as stream:
        async for _ in stream:
            pass


@on_asyncio
async def test_an_error_in_the_block_ends_it_at_once_and_comes_out() -> None:
    with pytest.raises(ValueError, match="enough"):
        async with house(drain_s=60, a=forever) as (engine, _):
            task = asyncio.create_task(engine.route(HI))
            await asyncio.sleep(0.01)
            raise ValueError("enough")
    with pytest.raises(ShuttingDown):
        await task


@on_asyncio
async def test_whoever_holds_the_engine_may_be_cancelled() -> None:
    requests: list[asyncio.Task[Any]] = []
    opened = asyncio.Event()

    async def holds() -> None:
        async with house(drain_s=60, a=forever) as (engine, _):
            requests.append(asyncio.create_task(engine.route(HI)))
            opened.set()
            await engine.route(HI)

    task = asyncio.create_task(holds())
    await opened.wait()
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ShuttingDown):
        await requests[0]


@on_asyncio
async def test_opening_may_be_cancelled_at_any_moment() -> None:
    async def holds() -> None:
        async with house(a=slow):
            await asyncio.sleep(30)

    before = descriptors()
    for rounds in range(12):
        task = asyncio.create_task(holds())
        for _ in range(rounds):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not trio.lowlevel.in_trio_run()
    assert descriptors() <= before


@on_asyncio
async def test_leaving_may_be_cancelled_and_is_completed() -> None:
    left = asyncio.Event()

    async def holds() -> None:
        async with house(drain_s=0.05, a=forever) as (engine, _):
            tasks.append(asyncio.create_task(engine.route(HI)))
            await asyncio.sleep(0.005)
            left.set()

    tasks: list[asyncio.Task[Any]] = []
    holder = asyncio.create_task(holds())
    await left.wait()
    await asyncio.sleep(0.005)
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    with pytest.raises(ShuttingDown):
        await tasks[0]
    assert not trio.lowlevel.in_trio_run()


@on_asyncio
async def test_an_engine_that_crashes_ends_the_block_with_its_error() -> None:
    opener = open_threaded_engine if MODE.get() == "threaded" else AsyncioEngine.open
    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(ZeroDivisionError) as failed:
        async with opener(QUIET, functions={"a": forever}, environ={}) as engine:
            request = asyncio.create_task(engine.route(HI))
            await asyncio.sleep(0.01)
            dispatcher: Any = engine._parts.wiring.dispatcher
            opened = engine._guest._held._leave.__self__  # type: ignore[attr-defined]
            opened._escalate(dispatcher, ZeroDivisionError("the ranking"))
            await asyncio.sleep(30)
    assert "dispatcher crashed too often" in failed.value.__notes__[0]
    assert task.cancelling() == 0
    with pytest.raises(ShuttingDown):
        await request


@on_asyncio
async def test_the_end_of_the_loop_ends_the_engine() -> None:
    before = descriptors(), threading.active_count()

    def program() -> None:
        async def main() -> None:
            async def serves() -> None:
                async with AsyncioEngine.open(
                    QUIET, functions={"a": forever}, environ={}
                ) as engine:
                    await engine.route(HI)

            main.task = asyncio.create_task(serves())  # type: ignore[attr-defined]
            await asyncio.sleep(0.02)

        asyncio.run(main())  # cancels what is left
        assert main.task.cancelled()  # type: ignore[attr-defined]
        assert not trio.lowlevel.in_trio_run()

    await asyncio.to_thread(program)
    assert descriptors() <= before[0]


@on_asyncio
async def test_many_engines_one_after_the_other_leave_no_file_open() -> None:
    async with house(a=slow) as (engine, _):
        await engine.route(HI)
    before = descriptors()
    for _ in range(5):
        async with house(a=slow) as (engine, _):
            await engine.route(HI)
    assert descriptors() == before


@on_asyncio
async def test_two_loops_in_two_threads_have_an_engine_each() -> None:
    async def inner() -> str:
        async with AsyncioEngine.open(QUIET, functions={"a": slow}, environ={}) as engine:
            return (await engine.route(HI)).text

    async with house(ordered("a"), a=slow) as (engine, _):
        there, here = await asyncio.gather(
            asyncio.to_thread(asyncio.run, inner()), engine.route(HI)
        )
    assert (there, here.text) == ("yes", "yes")


PROGRAM = """
    import asyncio, signal, sys

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have switched it off
    from understudy import Request
    from understudy.bridges import AsyncioEngine

    async def forever(request):
        await asyncio.get_running_loop().create_future()

    async def main():
        config = {"log": {"level": "off"}, "functions": {"a": forever}}
        try:
            async with AsyncioEngine.open(config) as engine:
                print("ready", flush=True)
                await engine.route(Request.chat("hi"))
        finally:
            print("left", flush=True)

    if sys.argv[1] == "run":
        asyncio.run(main())
    elif sys.argv[1] == "uvloop":
        import uvloop
        uvloop.run(main())
    else:  # nobody turns the interrupt into a cancellation
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()
"""


@pytest.mark.parametrize("how", ["run", "uvloop", "bare loop"])
def test_an_interrupt_ends_everything_in_order(how: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    started = subprocess.Popen(
        [sys.executable, "-W", "error", str(program), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with started:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=30)
    assert out == "left\n"
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert "Warning" not in err
    assert "never retrieved" not in err
