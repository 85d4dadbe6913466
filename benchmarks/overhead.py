"""What a routed call costs over the bare call: `python -m benchmarks.overhead [--quick] [--json]`.

The provider is a function in this process. `instant` answers at once, one call after the other; in
the other cases it yields once to the scheduler, so that as many calls are in flight as there are
callers. Bare: the callers await it themselves. Routed: the same callers go through `engine.route`,
with breaker, health, holds, slots, retry budget, failover guard, explain record, accounts and a
listener for coarse events on; `rates` and `budgets` add limits a minute, prices and a budget.
`everything` has these, limits of the user, the response cache (every request is new to it) and a
store, whose thread counts too. The difference is the engine's share. CPU time of this process,
median of several rounds, bare and routed by turns, taken while all callers are in flight: starting
them is no part of a call.
"""

from __future__ import annotations

import gc
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import trio

from benchmarks.report import Record, command, record
from understudy import ChatOutput, Engine, Request, open_engine

BUDGET_US = 25.0
FLAT = 1.5
IN_FLIGHT = (1, 100, 1000, 10_000)
IN_FLIGHT_QUICK = IN_FLIGHT[:3]
EACH_MIN = 4
"""Calls of each caller: its first and its last one are not measured."""
PROVIDERS = (2, 10, 100)
ANSWER = ChatOutput("ok")
QUESTION = Request.chat("hi", max_tokens=100)
LIMITED: dict[str, dict[str, Any]] = {
    "rates": {"own": {"requests_per_minute": 10**9, "tokens_per_minute": 10**12}},
    "budgets": {
        "own": {"price": {"input": 1.0, "output": 2.0}},
        "engine": {"budgets": [{"usd": 1e6, "per": "day"}]},
    },
}
LIMITED["rates and budgets"] = {
    "own": {**LIMITED["rates"]["own"], **LIMITED["budgets"]["own"]},
    "engine": LIMITED["budgets"]["engine"],
}
"""What limits requests beside slots: never in their way here."""
OF_A_USER: dict[str, Any] = {"user": "*", **LIMITED["rates"]["own"]}

Once = Callable[[], Awaitable[Any]]
Function = Callable[[Request], Awaitable[ChatOutput]]


async def provider(request: Request) -> ChatOutput:  # noqa: ARG001
    """An instant provider; it yields once, so that calls overlap."""
    await trio.lowlevel.checkpoint()
    return ANSWER


async def instant(request: Request) -> ChatOutput:  # noqa: ARG001
    """A provider that never yields: what is left are the engine's own steps."""
    return ANSWER


def configuration(
    providers: int,
    function: Callable[..., Any] = provider,
    own: dict[str, Any] | None = None,
    engine: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Equal providers in one tier, wide enough for every caller.

    `own` is added to each provider's section, `engine` to the whole.
    """
    names = [f"p{number}" for number in range(providers)]
    return {
        "log": {"level": "off"},
        "functions": dict.fromkeys(names, function),
        "providers": {name: {"concurrency": 16_384, **(own or {})} for name in names},
        **(engine or {}),
    }


async def crowd(callers: int, each: int, once: Once) -> float:
    """CPU microseconds for one call, when `callers` tasks make `each` calls one after another.

    The clock runs from the answer that makes as many as there are callers until as many are left:
    all of them are in flight all the time.
    """
    calls, answered, began, ended = callers * each, 0, 0.0, 0.0

    async def caller() -> None:
        nonlocal answered, began, ended
        for _ in range(each):
            await once()
            answered += 1
            if answered == callers:
                began = time.process_time()
            elif answered == calls - callers:
                ended = time.process_time()

    gc.collect()
    async with trio.open_nursery() as nursery:
        for _ in range(callers):
            nursery.start_soon(caller)
    return (ended - began) / (calls - 2 * callers) * 1e6


async def measure(
    engine: Engine,
    callers: int,
    calls: int,
    rounds: int,
    function: Function = provider,
    ask: Callable[[], Request] = lambda: QUESTION,
) -> tuple[float, float]:
    """(bare, routed) microseconds for one call; `ask` makes its request, on either side."""

    async def bare() -> None:
        await function(ask())

    async def routed() -> None:
        await engine.route(ask())

    each = max(EACH_MIN, calls // callers)
    await crowd(callers, max(EACH_MIN, each // 10), routed)  # warm up
    pairs = [
        (await crowd(callers, each, bare), await crowd(callers, each, routed))
        for _ in range(rounds)
    ]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


async def costs(calls: int, rounds: int, in_flight: Sequence[int]) -> list[Record]:
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
            for callers in in_flight:
                bare, routed = await measure(engine, callers, calls, rounds)
                case = f"{providers} providers, {callers} in flight: engine's share"
                records.append(record(case, routed - bare, "us", baseline=bare, budget=BUDGET_US))
    flattest, steepest = min(r.value for r in records), max(r.value for r in records)
    records.append(record("dearest case to cheapest", steepest / flattest, "times", budget=FLAT))
    return records


async def limited(calls: int, rounds: int) -> list[Record]:
    """One record for each kind of limits, with two providers."""
    records: list[Record] = []
    for name, sections in LIMITED.items():
        async with open_engine(configuration(2, instant, **sections)) as engine:
            engine.listen(lambda _seq, _event: None, fine=False)
            bare, routed = await measure(engine, 1, calls, rounds, instant)
            case = f"2 providers, instant, {name}: engine's share"
            records.append(record(case, routed - bare, "us", baseline=bare, budget=BUDGET_US))
    return records


def everything(folder: str) -> dict[str, Any]:
    """Two providers, and all that can be switched on for every request without changing it."""
    limited = LIMITED["rates and budgets"]
    more = {
        "limits": [OF_A_USER],
        "cache": True,
        "store": {"path": str(Path(folder, "books.db")), "durability": "batched"},
    }
    return configuration(2, instant, limited["own"], {**limited["engine"], **more})


def always_new() -> Callable[[], Request]:
    """Makes requests of one user, none of which was made before."""
    numbers = itertools.count()
    return lambda: Request.chat(f"hi {next(numbers)}", max_tokens=100, user="ann")


async def together(calls: int, rounds: int) -> Record:
    """One record for all of it at once."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_engine(everything(folder)) as engine:
            engine.listen(lambda _seq, _event: None, fine=False)
            bare, routed = await measure(engine, 1, calls, rounds, instant, always_new())
    case = "2 providers, instant, everything: engine's share"
    return record(case, routed - bare, "us", baseline=bare, budget=BUDGET_US)


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
    in_flight = IN_FLIGHT_QUICK if quick else IN_FLIGHT
    return [
        *await costs(calls, rounds, in_flight),
        *await limited(calls, rounds),
        await together(calls, rounds),
        *await counts(),
    ]


if __name__ == "__main__":
    command(
        "overhead",
        __doc__,
        lambda quick: trio.run(main, quick),
        "value: CPU us a call that the engine adds; baseline: the bare call",
    )
