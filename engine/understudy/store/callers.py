"""Minutes of whoever asks, beyond the process: written at most once a second, while others are."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from understudy.store.keeping import Keeping
from understudy_actors.keeper.outbox import Changes
from understudy_actors.limits.actor import TakeLimits
from understudy_actors.limits.gate import Limits, LimitsSnapshot
from understudy_actors.provider.account import SAVE_EVERY_S
from understudy_actors.runtime.actor import Ref
from understudy_actors.runtime.errors import ActorError
from understudy_actors.runtime.ports import Clock

KEY: Final = "limits"


class Minutes(Struct, frozen=True):
    """All limits as they were at `now` on that process's clock, `wall` since the epoch."""

    now: float
    wall: float
    limits: LimitsSnapshot


class Callers:
    """Asks the limits' actor. Traffic stirs the store anyway, by what providers learn from it."""

    def __init__(self, limits: Ref, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._next_at = 0.0
        self._empty = True

    def gather(self, wall: float) -> Changes | None:
        """See `Source`. While the actor is down, what was written before is all there is."""
        now = self._clock.now()
        if now < self._next_at:
            return None
        try:
            known: LimitsSnapshot = self._limits.ask_now(TakeLimits())
        except ActorError:
            return None
        if self._empty and not known.scopes:
            return None
        self._next_at, self._empty = now + SAVE_EVERY_S, not known.scopes
        return Changes({KEY: Minutes(now, wall, known)})

    def kept(self) -> None:
        """See `Source`."""


def take_over(limits: Limits, keeping: Keeping, clock: Clock) -> None:
    """Go on with the minutes of an earlier process. Raises `StoreFailed` if it cannot be read."""
    known = keeping.state(KEY, Minutes)
    if known is not None:
        now = clock.now()
        by_s = now - known.now - max(0.0, clock.wall() - known.wall)
        limits.restore(known.limits.moved(by_s), now)
