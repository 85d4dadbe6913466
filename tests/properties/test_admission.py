"""Laws of admission to the line, and of what makes requests identical."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given, strategies as st

from tests.actors.dispatcher.made import Seen, candidates, flight, spec
from understudy_actors.dispatcher import admission, collapse
from understudy_actors.dispatcher.queue import SlotQueue
from understudy_actors.domain.bulkhead import Compartment
from understudy_actors.domain.request import Request

seconds = st.floats(0.01, 1e3)
endpoints = st.lists(
    st.tuples(st.none() | seconds, st.integers(1, 50), st.booleans()), min_size=1, max_size=5
)


def check_pace(module: ModuleType) -> None:
    """Slots come free at limit over latency, of those who are open; ignorance is no pace."""

    @given(endpoints, st.floats(0, 100))
    def law(facts: list[tuple[float | None, int, bool]], now: float) -> None:
        made = []
        for index, (latency_s, limit, shut) in enumerate(facts):
            (each,) = candidates(spec(f"p{index}"), seen=Seen(latency=latency_s))
            each.limit, each.shut_until = limit, now + 1.0 if shut else 0.0
            made.append(each)
        pace, useful_s = module.slots_per_s(made, 100, now), module.useful_s(made, 100, now)
        known = [latency_s for latency_s, _, _ in facts if latency_s is not None]
        if len(known) < len(facts):
            assert pace is None
            assert useful_s == 0.0
            return
        expected = sum(
            limit / latency_s
            for latency_s, limit, shut in facts
            if latency_s is not None and not shut
        )
        assert pace == (pytest.approx(expected) if expected else None)
        assert useful_s == min(known) / 2

    law()


def check_hints(module: ModuleType) -> None:
    """Whoever is turned away is told a time that is to come, and not far off."""

    @given(st.none() | st.floats(1e-6, 1e6), st.floats(0, 1e6), seconds, seconds)
    def law(pace: float | None, now: float, left_s: float, over_s: float) -> None:
        for error in (
            module.queue_full(3, pace, now),
            module.too_late(3, left_s + over_s, left_s, now),
        ):
            assert error.retry_after_s is not None
            assert 0 < error.retry_after_s <= 60.0
            assert error.retry_at == now + error.retry_after_s
        if pace is not None and pace > 1.0:
            assert module.queue_full(3, pace, now).retry_after_s == 1.0 / pace

    law()


def check_waits(module: ModuleType) -> None:
    """Whose turn is expected too late is turned away, and told of those who are ahead of it."""

    @given(
        st.integers(0, 12),
        st.integers(1, 9),
        seconds,
        st.lists(st.booleans(), max_size=12),
        st.booleans(),
        st.booleans(),
        st.floats(0.02, 1e3),
    )
    def law(
        others: int,
        limit: int,
        latency_s: float,
        alike: list[bool],
        mine: bool,
        held: bool,
        left_s: float,
    ) -> None:
        made = candidates(spec("p"), seen=Seen(latency=latency_s))
        made[0].limit = made[0].in_flight = limit
        line, third = SlotQueue(capacity=others + len(alike) + 1), Compartment("t", 1 / 3)
        for own in [*((),) * others, *((third,) if each else () for each in alike)]:
            line.join(made, 0, bool, compartments=own)
        count, siblings = len(line) - sum(alike), sum(alike)
        if held:  # those of the third let others pass
            made[0].held["t"] = max(1, limit // 3)
        else:
            count += siblings
        going = flight(deadline=5.0 + left_s, compartments=(third,) if mine else ())
        refused = module.turned_away(line, going, made, 5.0)
        wait_s = count * latency_s / limit
        if mine:
            wait_s = max(wait_s, siblings * latency_s / max(1, limit // 3))
        useful_s = left_s - latency_s / 2
        if abs(wait_s - useful_s) > 1e-6:
            assert (refused is not None) == (wait_s > useful_s)
        if refused is not None:
            ahead = siblings if mine and siblings / max(1, limit // 3) > count / limit else count
            assert str(refused).startswith(f"{ahead} requests wait")
        line.join(made, 0, bool)
        assert "already" in str(module.turned_away(line, going, made, 5.0))

    law()


def check_identity(module: ModuleType) -> None:
    """Only what changes an answer tells requests apart, and only steady answers are shared."""
    plain = Request.chat("hi", temperature=0)
    same = Request.chat("hi", temperature=0, id="x", timeout_s=1, priority=3, hedge=True)
    others = (
        Request.chat("ho", temperature=0),
        Request.chat("hi", temperature=0, tenant="t"),
        Request.chat("hi", temperature=0, user="u"),
        Request.chat("hi", temperature=0, model="m"),
    )
    key = module.key_of(plain)
    assert key == module.key_of(same)
    assert len({key, *(module.key_of(each) for each in others)}) == len(others) + 1
    assert module.key_of(Request.custom("mine", object())) is None
    assert module.key_of(Request.custom("mine", "\ud800")) is None, "it has no text either"
    assert module.collapses(plain, True)
    assert module.collapses(Request.embed("hi"), True)
    assert not module.collapses(plain, False)
    assert not module.collapses(Request.chat("hi"), True)
    assert not module.collapses(Request.chat("hi", temperature=0.5), True)
    assert module.collapses(Request.chat("hi", collapse=True), False)
    assert not module.collapses(Request.chat("hi", temperature=0, collapse=False), True)


ADMISSION = (check_pace, check_hints, check_waits)


def test_the_pace_is_that_of_the_open_ones_and_ignorance_is_none() -> None:
    check_pace(admission)


def test_whoever_is_turned_away_is_told_when_to_come() -> None:
    check_hints(admission)


def test_whose_turn_comes_too_late_is_turned_away() -> None:
    check_waits(admission)


def test_identical_requests_are_those_with_the_same_answer() -> None:
    check_identity(collapse)
