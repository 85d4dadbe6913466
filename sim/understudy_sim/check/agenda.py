"""What should have happened by some time: tells what is overdue.

A world may stand still for a while (a laptop sleeps, a collector runs), and then everything is
late at once, which is nobody's fault. So whatever is overdue when that is first seen gets one more
chance: it is reported only if the engine went on for as long again and still did nothing.
"""

from __future__ import annotations

import heapq
import math
from typing import Generic, TypeVar

T = TypeVar("T")

_SLACK = 64


class Agenda(Generic[T]):
    """Things by their key, each with the time at which it should be over.

    Attributes:
        due: From when on `overdue` has something to say.
    """

    __slots__ = ("_entries", "_heap", "_late_s", "_number", "due")

    def __init__(self, late_s: float) -> None:
        """`late_s`: a thing may be so much later than it should."""
        self._late_s = late_s
        self._entries: dict[object, tuple[int, T, bool]] = {}
        self._heap: list[tuple[float, int, object]] = []
        self._number = 0
        self.due = math.inf

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def add(self, key: object, at_s: float, thing: T, *, seen: bool = False) -> None:
        """Expect the thing to be over at `at_s`; replaces what has the same key."""
        self._number += 1
        self._entries[key] = (self._number, thing, seen)
        if at_s == math.inf:
            return
        heap = self._heap
        heapq.heappush(heap, (at_s + self._late_s, self._number, key))
        if len(heap) > _SLACK + 2 * len(self._entries):
            self._tidy()
        self.due = heap[0][0]

    def get(self, key: object) -> T | None:
        """The thing, if it is expected still."""
        entry = self._entries.get(key)
        return entry[1] if entry is not None else None

    def drop(self, key: object) -> T | None:
        """It is over."""
        entry = self._entries.pop(key, None)
        return entry[1] if entry is not None else None

    def things(self) -> list[T]:
        """Everything that is expected."""
        return [thing for _, thing, _ in self._entries.values()]

    def overdue(self, now: float) -> list[tuple[object, T]]:
        """What is overdue at `now` and had its second chance; it is no longer expected."""
        heap, found = self._heap, list[tuple[object, T]]()
        while heap and heap[0][0] < now:
            _, number, key = heapq.heappop(heap)
            entry = self._entries.get(key)
            if entry is None or entry[0] != number:
                continue
            del self._entries[key]
            if entry[2]:
                found.append((key, entry[1]))
            else:
                self.add(key, now, entry[1], seen=True)
        self.due = heap[0][0] if heap else math.inf
        return found

    def _tidy(self) -> None:
        alive = self._entries
        self._heap = [e for e in self._heap if e[2] in alive and alive[e[2]][0] == e[1]]
        heapq.heapify(self._heap)
