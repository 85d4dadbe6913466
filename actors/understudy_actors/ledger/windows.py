"""Calendar windows of money: hours, days, weeks from Monday, months, and one that never ends.

Windows are half-open and tile time: the end of one is the start of the next, whatever a time zone
does to its clocks. Local days of 23 or 25 hours make windows of that length, and a day that a zone
left out makes an empty one. All arithmetic is on whole days; only the zone knows when one begins.
Hours are counted from the beginning of a day, so that the last one of a day may be shorter.
"""

from __future__ import annotations

import enum
import math
from typing import Final

from msgspec import Struct

from understudy_actors.domain.calendar import Zone as Zone, first_day, month_of

_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
_MONDAY: Final = 3  # 1970-01-01 was a Thursday


class Period(enum.StrEnum):
    """How often a limit starts anew."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


class Span(Struct, frozen=True):
    """From `start` up to, but not including, `end`; seconds since the Unix epoch."""

    start: float
    end: float

    def holds(self, wall: float) -> bool:
        """Does it hold this time?"""
        return self.start <= wall < self.end


EVER: Final = Span(-math.inf, math.inf)


def day_of(wall: float, zone: Zone) -> int:
    """The local day that holds `wall`."""
    day = int(wall // _DAY_S)
    while zone.day_start(day) > wall:
        day -= 1
    while zone.day_start(day + 1) <= wall:
        day += 1
    return day


def window_of(period: Period, wall: float, zone: Zone) -> Span:
    """The window that holds `wall`."""
    if period is Period.TOTAL:
        return EVER
    day = day_of(wall, zone)
    if period is Period.HOUR:
        midnight, end = zone.day_start(day), zone.day_start(day + 1)
        start = midnight + (wall - midnight) // _HOUR_S * _HOUR_S
        return Span(start, min(start + _HOUR_S, end))
    if period is Period.DAY:
        first, last = day, day + 1
    elif period is Period.WEEK:
        first = day - (day + _MONDAY) % 7
        last = first + 7
    else:
        month = month_of(day)
        first, last = first_day(month), first_day(month + 1)
    return Span(zone.day_start(first), zone.day_start(last))
