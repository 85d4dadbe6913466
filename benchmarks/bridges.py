"""What it costs to come from asyncio or from threads: `python -m benchmarks.bridges [--quick]`.

The same engine, with an instant function for a provider, asked four ways: by trio tasks
(`engine.route`), by asyncio tasks through the bridge, by asyncio tasks while trio waits in a
thread, as its guest mode does by itself, and by threads. A hop is a trio coroutine that does
nothing, crossed to and back. The baseline is a bare asyncio coroutine that lets the loop come round
once, as whatever waits at all must; of threads, a function that does nothing, done for them by
another thread (`ThreadPoolExecutor`). CPU time of this process, all its threads, median of several
rounds.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import trio
import uvloop

from benchmarks.overhead import Once, configuration, crowd as trio_crowd
from benchmarks.report import Record, command, record
from understudy import ChatOutput, Request, open_engine
from understudy.bridges.asyncio_engine import AsyncioEngine, open_asyncio_engine
from understudy.bridges.blocking_engine import BlockingEngine
from understudy.bridges.pump import Pump, Tick

ANSWER = ChatOutput("ok")
QUESTION = Request.chat("hi")
IN_FLIGHT = (1, 100, 1000)
Loop = Callable[[], asyncio.AbstractEventLoop]


class Threaded(Pump):
    """trio waits by itself."""

    def _open(self, tick: Tick) -> None:  # noqa: ARG002
        self.clock.threaded = True


class open_threaded_engine(open_asyncio_engine):
    """The bridge without its pump."""

    _pump: type[Pump] = Threaded


def provider(request: Request) -> ChatOutput:  # noqa: ARG001
    """An instant provider; sync, so that no asyncio task is needed for it."""
    return ANSWER


async def bare() -> None:
    """What every waiting coroutine costs."""
    await asyncio.sleep(0)


async def nothing() -> None:
    """The other end of a hop."""


async def crowd(callers: int, each: int, once: Once) -> float:
    """CPU microseconds for one call, when `callers` tasks make `each` calls one after another."""

    async def caller() -> None:
        for _ in range(each):
            await once()

    gc.collect()
    started = time.process_time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return (time.process_time() - started) / (callers * each) * 1e6


async def across(
    opener: type[open_asyncio_engine], name: str, calls: int, rounds: int
) -> list[Record]:
    """A hop and a routed call through the bridge."""
    records: list[Record] = []
    config = configuration(2, provider)
    async with opener(config, environ={}) as engine:
        engine.listen(lambda _seq, _event: None, fine=False)

        async def hop() -> None:
            await engine._guest.run(nothing)

        async def routed() -> None:
            await engine.route(QUESTION)

        for callers in IN_FLIGHT:
            each = max(1, calls // callers)
            base = await median(callers, each, bare, rounds)
            for what, once in (("hop", hop), ("routed", routed)):
                cost = await median(callers, each, once, rounds)
                case = f"{name}, {callers} in flight: {what}"
                records.append(record(case, cost, "us", baseline=base))
    return records


async def median(callers: int, each: int, once: Once, rounds: int) -> float:
    """The median of several rounds, after a shorter one to warm up."""
    await crowd(callers, max(1, each // 10), once)
    return statistics.median([await crowd(callers, each, once) for _ in range(rounds)])


def threads(callers: int, each: int, once: Callable[[], object]) -> float:
    """CPU microseconds for one call, when `callers` threads make `each` calls one after another."""

    def caller() -> None:
        for _ in range(each):
            once()

    gc.collect()
    started = time.process_time()
    crew = [threading.Thread(target=caller) for _ in range(callers)]
    for each_thread in crew:
        each_thread.start()
    for each_thread in crew:
        each_thread.join()
    return (time.process_time() - started) / (callers * each) * 1e6


async def instant(request: Request) -> ChatOutput:  # noqa: ARG001
    """An instant provider that needs no worker thread."""
    return ANSWER


def on_threads(calls: int, rounds: int) -> list[Record]:
    """A hop and a routed call from threads."""
    records: list[Record] = []
    with (
        BlockingEngine.open(configuration(2, instant), environ={}) as engine,
        ThreadPoolExecutor(1) as pool,
    ):
        engine.listen(lambda _seq, _event: None, fine=False)
        cases: dict[str, Callable[[], object]] = {
            "pool": lambda: pool.submit(int).result(),
            "hop": lambda: engine._run.run(nothing),
            "routed": lambda: engine.route(QUESTION),
        }
        for callers in IN_FLIGHT:
            each = max(1, calls // callers)
            costs: dict[str, list[float]] = {name: [] for name in cases}
            for _ in range(rounds):
                for name, once in cases.items():
                    costs[name].append(threads(callers, each, once))
            base = statistics.median(costs.pop("pool"))
            for name, found in costs.items():
                case = f"threads, {callers} in flight: {name}"
                records.append(record(case, statistics.median(found), "us", baseline=base))
    return records


async def on_trio(calls: int, rounds: int) -> list[Record]:
    """The routed call without any bridge."""
    records: list[Record] = []
    async with open_engine(configuration(2, provider), environ={}) as engine:
        engine.listen(lambda _seq, _event: None, fine=False)

        async def routed() -> None:
            await engine.route(QUESTION)

        for callers in IN_FLIGHT:
            each = max(1, calls // callers)
            await trio_crowd(callers, max(1, each // 10), routed)
            costs = [await trio_crowd(callers, each, routed) for _ in range(rounds)]
            case = f"trio, {callers} in flight: routed"
            records.append(record(case, statistics.median(costs), "us"))
    return records


def main(quick: bool) -> list[Record]:
    """Everything."""
    calls, rounds = (1_000, 3) if quick else (5_000, 5)
    records = trio.run(on_trio, calls, rounds)
    cases: list[tuple[str, type[open_asyncio_engine], Loop]] = [
        ("asyncio", AsyncioEngine.open, asyncio.new_event_loop),
        ("uvloop", AsyncioEngine.open, uvloop.new_event_loop),
        ("asyncio, trio in a thread", open_threaded_engine, asyncio.new_event_loop),
    ]
    for name, opener, factory in cases:
        with asyncio.Runner(loop_factory=factory) as runner:
            records += runner.run(across(opener, name, calls, rounds))
    return records + on_threads(calls, rounds)


if __name__ == "__main__":
    command(
        "bridges",
        __doc__,
        main,
        "value: CPU us a call, all of it; baseline: a bare coroutine's yield, or a pool's hop",
    )
