"""`understudy replay --step`: asks where to go on a terminal, and tells everything elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable

from understudy.cli.output import console
from understudy_sim.replay import Replay
from understudy_sim.step import Stepper, straight, walk

PROMPT = "> "


def go_through(
    told: Replay, request: str | None = None, ask: Callable[[], str | None] | None = None
) -> None:
    """Go through a run.

    Args:
        told: The run.
        request: Where nobody is asked, the events of other requests are left out.
        ask: Gives the next command, None at the end; left out, whoever sits at the terminal.
    """
    if ask is None and sys.stdin.isatty() and sys.stdout.isatty():
        ask = _typed
    stepper, screen = Stepper(told), console()
    for line in straight(stepper, request) if ask is None else walk(stepper, ask):
        screen.print(line, soft_wrap=True)


def _typed() -> str | None:
    """What is typed; the end of the input, or Ctrl-C, is the end."""
    try:
        return input(PROMPT)
    except (EOFError, KeyboardInterrupt):
        print()
        return None
