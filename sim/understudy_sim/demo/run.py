"""The demo as a whole: plays, shows, and tells whether everything was as expected."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

from understudy.cli.output import console, emit, plain
from understudy.ports import SystemClock
from understudy_sim.demo import show
from understudy_sim.demo.play import Scenario, play
from understudy_sim.demo.records import Pace, Played
from understudy_sim.demo.stage import Stage


async def run(
    scenarios: Sequence[Scenario], pace: Pace, *, as_json: bool, log_level: str = "off"
) -> bool:
    """Play and show; True if all went as expected."""
    clock, screen = SystemClock(), console()
    started = clock.now()
    played: list[Played] = []
    if not as_json:
        show.introduce(screen, len(scenarios))
    for number, each in enumerate(scenarios, 1):
        # On stderr, where it shows only on a terminal and never gets into a file.
        spinner = console(sys.stderr).status(f"playing {number} of {len(scenarios)}: {each.title}")
        with spinner if sys.stderr.isatty() and log_level == "off" else contextlib.nullcontext():
            played.append(await play(each, Stage(pace, log_level)))
        if not as_json:
            show.show(screen, number, each, played[-1])
    ok = all(each.ok for each in played)
    elapsed_s = clock.now() - started
    if as_json:
        emit({"ok": ok, "elapsed_s": elapsed_s, "scenarios": plain(played)})
    else:
        show.sum_up(screen, played, elapsed_s)
    return ok
