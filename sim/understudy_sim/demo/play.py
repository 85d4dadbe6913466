"""Plays scenarios, one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import trio
from msgspec import Struct

from understudy.ports import SystemClock
from understudy_sim.demo.records import Check, Pace, Played
from understudy_sim.demo.stage import Stage

LIMIT_S: Final = 30.0
"""No scenario takes longer: one that hangs has failed."""


class Scenario(Struct, frozen=True, kw_only=True):
    """One scenario: how the engine is configured for it, and what happens.

    Attributes:
        name: For the command line.
        title: For people.
        about: What it shows, in a sentence.
        play: Asks, and says what it expects.
        changes: What lies over the usual configuration.
    """

    name: str
    title: str
    about: str
    play: Callable[[Stage], Awaitable[None]]
    changes: Callable[[Pace], Mapping[str, Any]] = lambda _pace: {}


async def play(scenario: Scenario, stage: Stage) -> Played:
    """Play one scenario on a fresh stage. What goes wrong is part of the result."""
    clock = SystemClock()
    started = clock.now()
    try:
        with trio.fail_after(LIMIT_S):
            async with stage.opened(scenario.changes(stage.pace)):
                await scenario.play(stage)
                stage.compare_counts()
    except Exception as error:
        seen = f"{type(error).__name__}: {error}"
        stage.checks.append(Check("the scenario comes to its end", False, seen))
    return Played(
        name=scenario.name,
        title=scenario.title,
        ok=bool(stage.checks) and all(each.ok for each in stage.checks),
        elapsed_s=clock.now() - started,
        setting=tuple(stage.setting) or ("nothing: every provider is well",),
        requests=tuple(stage.asked),
        checks=tuple(stage.checks),
    )
