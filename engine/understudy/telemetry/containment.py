"""Reports code from outside that raised: once for each place and kind of error, however often it
does.

Somebody's adapter, strategy or listener that fails on every request must neither break the engine
nor bury its log.
"""

from __future__ import annotations

import traceback
from collections import OrderedDict
from pathlib import PurePath
from typing import Final

import attrs
from msgspec import Struct

from understudy_actors.domain.events import Contained
from understudy_actors.runtime.ports import Clock
from understudy_actors.runtime.trace import Trace

KEPT_MAX: Final = 256
"""Different faults that are remembered; the oldest is forgotten first."""


class Fault(Struct, frozen=True):
    """Something from outside that raised. `at` is file and line of the raise, `count` how often."""

    where: str
    who: str
    error: str
    at: str
    note: str
    count: int


@attrs.define(eq=False, slots=True)
class Containment:
    """Counts contained faults and emits an event for each new one."""

    clock: Clock
    trace: Trace
    _seen: OrderedDict[tuple[str, str, str, str], Fault] = attrs.Factory(OrderedDict)

    def __call__(self, where: str, who: str, error: BaseException, note: str) -> None:
        """Report that `who` raised in `where`, and what the engine did instead."""
        kind, at = type(error).__name__, place_of(error)
        key = (where, who, kind, at)
        known = self._seen.get(key)
        count = 1 if known is None else known.count + 1
        self._seen[key] = Fault(where, who, kind, at, note, count)
        if len(self._seen) > KEPT_MAX:
            self._seen.popitem(last=False)
        if known is None and self.trace.on:
            self.trace.emit(
                Contained(
                    at_s=self.clock.now(), where=where, who=who, error=kind, note=note, line=at
                )
            )

    def faults(self) -> list[Fault]:
        """Everything contained so far, oldest first."""
        return list(self._seen.values())


def place_of(error: BaseException) -> str:
    """File and line in which `error` was raised; never its text, which may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "unknown"
    last = frames[-1]
    return f"{PurePath(last.filename).name}:{last.lineno}"
