"""Windows tile time: every moment is in exactly one, whatever the clocks of a zone do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from understudy.zones import IanaZone, UnknownZone
from understudy_actors.ledger import windows
from understudy_actors.ledger.windows import Period, day_of, window_of

ZONES = ("America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")
ODD = (*ZONES, "Pacific/Apia", "America/Havana", "Africa/Cairo", "Asia/Kathmandu")
CALENDAR = (Period.DAY, Period.WEEK, Period.MONTH)
MOMENTS = st.floats(0, 4e9) | st.integers(0, 90_000).map(lambda half: half * 1800.0)


def check_years(module: ModuleType) -> None:
    """Raise unless a year of windows has no gap and no overlap."""
    for name, period in itertools.product(ZONES, CALENDAR):
        zone, period = IanaZone(name), module.Period(period.value)
        wall = datetime(2026, 1, 1, tzinfo=ZoneInfo(name)).timestamp()
        end = datetime(2027, 1, 1, tzinfo=ZoneInfo(name)).timestamp()
        window = module.window_of(period, wall, zone)
        assert window.holds(wall)
        seen = 0
        while window.start < end:
            following = module.window_of(period, window.end, zone)
            assert following.start == window.end
            assert module.window_of(period, window.end - 1e-3, zone) == window
            window, seen = following, seen + 1
        assert seen == {"day": 365, "week": 53, "month": 12}[period.value]


def check_dates(module: ModuleType) -> None:
    """Raise unless a moment is in the window of its date."""

    @given(st.sampled_from(ODD), st.sampled_from(CALENDAR), MOMENTS)
    def dates(name: str, period: Period, wall: float) -> None:
        window = module.window_of(module.Period(period.value), wall, IanaZone(name))
        zone = ZoneInfo(name)
        assert window.holds(wall)
        assert not window.holds(window.end)
        for edge in (window.start, window.end):
            local = datetime.fromtimestamp(edge, zone)
            # A midnight that a zone leaves out is the first moment after the gap.
            late = local - local.replace(hour=0, minute=0, second=0, microsecond=0)
            assert late <= timedelta(hours=1)
            if period is Period.WEEK:
                assert local.weekday() == 0 or name == "Pacific/Apia"
            if period is Period.MONTH:
                assert local.day == 1
        shortest = {Period.DAY: 0, Period.WEEK: 6 * 86400, Period.MONTH: 27 * 86400}[period]
        assert window.end - window.start >= shortest

    dates()


def check_hours(module: ModuleType) -> None:
    """Raise unless hours tile their day."""

    @given(st.sampled_from(ODD), MOMENTS)
    def hours(name: str, wall: float) -> None:
        zone = IanaZone(name)
        hour = module.window_of(module.Period.HOUR, wall, zone)
        day = module.window_of(module.Period.DAY, wall, zone)
        assert hour.holds(wall)
        assert day.start <= hour.start < hour.end <= day.end
        assert hour.end - hour.start == 3600 or hour.end == day.end
        assert module.window_of(module.Period.HOUR, hour.end, zone).start == hour.end
        assert module.window_of(module.Period.HOUR, hour.start, zone) == hour

    hours()


def check_days(module: ModuleType) -> None:
    """Raise if days ever run backwards."""

    @given(st.sampled_from(ODD), st.lists(MOMENTS, min_size=2, max_size=2))
    def days(name: str, moments: list[float]) -> None:
        zone, (earlier, later) = IanaZone(name), sorted(moments)
        assert module.day_of(earlier, zone) <= module.day_of(later, zone)

    days()


def check_total(module: ModuleType) -> None:
    """Raise unless the total never ends."""
    for wall in (0.0, 1e9, 4e9):
        assert module.window_of(module.Period.TOTAL, wall, IanaZone("UTC")) == module.EVER
        assert module.EVER.holds(wall)


LAWS: Final = (check_total, check_years, check_dates, check_hours, check_days)


@pytest.mark.parametrize("law", LAWS)
def test_windows_keep_the_law(law: Callable[[ModuleType], None]) -> None:
    law(windows)


@pytest.mark.parametrize(
    ("name", "date", "hours"),
    [
        ("America/New_York", (2026, 3, 8), 23),
        ("America/New_York", (2026, 11, 1), 25),
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("Australia/Lord_Howe", (2026, 10, 4), 23.5),
        ("Asia/Kolkata", (2026, 3, 8), 24),
    ],
)
def test_a_day_is_as_long_as_its_clocks_make_it(
    name: str, date: tuple[int, int, int], hours: float
) -> None:
    noon = datetime(*date, 12, tzinfo=ZoneInfo(name)).timestamp()
    day = window_of(Period.DAY, noon, IanaZone(name))
    assert (day.end - day.start) / 3600 == hours


def test_a_day_that_a_zone_left_out_is_empty() -> None:
    zone = IanaZone("Pacific/Apia")
    skipped = (datetime(2011, 12, 30, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
    assert zone.day_start(skipped) == zone.day_start(skipped + 1)
    assert day_of(zone.day_start(skipped), zone) == skipped + 1


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_an_unknown_zone_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnknownZone, match="IANA name"):
        IanaZone(name)
