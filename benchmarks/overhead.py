"""What a routed call costs over the bare call: `python -m benchmarks.overhead [--quick] [--json]`.

The provider is a function in this process. `instant` answers at once, one call after the other; in
the other cases it yields once to the scheduler, so that as many calls are in flight as there are
callers. Bare: the callers await it themselves. Routed: the same callers go through `engine.route`,
with breaker, health, holds, slots, retry budget, failover guard, explain record and a listener for
coarse events on. The difference is the engine's share. CPU time of this process, median of several
rounds, bare and routed by turns.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import trio

from benchmarks.report import Record, record, report
from understudy import ChatOutput, Engine, Request, open_engine

BUDGET_US = 25.0
FLAT = 1.5
IN_FLIGHT = (1, 100, 1000)
PROVIDERS = (2, 10, 100)
ANSWER = ChatOutput("ok")
QUESTION = Request.chat("hi")

Once = Callable[[], Awaitable[Any]]
Function = Callable[[Request], Awaitable[ChatOutput]]


async def provider(request: Request) -> ChatOutput:  # noqa: ARG001
    """An instant provider; it yields once, so that calls overlap."""
    await trio.lowlevel.checkpoint()
    return ANSWER


async def instant(request: Request) -> ChatOutput:  # noqa: ARG001
    """A provider that never yields: what is left are the engine's own steps."""
    return ANSWER


def configuration(providers: int, function: Callable[..., Any] = provider) -> dict[str, Any]:
    """Equal providers in one tier, wide enough for every caller."""
    names = [f"p{number}" for number in range(providers)]
    return {
        "log": {"level": "off"},
        "functions": dict.fromkeys(names, function),
        "providers": {name: {"concurrency": 4096} for name in names},
    }


async def crowd(callers: int, each: int, once: Once) -> float:
    """CPU microseconds for one call, when `callers` tasks make `each` calls one after another."""

    async def caller() -> None:
        for _ in range(each):
            await once()

    gc.collect()
    started = time.process_time()
    async with trio.open_nursery() as nursery:
        for _ in range(callers):
            nursery.start_soon(caller)
    return (time.process_time() - started) / (callers * each) * 1e6


async def measure(
    engine: Engine, callers: int, calls: int, rounds: int, function: Function = provider
) -> tuple[float, float]:
    """(bare, routed) microseconds for one call."""

    async def bare() -> None:
        await function(QUESTION)

    async def routed() -> None:
        await engine.route(QUESTION)

    each = max(1, calls // callers)
    await crowd(callers, max(1, each // 10), routed)  # warm up
    pairs = [
        (await crowd(callers, each, bare), await crowd(callers, each, routed))
        for _ in range(rounds)
    ]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


async def costs(calls: int, rounds: int) -> list[Record]:
    """One record for each number of providers and of calls in flight."""
    records: list[Record] = []
    for providers in PROVIDERS:
        async with open_engine(configuration(providers, instant)) as engine:
            engine.listen(lambda _seq, _event: None, fine=False)
            bare, routed = await measure(engine, 1, calls, rounds, instant)
            case = f"{providers} providers, instant: engine's share"
            records.append(record(case, routed - bare, "us", baseline=bare, budget=BUDGET_US))
        async with open_engine(configuration(providers)) as engine:
            engine.listen(lambda _seq, _event: None, fine=False)
            for callers in IN_FLIGHT:
                bare, routed = await measure(engine, callers, calls, rounds)
                case = f"{providers} providers, {callers} in flight: engine's share"
                records.append(record(case, routed - bare, "us", baseline=bare, budget=BUDGET_US))
    flattest, steepest = min(r.value for r in records), max(r.value for r in records)
    records.append(record("dearest case to cheapest", steepest / flattest, "times", budget=FLAT))
    return records


class Steps(trio.abc.Instrument):
    """Counts task steps and spawned tasks."""

    def __init__(self) -> None:
        self.steps = 0
        self.spawned = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002
        """A task runs until its next checkpoint."""
        self.steps += 1

    def task_spawned(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002
        """A task was started."""
        self.spawned += 1


async def counts() -> list[Record]:
    """Task steps, spawned tasks and cancel scopes of one routed call to an instant provider."""
    calls = 1000
    async with open_engine(configuration(2, instant)) as engine:
        await engine.route(QUESTION)
        instrument = Steps()
        trio.lowlevel.add_instrument(instrument)
        for _ in range(calls):
            await engine.route(QUESTION)
            await trio.lowlevel.checkpoint()  # one step between calls, taken off below
        trio.lowlevel.remove_instrument(instrument)
        scopes = await scopes_of(engine)
    return [
        record("task steps a call", instrument.steps / calls - 1.0, "steps", budget=2),
        record("tasks spawned a call", instrument.spawned / calls, "tasks", budget=0),
        record("cancel scopes a call", float(scopes), "scopes", budget=1),
    ]


async def scopes_of(engine: Engine) -> int:
    """How many cancel scopes one routed call enters, as the interpreter's profiler sees it."""
    entered = 0
    code = trio.CancelScope.__enter__.__code__

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal entered
        entered += event == "call" and frame.f_code is code

    sys.setprofile(profile)
    try:
        await engine.route(QUESTION)
    finally:
        sys.setprofile(None)
    return entered


async def main(quick: bool) -> list[Record]:
    """Everything."""
    calls, rounds = (2_000, 3) if quick else (10_000, 7)
    return [*await costs(calls, rounds), *await counts()]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer calls and rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    report(
        "overhead",
        trio.run(main, options.quick),
        as_json=options.json,
        note="value: CPU us a call that the engine adds; baseline: the bare call",
    )
