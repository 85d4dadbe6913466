"""How many attempts may run at once: additive increase, multiplicative decrease, in epochs.

    on OK         if the limit was at least half used:  limit += 1 below the threshold,
                  limit += 1 / limit from there on;  streak = 0
    on THROTTLE   if the call started after the last cut:  threshold = limit *= 0.85;  streak += 1
                  and nobody asks for U(0, min(15 s, 1 s * 2 ** (streak - 1)))

The threshold is infinite until the first refusal. Without such a slow start an engine that nobody
ever refuses takes minutes to grow from its initial limit to what its traffic needs, and turns
requests away meanwhile.

Calls that started before the last cut tell of congestion that was answered already: many refusals
at once are one piece of news. Latency is no signal here, because it is mostly the answer's length.

Sources: Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion
Avoidance" (1989); Jacobson, "Congestion Avoidance and Control" (1988, slow start); Netflix
concurrency-limits (growth only under use); TCP NewReno (one cut a window of data).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import attrs
from msgspec import Struct
from msgspec.structs import replace

_BACKOFF_S: Final = 1.0
_BACKOFF_CAP_S: Final = 15.0
_STREAK_MAX: Final = 16  # the back-off is at its cap long before


class ConcurrencySnapshot(Struct, frozen=True):
    """All that a limit knows but who is in flight; `last_cut` is on the engine's clock."""

    limit: float
    streak: int = 0
    last_cut: float | None = None
    threshold: float | None = None

    def moved(self, by_s: float) -> ConcurrencySnapshot:
        """The same on a clock that shows `by_s` more, such as another process's."""
        return replace(self, last_cut=None if self.last_cut is None else self.last_cut + by_s)


@attrs.define(slots=True, repr=False, eq=False)
class Concurrency:
    """One endpoint's limit on attempts in flight, and their count.

    Attributes:
        draw: Gives uniform numbers in [0, 1), for the back-off.
        initial: The limit to start from, and the most after a recovery.
        least: It is never cut below, >= 1.
        most: It never grows above, >= least.
        beta: What a cut multiplies it by, in (0, 1).
        limit: The limit.
        capacity: Its whole part: how many attempts may be in flight.
        in_flight: Slots in use. A rebuilt actor sets it from the attempts it still owes.
        streak: Congestion epochs since the last success.
    """

    _draw: Callable[[], float]
    initial: float = 8.0
    least: int = 1
    most: int = 256
    beta: float = 0.85
    limit: float = attrs.field(init=False)
    capacity: int = attrs.field(init=False)
    in_flight: int = attrs.field(default=0, init=False)
    streak: int = attrs.field(default=0, init=False)
    _last_cut: float = attrs.field(default=-math.inf, init=False)
    _threshold: float = attrs.field(default=math.inf, init=False)

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ValueError(
                f"a limit needs 1 <= least <= most, got least={self.least!r}, most={self.most!r}"
            )
        if not 0 < self.beta < 1:
            raise ValueError(f"`beta` must be between 0 and 1, both excluded, got {self.beta!r}")
        self.initial = float(min(max(self.initial, self.least), self.most))
        self._set(self.initial)

    def configure(self, initial: float, least: int, most: int) -> None:
        """Other bounds from now on; what was learned stays, as far as they allow."""
        if not 1 <= least <= most:
            raise ValueError(f"a limit needs 1 <= least <= most, got {least=!r}, {most=!r}")
        self.initial, self.least, self.most = min(max(initial, least), most), least, most
        self._set(float(min(max(self.limit, least), most)))

    @property
    def full(self) -> bool:
        """Are all slots in use? A lowered limit revokes none, so there may be more than all."""
        return self.in_flight >= self.capacity

    def started(self) -> int:
        """Take a slot; returns how many are in use with it, to be given back to `on_ok`."""
        self.in_flight += 1
        return self.in_flight

    def ended(self) -> None:
        """Give a slot back."""
        assert self.in_flight > 0, "a slot was given back twice"
        self.in_flight -= 1

    def on_ok(self, in_flight_at_start: int) -> None:
        """An attempt succeeded; `in_flight_at_start` is what `started` returned for it."""
        self.streak = 0
        limit = self.limit
        if in_flight_at_start * 2 >= limit and limit < self.most:
            growth = 1.0 if limit < self._threshold else 1.0 / limit
            self._set(min(limit + growth, float(self.most)))

    def on_throttle(self, now: float, started_at: float) -> float | None:
        """An attempt was refused because the provider is full.

        Args:
            now, started_at: Now, and when the attempt started, on the engine's clock.

        Returns:
            The back-off in seconds if this opened a new epoch, which cut the limit; else None.
        """
        if started_at < self._last_cut:
            return None
        self._threshold = max(float(self.least), self.limit * self.beta)
        self._set(self._threshold)
        self._last_cut = now
        self.streak = min(self.streak + 1, _STREAK_MAX)
        return self._draw() * min(_BACKOFF_CAP_S, _BACKOFF_S * 2.0 ** (self.streak - 1))

    def restart(self) -> None:
        """Start slowly after the breaker closed: from the initial limit to what it was before."""
        self._threshold = self.limit
        self._set(min(self.limit, self.initial))

    def snapshot(self) -> ConcurrencySnapshot:
        """Limit and epochs, as plain data."""
        cut = None if self._last_cut == -math.inf else self._last_cut
        threshold = None if self._threshold == math.inf else self._threshold
        return ConcurrencySnapshot(self.limit, self.streak, cut, threshold)

    def restore(self, snapshot: ConcurrencySnapshot, now: float) -> None:
        """Go on from a snapshot within the configured bounds; what is in flight stays."""
        self._set(min(max(snapshot.limit, float(self.least)), float(self.most)))
        self.streak = min(max(snapshot.streak, 0), _STREAK_MAX)
        cut = snapshot.last_cut
        self._last_cut = -math.inf if cut is None else min(cut, now)
        self._threshold = math.inf if snapshot.threshold is None else snapshot.threshold

    def _set(self, limit: float) -> None:
        self.limit = limit
        self.capacity = int(limit)

    def __repr__(self) -> str:
        return f"<Concurrency {self.in_flight} of {self.capacity} in flight>"
