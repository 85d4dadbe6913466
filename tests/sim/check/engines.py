"""Real engines on a virtual clock, and the traces that they leave."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio
import trio.testing

from tests.engine.house import QUIET, Wire
from understudy import Engine, Request, UnderstudyError, open_engine
from understudy.ports import Ports
from understudy_actors.runtime.ports import Randomness
from understudy_sim.check import Rules
from understudy_sim.check.violation import Witness
from understudy_sim.world_events import RunEnded

Drive = Callable[[Engine], Awaitable[None]]


def trace_of(
    config: Mapping[str, Any], functions: Mapping[str, Any], drive: Drive, *, seed: int = 7
) -> tuple[list[Witness], Rules]:
    """Every event of an engine that `drive` uses, until it has closed; and its rules."""
    events: list[Witness] = []
    rules: list[Rules] = []

    async def main() -> None:
        async with open_engine(
            {**QUIET, **config},
            functions=functions,
            ports=Ports(randomness=Randomness(seed)),
            transport=Wire(),
            environ={},
        ) as engine:
            rules.append(Rules.of(engine._parts.config, kinds=engine._parts.kinds))
            engine.listen(lambda seq, event: events.append((seq, event)))
            await drive(engine)
        last = RunEnded(at_s=trio.current_time(), progress="done")
        events.append((events[-1][0] + 1 if events else 1, last))

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return events, rules[0]


async def ask(engine: Engine, timeout_s: float = 20.0, **also: Any) -> None:
    """One request, however it ends."""
    with contextlib.suppress(UnderstudyError):
        await engine.route(Request.chat("hi", timeout_s=timeout_s, **also))
