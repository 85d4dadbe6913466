"""How many outcomes, and how many bad ones, there were lately: a rolling window in fixed buckets.

Bucket k holds the times t with k * width <= t < (k + 1) * width, where width = length / buckets.
At a time in bucket k the window is the buckets k - buckets + 1 ... k: it reaches back at least
(buckets - 1) * width and less than buckets * width seconds. Buckets stand still on the clock, so
what the window holds depends on the times of outcomes alone, not on when anybody looked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

Tally: TypeAlias = tuple[float, int, int]
"""One bucket of a snapshot: its middle (seconds on the engine's clock), outcomes, bad ones."""


class Window:
    """Counts of one rolling window, exact to the bucket; one add costs about 0.1 us."""

    __slots__ = ("_bads", "_edge", "_head", "_ns", "_slot", "_width", "bad", "n")

    def __init__(self, length_s: float, buckets: int) -> None:
        self._width = length_s / buckets
        self._ns = [0] * buckets
        self._bads = [0] * buckets
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        buckets = len(self._ns)
        self._ns[:] = self._bads[:] = [0] * buckets
        self._head = 0
        self._slot = 0
        self._edge = -math.inf  # the first time past the newest bucket
        self.n = 0
        self.bad = 0

    def add_ok(self, now: float) -> None:
        """Count one good outcome; `n` and `bad` are then those of `now`."""
        if now >= self._edge:
            self._advance(now)
        self._ns[self._slot] += 1
        self.n += 1

    def add_bad(self, now: float) -> None:
        """Count one bad outcome; `n` and `bad` are then those of `now`."""
        self.add_ok(now)
        self._bads[self._slot] += 1
        self.bad += 1

    def counts(self, now: float) -> tuple[int, int]:
        """Outcomes and bad ones in the window at `now`."""
        if now >= self._edge:
            self._advance(now)
        return self.n, self.bad

    def dump(self) -> list[Tally]:
        """The buckets that hold anything, oldest first."""
        buckets, tallies = len(self._ns), list[Tally]()
        for bucket in range(self._head - buckets + 1, self._head + 1):
            slot = bucket % buckets
            if self._ns[slot]:
                tallies.append(((bucket + 0.5) * self._width, self._ns[slot], self._bads[slot]))
        return tallies

    def load(self, tallies: Sequence[Tally], now: float) -> None:
        """Count again what `dump` gave; what lies after `now` or too far back is left out."""
        self.clear()
        for at, n, bad in tallies:
            if at <= now + self._width:  # the middle of the newest bucket may lie ahead
                self.counts(at)
                self._ns[self._slot] += n
                self._bads[self._slot] += bad
                self.n += n
                self.bad += bad
        self.counts(now)

    def _advance(self, now: float) -> None:
        """Make the bucket of `now` the newest one, and empty those that left the window."""
        width, buckets = self._width, len(self._ns)
        bucket = int(now // width)
        # Division and product may round apart; the definition above is about the product.
        while now >= (bucket + 1) * width:
            bucket += 1
        while now < bucket * width:
            bucket -= 1
        if self._edge != -math.inf:
            for slot in range(self._head + 1, 1 + min(bucket, self._head + buckets)):
                slot %= buckets
                self.n -= self._ns[slot]
                self.bad -= self._bads[slot]
                self._ns[slot] = self._bads[slot] = 0
        self._head = bucket
        self._slot = bucket % buckets
        self._edge = (bucket + 1) * width
