"""One case of a law: a trace that breaks it, and one of the same ingredients that keeps it."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tests.sim.check.tape import Tape
from understudy_sim.check import Rules, Watch

Build = Callable[[Tape], object]


@attrs.frozen
class Case:
    """`bad` makes `monitor` say a sentence that holds `said`; `good` makes it say nothing.

    `rules` are its own; None: those of all cases.
    """

    monitor: type[Watch]
    said: str
    bad: Build
    good: Build
    rules: Rules | None = None

    def __str__(self) -> str:
        return f"{self.monitor.name} {self.said}"
