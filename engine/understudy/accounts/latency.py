"""How long answers took, as counts by size: percentiles within 1.6 %, and sums that are exact.

The layout is that of HDR histograms: whole microseconds up to 31 have a bucket each, and every
doubling above is cut into 32 equal parts. Histograms of the same layout add up bucket by bucket, in
any order and without any loss, wherever they were counted; so two processes may add to one row of a
database at the same time. (The libraries for it, hdrhistogram and ddsketch, cost two to five times
as much for each value.)
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final

_PARTS_BITS: Final = 5
_PARTS: Final = 1 << _PARTS_BITS
LONGEST_US: Final = (1 << 32) - 1
"""Some 71 minutes; what takes longer counts as that."""
_SHIFT_MAX: Final = LONGEST_US.bit_length() - _PARTS_BITS - 1
LAST: Final = (_SHIFT_MAX << _PARTS_BITS) + (LONGEST_US >> _SHIFT_MAX)
"""The last bucket."""


def bucket_of(micros: int) -> int:
    """The bucket of a time in microseconds."""
    shift = micros.bit_length() - _PARTS_BITS - 1
    if shift > 0:
        return (shift << _PARTS_BITS) + (micros >> shift) if micros < LONGEST_US else LAST
    return micros if micros > 0 else 0


def bounds_of(bucket: int) -> tuple[int, int]:
    """The shortest and the longest time in a bucket, in microseconds."""
    shift = max(0, (bucket >> _PARTS_BITS) - 1)
    part = bucket - (shift << _PARTS_BITS)
    return part << shift, ((part + 1) << shift) - 1


class Latencies:
    """Counts of times by bucket; some 7 kB, however many times are in it."""

    __slots__ = ("_taken", "counts")

    def __init__(self, counts: Iterable[tuple[int, int]] = ()) -> None:
        """Begin with these counts by bucket."""
        self.counts = array("Q", bytes(8 * (LAST + 1)))
        for bucket, count in counts:
            self.counts[bucket] += count
        self._taken: array[int] | None = None

    def add(self, micros: int) -> None:
        """Count a time."""
        self.counts[bucket_of(micros)] += 1

    def merge(self, other: Latencies) -> None:
        """Count everything that another one has counted."""
        for bucket, count in other.items():
            self.counts[bucket] += count

    def items(self) -> list[tuple[int, int]]:
        """(bucket, count) of every bucket that is not empty."""
        return [(bucket, count) for bucket, count in enumerate(self.counts) if count]

    def take(self) -> list[tuple[int, int]]:
        """(bucket, count) of what was counted since this was called last."""
        counts, before = self.counts, self._taken
        self._taken = counts[:]
        if before is None:
            return self.items()
        pairs = enumerate(zip(counts, before, strict=True))
        return [(bucket, now - then) for bucket, (now, then) in pairs if now != then]

    @property
    def total(self) -> int:
        """How many times were counted."""
        return sum(self.counts)

    def percentile(self, share: float) -> float | None:
        """The time in seconds that `share` (0 to 1) of all did not exceed; None of none.

        It is the middle of the bucket that holds it.
        """
        rank, passed = max(1, -int(-share * self.total // 1)), 0
        for bucket, count in self.items():
            passed += count
            if passed >= rank:
                shortest, longest = bounds_of(bucket)
                return (shortest + longest) / 2e6
        return None
