"""What time brings about without any traffic: due transitions, slow starts, new free calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest
from hypothesis import given, settings, strategies as st

from tests.actors.dispatcher.made import spec
from tests.actors.provider_actor.house import DAY_S, House
from understudy_actors.domain import calendar
from understudy_actors.domain.candidate import FreeQuota
from understudy_actors.domain.events import BreakerMoved, HoldCleared
from understudy_actors.domain.outcome import ErrorClass, Verdict
from understudy_actors.provider import actor, free
from understudy_actors.provider.messages import HoldScope

SERVER = ErrorClass.SERVER
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_time(module: ModuleType) -> None:
    """Raise unless all that is due happens when it is due, with nobody asking."""
    house = House(module=module)
    house.attempt(SERVER)
    house.attempt(SERVER)
    house.ref.tell(HoldScope(2.0, "p/m0"))
    house.noticed.clear()
    assert len(house.world.timers) == 1
    house.pass_time(3.0)
    assert [event.at_s for event in house.of(HoldCleared)] == [2.0]
    house.pass_time(1.0)
    moved = house.of(BreakerMoved)[-1]
    assert (moved.at_s, moved.target) == (4.0, "half-open")
    assert house.noticed[-1].refusal(house.now) is None, "whoever waits is told"
    house.lend(timeout_s=1.0)  # a probe that never comes back
    house.pass_time(2.9)
    assert house.tier[0].shut_why == "probing"
    house.pass_time(0.1)
    assert house.tier[0].shut_why == "open", "its lease was over"
    house.pass_time(4.0)
    for _ in range(2):
        house.attempt()
    assert house.tier[0].ramp == 0.1
    house.pass_time(4.0)
    assert 0.4 <= house.tier[0].ramp <= 0.6
    house.pass_time(5.0)
    assert house.tier[0].ramp == 1.0
    house.pass_time(5.0)
    assert len(house.world.timers) == 0, "nothing is due, and nobody looks"
    for _ in range(9):
        for permit in [house.lend() for _ in range(house.tier[0].limit - 1)]:
            house.settle(permit)
    assert house.tier[0].limit > 3
    house.attempt(SERVER)
    house.attempt(SERVER)
    house.pass_time(15.0)
    house.attempt()
    house.attempt()
    assert house.tier[0].limit == 3, "it starts slowly"


def test_all_that_is_due_happens_when_it_is_due() -> None:
    check_time(actor)


def test_timers_do_not_pile_up() -> None:
    house = House()
    for nth in range(50):
        house.ref.tell(HoldScope(1000.0 - nth, "p/m0"))
        house.ref.tell(HoldScope(2000.0 + nth, "p/m0"))
        house.pass_time(1.0)
    assert len(house.world.timers) == 1


@pytest.mark.parametrize("per", ["day", "month"])
def test_a_new_day_brings_new_free_calls_without_traffic(per: str) -> None:
    start = (datetime(2026, 3, 31, 12, tzinfo=UTC) - EPOCH).total_seconds()
    house = House(spec("p", "m0", free_quota=FreeQuota(2, per)), now=start)
    assert house.tier[0].free_left == 2
    assert [house.lend().free for _ in range(3)] == [True, True, False]
    assert house.tier[0].free_left == 0
    house.pass_time(DAY_S / 2 - 1)
    assert house.tier[0].free_left == 0
    house.pass_time(1)
    assert house.tier[0].free_left == 2, "April begins, in UTC"


def check_free_calls(module: ModuleType) -> None:
    """Raise unless free calls are counted once each, also across a crash."""
    house = House(spec("p", "m0", free_quota=FreeQuota(3)), module=module)
    house.settle(house.lend())
    never = house.lend()
    house.settle(never, verdict=Verdict.VOID)
    assert house.tier[0].free_left == 2, "what was never sent used up nothing"
    house.settle(house.lend())
    house.crash()
    house.come_back()
    assert house.tier[0].free_left == 1
    late = house.lend()
    house.pass_time(DAY_S)
    house.settle(house.lend())
    house.settle(late, verdict=Verdict.VOID)
    assert house.tier[0].free_left == 2, "it came from yesterday's"


def test_free_calls_are_counted_once_each_also_across_a_crash() -> None:
    check_free_calls(actor)


def check_months(module: ModuleType) -> None:
    """Raise unless months are those of the calendar."""

    @settings(database=None, max_examples=300)
    @given(st.integers(0, 80_000) | st.integers(-20_000, 300_000))
    def month(day: int) -> None:
        date = EPOCH + timedelta(days=day)
        number = module.month_of(day)
        assert number == (date.year * 12 + date.month) - 3
        assert module.first_day(number) == (date.replace(day=1) - EPOCH).days

    month()
    first = module.month_of(0)
    months = {module.month_of(day) for day in range(4 * 366)}
    assert months == set(range(first, first + len(months))), "none is left out"


class Shifted:
    """A zone whose clocks are put an hour back on day 19,700, which has 25 hours."""

    def day_start(self, day: int) -> float:
        return day * DAY_S + (5 * 3600.0 if day > 19_700 else 4 * 3600.0)


def check_zone(module: ModuleType) -> None:
    """Raise unless days begin, and calls are free again, when they do in the quota's zone."""

    @settings(database=None)
    @given(st.lists(st.integers(19_698 * 24, 19_703 * 24), min_size=1, max_size=30).map(sorted))
    def local(hours: list[int]) -> None:
        zone = Shifted()
        meter, used = module.FreeMeter(FreeQuota(2, "day", zone)), dict[int, int]()
        for hour in hours:
            wall = hour * 3600.0 + 1800.0
            day = max(each for each in range(19_690, 19_710) if zone.day_start(each) <= wall)
            assert meter.take(wall) == (used.get(day, 0) < 2)
            used[day] = min(2, used.get(day, 0) + 1)
            assert meter.renewed_at(7.0, wall) == 7.0 + zone.day_start(day + 1) - wall

    local()
    meter, june = module.FreeMeter(FreeQuota(1, "month", Shifted())), 20_605 * DAY_S
    assert [meter.take(june + 3600.0 * hour) for hour in (4, 5)] == [True, True], "May, then June"


def check_a_clock_set_back(module: ModuleType) -> None:
    """Raise if a clock that is set back, and forward again, makes calls free twice."""
    for per, step_s in (("day", DAY_S), ("month", 31 * DAY_S)):
        meter, wall = module.FreeMeter(FreeQuota(2, per)), 1.7e9
        assert [meter.take(wall), meter.take(wall + step_s)] == [True, True]
        assert [meter.take(wall), meter.take(wall)] == [True, False], "today's are left, no others"
        assert meter.left(wall + step_s) == 0


def check_meter(module: ModuleType) -> None:
    """Raise if more calls are free than the quota has, in any window."""

    @settings(database=None)
    @given(
        st.integers(0, 4),
        st.sampled_from(["day", "month"]),
        st.lists(
            st.tuples(st.sampled_from([0.0, 3600.0, DAY_S, 17 * DAY_S]), st.booleans()),
            max_size=40,
        ),
    )
    def quota(requests: int, per: str, steps: list[tuple[float, bool]]) -> None:
        meter, wall = module.FreeMeter(FreeQuota(requests, per)), 1.7e9
        used: dict[object, int] = {window(wall, per): int(meter.take(wall))}
        taken = wall  # the first one
        for gap_s, back in steps:
            wall += gap_s
            here = window(wall, per)
            assert meter.left(wall) == requests - used.get(here, 0)
            if back:
                meter.give_back(wall, wall - taken)
                if window(taken, per) == here and used.get(here):
                    used[here] -= 1
            else:
                free_call = meter.take(wall)
                assert free_call == (used.get(here, 0) < requests)
                used[here] = used.get(here, 0) + free_call
            assert 0 <= meter.left(wall) <= requests
            at = meter.renewed_at(5.0, wall)
            assert (at is None) == (meter.used == 0)
            if at is not None:
                midnight = EPOCH + timedelta(seconds=round(wall + at - 5.0, 3))
                assert (midnight.hour, midnight.minute, midnight.second) == (0, 0, 0)

    quota()


def window(wall: float, per: str) -> object:
    date = EPOCH + timedelta(seconds=wall)
    return date.date() if per == "day" else (date.year, date.month)


def test_months_are_those_of_the_calendar() -> None:
    check_months(calendar)


def test_no_window_gives_more_free_calls_than_its_quota() -> None:
    check_meter(free)
    check_a_clock_set_back(free)
    check_zone(free)
