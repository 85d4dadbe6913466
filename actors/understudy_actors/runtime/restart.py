"""When a crashed actor may come back: plain arithmetic on times, no clock and no timer."""

from __future__ import annotations

import math
from collections import deque

import attrs


@attrs.define(slots=True)
class RestartIntensity:
    """Allow `max_restarts` within any `period_s` seconds.

    It counts times, not messages: a child that works for a second between crashes is no better
    off. Old times leave by themselves, so a child that heals is trusted again.

    Source: the restart intensity of Erlang/OTP's supervisor.
    """

    max_restarts: int = 5
    period_s: float = 30.0
    _at: deque[float] = attrs.field(factory=deque, init=False)

    def allows(self, now_s: float) -> bool:
        """Count a restart at `now_s` if there is room for it in the period that ends there."""
        while self._at and self._at[0] <= now_s - self.period_s:
            self._at.popleft()
        if len(self._at) >= self.max_restarts:
            return False
        self._at.append(now_s)
        return True

    @property
    def recent(self) -> int:
        """Restarts counted in the last period."""
        return len(self._at)


@attrs.define(slots=True)
class Backoff:
    """How long to wait before a restart: doubling, bounded, forgotten after a quiet time.

    The jitter only shortens, so `max_s` is a bound: a wait is between `1 - jitter` and 1 times
    `min(max_s, min_s * 2**n)` for the n-th crash in a row.

    Source: the backoff supervisor of Apache Pekko (there the jitter lengthens).
    """

    min_s: float = 0.1
    max_s: float = 30.0
    quiet_s: float = 60.0
    jitter: float = 0.2
    _doublings: int = attrs.field(default=0, init=False)
    _crashed_at: float = attrs.field(default=-math.inf, init=False)

    def wait_s(self, now_s: float, chance: float) -> float:
        """Seconds to wait after a crash at `now_s`; `chance` is uniform in [0, 1)."""
        if now_s - self._crashed_at >= self.quiet_s:
            self._doublings = 0
        self._crashed_at = now_s
        full_s = min(self.max_s, math.ldexp(self.min_s, self._doublings))
        if full_s < self.max_s:
            self._doublings += 1  # further ones would change nothing, and one day overflow
        return full_s * (1 - self.jitter * chance)


@attrs.define(slots=True)
class PoisonDoor:
    """Refuse a kind of message for `refuse_s` once it crashed its actor too often.

    Too often is `limit` times within `within_s` seconds. Without it one bad kind of request would
    use up the restarts, and take down everybody's actor.
    """

    limit: int = 3
    within_s: float = 30.0
    refuse_s: float = 60.0
    _crashes: dict[type, deque[float]] = attrs.field(factory=dict, init=False)
    _until: dict[type, float] = attrs.field(factory=dict, init=False)

    @property
    def ajar(self) -> bool:
        """Is some kind refused (as far as was known at the last question)?"""
        return bool(self._until)

    def crashed(self, kind: type, now_s: float) -> None:
        """Note that handling a message of `kind` raised."""
        for each, times in list(self._crashes.items()):
            while times and times[0] <= now_s - self.within_s:
                times.popleft()
            if not times:
                del self._crashes[each]
        times = self._crashes.setdefault(kind, deque())
        times.append(now_s)
        if len(times) >= self.limit:
            del self._crashes[kind]
            self._until[kind] = now_s + self.refuse_s

    def refused_until(self, kind: type, now_s: float) -> float | None:
        """Until when `kind` is refused; None if it may pass."""
        for each, until in list(self._until.items()):
            if until <= now_s:
                del self._until[each]
        return self._until.get(kind)
