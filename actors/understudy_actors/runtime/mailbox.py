"""What waits for an actor: three lanes, each first in, first out.

    CONTROL ──▶ RESULTS ──▶ WORK      left before right, except that
                                      after 64 overtakings one WORK message comes first

Only WORK is bounded: every message on the others is paid for beforehand by a timer, a permit or a
reservation, of which there are finitely many.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import Any, Final

OVERTAKINGS: Final = 64
"""So many CONTROL and RESULTS messages in a row may pass a WORK message that waits."""


class Lane(enum.Enum):
    """How urgent a message is."""

    CONTROL = "control"  # supervision and timers
    RESULTS = "results"  # ends of attempts, settlements, releases
    WORK = "work"  # everything that may be refused


class Mailbox:
    """Queued messages of one actor; it knows nothing of what they are."""

    __slots__ = ("_control", "_overtakings", "_results", "_work", "capacity")

    def __init__(self, capacity: int) -> None:
        """`capacity` bounds the WORK lane, >= 1."""
        self.capacity = capacity
        self._control: deque[Any] = deque()
        self._results: deque[Any] = deque()
        self._work: deque[Any] = deque()
        self._overtakings = 0

    def put(self, message: Any, lane: Lane) -> bool:
        """Queue `message`; False, and nothing changed, if its lane is full."""
        if lane is Lane.CONTROL:
            self._control.append(message)
        elif lane is Lane.RESULTS:
            self._results.append(message)
        elif len(self._work) < self.capacity:
            self._work.append(message)
        else:
            return False
        return True

    def take(self) -> Any:
        """Remove and return the message whose turn it is.

        Raises:
            IndexError: Nothing waits.
        """
        urgent = self._control or self._results
        if not urgent or (self._work and self._overtakings >= OVERTAKINGS):
            self._overtakings = 0
            return self._work.popleft()
        # Only passing somebody is overtaking; an empty WORK lane starts the count anew.
        self._overtakings = self._overtakings + 1 if self._work else 0
        return urgent.popleft()

    def sift(self, keep: Callable[[Any], bool]) -> list[Any]:
        """Remove every message that is not to be kept; returns them, most urgent lane first."""
        removed: list[Any] = []
        for lane in (self._control, self._results, self._work):
            kept: list[Any] = []
            for message in lane:
                (kept if keep(message) else removed).append(message)
            lane.clear()
            lane.extend(kept)
        return removed

    def lengths(self) -> tuple[int, int, int]:
        """How many wait in CONTROL, RESULTS and WORK."""
        return len(self._control), len(self._results), len(self._work)

    def __len__(self) -> int:
        return len(self._control) + len(self._results) + len(self._work)

    def __bool__(self) -> bool:
        return bool(self._control or self._results or self._work)
