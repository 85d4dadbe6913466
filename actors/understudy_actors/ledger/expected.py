"""How long answers are, as far as they were seen: what to expect of the next one."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from typing import Final

import attrs

QUANTILE: Final = 0.95
KEPT: Final = 200
"""Answers remembered; the oldest is forgotten first."""
SAMPLES: Final = 20
"""With fewer of them nothing is known."""


@attrs.define(slots=True, eq=False)
class SeenOutput:
    """The latest answers of one endpoint, in tokens."""

    _ring: deque[int] = attrs.Factory(deque)
    _sorted: list[int] = attrs.Factory(list)

    def add(self, tokens: int) -> None:
        """An answer had so many."""
        if len(self._ring) == KEPT:
            del self._sorted[bisect_left(self._sorted, self._ring.popleft())]
        self._ring.append(tokens)
        insort(self._sorted, tokens)

    def usual_most(self) -> int | None:
        """All but one answer in twenty had at most so many; None while too little is known."""
        count = len(self._sorted)
        return self._sorted[math.ceil(count * QUANTILE) - 1] if count >= SAMPLES else None
