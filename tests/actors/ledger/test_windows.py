"""Windows tile time: every moment is in exactly one, whatever the clocks of a zone do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from understudy.zones import IanaZone, UnknownZone
from understudy_actors.ledger.windows import EVER, Period, day_of, window_of

ZONES = ("America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")
ODD = (*ZONES, "Pacific/Apia", "America/Havana", "Africa/Cairo", "Asia/Kathmandu")
CALENDAR = (Period.DAY, Period.WEEK, Period.MONTH)
MOMENTS = st.floats(0, 4e9) | st.integers(0, 90_000).map(lambda half: half * 1800.0)


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("period", CALENDAR)
def test_a_year_of_windows_has_no_gap_and_no_overlap(period: Period, name: str) -> None:
    zone = IanaZone(name)
    wall = datetime(2026, 1, 1, tzinfo=ZoneInfo(name)).timestamp()
    end = datetime(2027, 1, 1, tzinfo=ZoneInfo(name)).timestamp()
    window = window_of(period, wall, zone)
    assert window.holds(wall)
    seen = 0
    while window.start < end:
        following = window_of(period, window.end, zone)
        assert following.start == window.end
        assert window_of(period, window.end - 1e-3, zone) == window
        window, seen = following, seen + 1
    assert seen == {Period.DAY: 365, Period.WEEK: 53, Period.MONTH: 12}[period]


@given(st.sampled_from(ODD), st.sampled_from(CALENDAR), MOMENTS)
def test_a_moment_is_in_the_window_of_its_date(name: str, period: Period, wall: float) -> None:
    window, zone = window_of(period, wall, IanaZone(name)), ZoneInfo(name)
    assert window.holds(wall)
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


@given(st.sampled_from(ODD), MOMENTS)
def test_hours_tile_their_day(name: str, wall: float) -> None:
    zone = IanaZone(name)
    hour, day = window_of(Period.HOUR, wall, zone), window_of(Period.DAY, wall, zone)
    assert hour.holds(wall)
    assert day.start <= hour.start < hour.end <= day.end
    assert hour.end - hour.start == 3600 or hour.end == day.end
    assert window_of(Period.HOUR, hour.end, zone).start == hour.end
    assert window_of(Period.HOUR, hour.start, zone) == hour


@given(st.sampled_from(ODD), st.lists(MOMENTS, min_size=2, max_size=2))
def test_days_never_run_backwards(name: str, moments: list[float]) -> None:
    zone, (earlier, later) = IanaZone(name), sorted(moments)
    assert day_of(earlier, zone) <= day_of(later, zone)


@settings(max_examples=20)
@given(MOMENTS)
def test_the_total_never_ends(wall: float) -> None:
    assert window_of(Period.TOTAL, wall, IanaZone("UTC")) == EVER
    assert EVER.holds(wall)


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
