"""A free quota: calls that cost nothing, by days or months of UTC or of the provider's zone."""

from __future__ import annotations

from typing import Final

import attrs

from understudy_actors.domain.calendar import month_of
from understudy_actors.domain.candidate import FreeQuota
from understudy_actors.ledger.windows import day_of

_DAY_S: Final = 86_400


@attrs.define(slots=True)
class FreeMeter:
    """Counts the calls of one quota; a new window starts at 0.

    Once a window has begun, a clock that is set back opens no earlier one anew: what was used up
    then would be free twice.
    """

    quota: FreeQuota
    used: int = 0
    window: int = -1

    def left(self, wall: float) -> int:
        """Free calls left in the window that holds `wall` (Unix seconds)."""
        window = self._window_of(wall)
        if window > self.window:
            self.window, self.used = window, 0
        return self.quota.requests - self.used

    def take(self, wall: float) -> bool:
        """Use one free call, if one is left."""
        if self.left(wall) <= 0:
            return False
        self.used += 1
        return True

    def give_back(self, wall: float, after_s: float) -> None:
        """A call taken `after_s` seconds ago was never made; it counted in the window of then."""
        self.left(wall)
        if self.used and self._window_of(wall - after_s) == self.window:
            self.used -= 1

    def renewed_at(self, now: float, wall: float) -> float | None:
        """When, on the engine's clock, a new window may begin: at midnight; None if unused."""
        if not self.used:
            return None
        zone = self.quota.zone
        if zone is None:
            return now + (_DAY_S - wall % _DAY_S)
        return now + (zone.day_start(day_of(wall, zone) + 1) - wall)

    def _window_of(self, wall: float) -> int:
        zone = self.quota.zone
        day = int(wall // _DAY_S) if zone is None else day_of(wall, zone)
        return day if self.quota.per == "day" else month_of(day)


def metered(meter: FreeMeter | None, quota: FreeQuota | None) -> FreeMeter | None:
    """The meter of another quota, which goes on counting where this one stands, if it can."""
    if quota is None:
        return None
    if meter is None or meter.quota.per != quota.per:
        return FreeMeter(quota)
    meter.quota = quota
    return meter
