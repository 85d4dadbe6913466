"""A projection is the pace of now, blended with what the window before spent at the same hours."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from understudy_actors.ledger import projection as real
from understudy_actors.ledger.windows import Period, Span

DAY_S: Final = 86_400.0
START: Final = 1_772_900_000.0
LENGTHS: Final = {
    Period.HOUR: (3_600.0, 1_800.0),
    Period.DAY: (DAY_S, DAY_S - 3_600, DAY_S + 3_600, DAY_S - 1_800),
    Period.WEEK: (7 * DAY_S, 7 * DAY_S + 3_600),
    Period.MONTH: (28 * DAY_S, 30 * DAY_S, 31 * DAY_S - 3_600),
}
amounts = st.integers(0, 10**9)
shares = st.integers(0, 1000).map(lambda mills: mills / 1000)


@st.composite
def courses(draw: st.DrawFn, period: Period, start: float, charges: st.SearchStrategy[int]) -> Any:
    """A window of a length that its zone may make it."""
    span = Span(start, start + draw(st.sampled_from(LENGTHS[period])))
    slots = int((span.end - span.start) // real.SLOT_S[period])
    profile = draw(st.dictionaries(st.integers(0, max(0, slots - 1)), amounts, max_size=6))
    return real.Course(
        span, sum(profile.values()), draw(amounts), draw(charges), profile, span.start
    )


ENOUGH: Final = st.integers(20, 99)


@st.composite
def cases(draw: st.DrawFn, charges: st.SearchStrategy[int] = ENOUGH) -> Any:
    """A period, a window, the one before it, if any, and a time."""
    period = draw(st.sampled_from(list(LENGTHS)))
    now = draw(courses(period, START, charges))
    before = draw(st.none() | courses(period, START - 1e7, charges))
    return period, now, before, START + draw(shares) * (now.span.end - START) * 0.999


def exact(period: Period, now: Any, before: Any, wall: float) -> tuple[Fraction, Fraction]:
    """What 5.3 of the algorithms' page says, second by second of each slot, without rounding."""
    elapsed, length = Fraction(wall - now.span.start), Fraction(now.span.end - now.span.start)
    left, share = length - elapsed, elapsed / length
    own = Fraction(now.spent) / elapsed
    if before is None or not before.spent:
        return now.spent + now.reserved + own * left, own * 30 * 86_400
    old, slot_s = Fraction(before.span.end - before.span.start), Fraction(real.SLOT_S[period])
    mean = Fraction(before.spent) / old
    to_come = Fraction(0)
    for slot, spent in before.profile.items():
        low, high = slot * slot_s, min((slot + 1) * slot_s, old)
        to_come += spent * max(Fraction(0), min(high, length) - max(low, elapsed)) / (high - low)
    to_come += mean * min(left, max(Fraction(0), length - old))
    blended = share * own * left + (1 - share) * to_come
    return now.spent + now.reserved + blended, (share * own + (1 - share) * mean) * 30 * 86_400


def check_projection(module: ModuleType) -> None:
    """Raise unless it is what the formula says."""

    @given(cases())
    def projects(case: Any) -> None:
        period, now, before, wall = case
        found = module.forecast(period, now, before, wall)
        share = (wall - now.span.start) / (now.span.end - now.span.start)
        if share < 0.05:
            assert found == module.Forecast(why="too early in the window")
            return
        at_end, month = exact(period, now, before, wall)
        assert found.at_end == pytest.approx(float(at_end), rel=1e-9, abs=1)
        assert found.next_30_days == pytest.approx(float(month), rel=1e-9, abs=1)
        assert found.at_end >= now.spent + now.reserved

    projects()


def check_more_is_more(module: ModuleType) -> None:
    """Raise if more spent, more reserved or a dearer window before made a projection smaller."""

    @given(cases(), amounts, st.sampled_from(["spent", "reserved", "before"]))
    def monotone(case: Any, more: int, where: str) -> None:
        period, now, before, wall = case
        least = module.forecast(period, now, before, wall)
        if where == "spent":
            now = module.Course(
                now.span, now.spent + more, now.reserved, now.charges + 1, now.profile
            )
        elif where == "reserved":
            now = module.Course(now.span, now.spent, now.reserved + more, now.charges, now.profile)
        elif before is not None and before.spent:
            profile = {slot: spent + more for slot, spent in before.profile.items()}
            total = before.spent + more * len(profile)
            before = module.Course(before.span, total, 0, before.charges, profile)
        most = module.forecast(period, now, before, wall)
        if least.at_end is None:
            assert most.at_end is None
        else:
            assert most.at_end >= least.at_end
            assert most.next_30_days >= least.next_30_days

    monotone()


def check_too_few(module: ModuleType) -> None:
    """Raise if anything is said after fewer than 20 charges."""

    @given(cases(st.integers(0, 19)))
    def nothing(case: Any) -> None:
        assert module.forecast(*case) == module.Forecast(why="fewer than 20 charges")

    nothing()


def check_steady(module: ModuleType) -> None:
    """Raise unless whoever spends as before will have spent as before."""
    day = Span(START, START + DAY_S)
    profile = dict.fromkeys(range(24), 1000)
    before = module.Course(Span(START - DAY_S, START), 24_000, 0, 24, profile)
    for hour in range(2, 24):
        now = module.Course(day, hour * 1_000, 0, 20)
        found = module.forecast(Period.DAY, now, before, START + hour * 3_600)
        assert (found.at_end, found.next_30_days) == (24_000, 720_000)


def check_evening(module: ModuleType) -> None:
    """Raise unless the same hours count: after a busy evening yesterday, one is expected."""
    before = module.Course(Span(START - DAY_S, START), 1_000_000, 0, 99, {20: 1_000_000})
    now = module.Course(Span(START, START + DAY_S), 100_000, 0, 20)
    found = module.forecast(Period.DAY, now, before, START + DAY_S / 2)
    assert found.at_end == 100_000 + 50_000 + 500_000
    past = module.forecast(Period.DAY, now, before, START + DAY_S * 23 / 24)
    assert past.at_end == pytest.approx(100_000 + 100_000 / 24, abs=2)


def check_short_day(module: ModuleType) -> None:
    """Raise unless a day of 23 hours says of a 25th hour what it says on average."""
    yesterday = Span(START - 23 * 3_600, START)
    before = module.Course(yesterday, 23_000, 0, 23, dict.fromkeys(range(23), 1000))
    now = module.Course(Span(START, START + 25 * 3_600), 24_000, 0, 24)
    found = module.forecast(Period.DAY, now, before, START + 24 * 3_600)
    assert (found.at_end, found.next_30_days) == (25_000, 720_000)


def check_total(module: ModuleType) -> None:
    """Raise unless a budget without an end has a next month only, after a day and a half."""
    ever = Span(float("-inf"), float("inf"))
    now = module.Course(ever, 3_000_000, 5, 20, {}, START)
    soon = module.forecast(Period.TOTAL, now, None, START + 1.4 * DAY_S)
    assert soon == module.Forecast(why="too early in the window")
    later = module.forecast(Period.TOTAL, now, None, START + 3 * DAY_S)
    assert later == module.Forecast(None, 30_000_000)
    never = module.Course(ever, 0, 0, 20)
    assert module.forecast(Period.TOTAL, never, None, START).why is not None


LAWS: Final = (
    check_steady,
    check_evening,
    check_short_day,
    check_total,
    check_too_few,
    check_projection,
    check_more_is_more,
)


@pytest.mark.parametrize("law", LAWS)
def test_projections_keep_the_law(law: Callable[[ModuleType], None]) -> None:
    law(real)


@given(st.sampled_from(list(LENGTHS)), st.floats(0, 1))
def test_a_window_has_at_most_32_slots(period: Period, share: float) -> None:
    span = Span(START, START + max(LENGTHS[period]))
    slot = real.slot_of(period, span, START + share * (span.end - START) * 0.999)
    assert slot is not None
    assert 0 <= slot < 32
    assert real.slot_of(Period.TOTAL, span, START) is None
