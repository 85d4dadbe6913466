"""What a budget will have spent, if things go on as they do: advice, which never refuses anybody.

    f      = the share of the window that has passed
    rate   = f * spent / elapsed  +  (1 - f) * what the window before spent at the same hours
    spent at the end = spent + reserved + rate * the time that is left

so that the pace of today counts the more, the more of it there is. Too early in a window, or after
a few charges only, nothing can be said. Hours are those since the beginning of a window; of longer
windows a profile has coarser slots, since every user may have one.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct

from understudy_actors.ledger.windows import Period, Span

SLOT_S: Final = {
    Period.HOUR: 300.0,
    Period.DAY: 3_600.0,
    Period.WEEK: 6 * 3_600.0,
    Period.MONTH: 86_400.0,
}
"""How long a slot of a window's profile is, in seconds: at most 32 of them."""
SHARE_MIN: Final = 0.05
CHARGES_MIN: Final = 20
MONTH_S: Final = 30 * 86_400.0

TOO_EARLY: Final = "too early in the window"
TOO_FEW: Final = f"fewer than {CHARGES_MIN} charges"


class Course(Struct, frozen=True):
    """How a window has gone so far; money in micro-USD.

    Attributes:
        span: The window.
        spent, reserved: In it.
        charges: How many there were.
        profile: Slot (see `SLOT_S`) to what was spent in it.
        first_at: When the first charge was reserved, in Unix seconds; None before.
    """

    span: Span
    spent: int
    reserved: int = 0
    charges: int = 0
    profile: dict[int, int] = {}
    first_at: float | None = None


class Forecast(Struct, frozen=True):
    """What is to be expected, in micro-USD; None and a reason where nothing can be said.

    Attributes:
        at_end: Spent in the current window at its end; None too for a window without one.
        next_30_days: Spent in the 30 days from now.
        why: Why there is none.
    """

    at_end: int | None = None
    next_30_days: int | None = None
    why: str | None = None


def slot_of(period: Period, span: Span, wall: float) -> int | None:
    """The slot of a window that holds `wall`; None if it has no slots."""
    slot_s = SLOT_S.get(period)
    if slot_s is None:
        return None
    return int((wall - span.start) // slot_s) if wall > span.start else 0


def forecast(period: Period, now: Course, before: Course | None, wall: float) -> Forecast:
    """What is to be expected at `wall` (Unix seconds) of a budget.

    Args:
        period: Its windows.
        now: The current one.
        before: The one before it; one in which nothing was spent says nothing.
        wall: The time, within the current window.
    """
    if now.charges < CHARGES_MIN:
        return Forecast(why=TOO_FEW)
    if period is Period.TOTAL:
        return _endless(now, wall)
    elapsed_s, length_s = wall - now.span.start, now.span.end - now.span.start
    share = elapsed_s / length_s if length_s > 0 else 0.0
    if share < SHARE_MIN:
        return Forecast(why=TOO_EARLY)
    left_s = now.span.end - wall
    pace = to_come = now.spent / elapsed_s
    to_come *= left_s
    if before is not None and before.spent:
        before_s = before.span.end - before.span.start
        to_come = share * to_come + (1 - share) * rest_of(period, before, elapsed_s, left_s)
        pace = share * pace + (1 - share) * before.spent / before_s
    return Forecast(now.spent + now.reserved + _whole(to_come), _whole(pace * MONTH_S))


def rest_of(period: Period, before: Course, from_s: float, left_s: float) -> float:
    """What a window spent from `from_s` seconds after its beginning on, for `left_s` seconds.

    A slot is spent evenly. Where it was shorter than that, it is taken to have gone on as it went
    on average.
    """
    slot_s, length_s = SLOT_S[period], before.span.end - before.span.start
    found = 0.0
    for slot, spent in before.profile.items():
        begin_s = slot * slot_s
        end_s = min(begin_s + slot_s, length_s)
        overlap_s = min(end_s, from_s + left_s) - max(begin_s, from_s)
        if overlap_s > 0 and end_s > begin_s:
            found += spent * overlap_s / (end_s - begin_s)
    missing_s = min(left_s, max(0.0, from_s + left_s - length_s))
    return found + before.spent / length_s * missing_s


def _endless(now: Course, wall: float) -> Forecast:
    elapsed_s = wall - now.first_at if now.first_at is not None else 0.0
    if elapsed_s < SHARE_MIN * MONTH_S:
        return Forecast(why=TOO_EARLY)
    return Forecast(None, _whole(now.spent / elapsed_s * MONTH_S))


def _whole(micro_usd: float) -> int:
    return math.ceil(micro_usd - 1e-6)
