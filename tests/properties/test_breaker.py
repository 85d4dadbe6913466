"""Laws of the breaker, one at a time."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.properties.breaker_model import growth
from understudy_actors.domain.outcome import Verdict
from understudy_actors.provider import windows
from understudy_actors.provider.breaker import Breaker
from understudy_actors.provider.policy import DEFAULT, BreakerPolicy, classic
from understudy_actors.provider.transitions import BreakerSnapshot, State

OK, FAIL = Verdict.OK, Verdict.FAIL
GAPS = st.floats(0, 5) | st.floats(0, 1000)


def attempt(breaker: Breaker, now: float, verdict: Verdict) -> bool:
    """Admit and settle at once, if it admits."""
    if breaker.check(now) is not None:
        return False
    breaker.release(now, 0, breaker.admit(now, 0, 30.0), verdict)
    return True


@given(
    ends=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60),
    trip_after=st.integers(1, 6),
    cooldown_s=st.floats(1e-3, 1e4),
)
def test_classic_opens_exactly_when_the_last_n_current_outcomes_failed_for_exactly_t_seconds(
    ends: list[tuple[bool, bool]], trip_after: int, cooldown_s: float
) -> None:
    policy = classic(trip_after, cooldown_s)
    breaker = Breaker(policy, lambda: pytest.fail("it draws nothing"))
    stale = breaker.admit(0.0, 1, 30.0)
    breaker.reset(0.0)
    now, seen = 0.0, list[bool]()
    for ok, current in ends:
        now += 0.125
        generation = breaker.generation if current else stale
        heard = breaker.release(
            now, 2, generation, OK if ok else FAIL, retry_after_s=1e6, duration_s=1e6
        )
        assert heard == current
        if current:
            seen.append(ok)
        if seen[-trip_after:] == [False] * trip_after:
            assert breaker.state is State.OPEN
            assert breaker.until == now + cooldown_s
            refusal = breaker.check(math.nextafter(now + cooldown_s, 0))
            assert refusal is not None
            assert refusal.retry_at == now + cooldown_s
            now += cooldown_s
            assert attempt(breaker, now, OK), "one success"
            seen.clear()
        assert breaker.state is State.CLOSED


@given(gaps=st.lists(st.floats(0, 1e6), min_size=5, max_size=5))
def test_failures_alone_open_it_at_the_kth_however_sparse_they_are(gaps: list[float]) -> None:
    breaker, now = Breaker(DEFAULT, lambda: 0.5), 0.0
    for index, gap in enumerate(gaps):
        assert breaker.state is State.CLOSED, f"after {index}"
        now += gap
        attempt(breaker, now, FAIL)
    assert breaker.state is State.OPEN


@given(outcomes=st.integers(0, 10**7))
@example(30)
@example(150)
@example(750)
def test_the_threshold_grows_with_the_logarithm_of_traffic(outcomes: int) -> None:
    assert DEFAULT.threshold(outcomes) == 5 + growth(DEFAULT, outcomes)


def test_the_threshold_at_the_usual_traffic() -> None:
    assert [DEFAULT.threshold(n) for n in (0, 6, 7, 120, 2400)] == [5, 5, 6, 7, 9]


@given(
    script=st.lists(
        st.tuples(GAPS, st.sampled_from([*Verdict, FAIL, FAIL]), st.booleans()), max_size=60
    ),
    looks=st.lists(st.floats(0, 1), max_size=3),
)
def test_many_ticks_are_one_late_tick(
    script: list[tuple[float, Verdict, bool]], looks: list[float]
) -> None:
    policy = BreakerPolicy(run_threshold=2, growth=False, calm_s=20.0)
    seldom, often = (Breaker(policy, iter(_draws()).__next__) for _ in range(2))
    now, permits = 0.0, list[tuple[int, int]]()
    for permit, (gap, verdict, keep) in enumerate(script):
        for look in sorted(looks):
            often.tick(now + look * gap)
            often.check(now + look * gap)
        now += gap
        assert seldom.check(now) == often.check(now)
        if seldom.check(now) is None:
            generation = seldom.admit(now, permit, 30.0)
            assert often.admit(now, permit, 30.0) == generation
            permits.append((permit, generation))
        if permits and not keep:
            back = permits.pop(0)
            heard = [each.release(now, *back, verdict) for each in (seldom, often)]
            assert heard[0] == heard[1]
    assert seldom.snapshot() == often.snapshot()
    assert list(seldom.moves) == list(often.moves)
    assert seldom.next_at() == often.next_at()


def _draws() -> list[float]:
    return [index * 7 % 16 / 16 for index in range(1000)]


@given(until=st.floats(0, 30), rises=st.lists(st.floats(0, 1), min_size=1))
def test_after_closing_the_weight_rises_from_its_floor_to_one_in_time(
    until: float, rises: list[float]
) -> None:
    breaker = Breaker(BreakerPolicy(run_threshold=1, close_after=1), lambda: 0.0)
    assert breaker.ramp(0.0) == 1.0
    attempt(breaker, 0.0, FAIL)
    assert breaker.ramp(1.0) == 1.0
    attempt(breaker, 100.0, OK)
    assert breaker.ramp(100.0) == 0.1
    assert breaker.ramp(100.0 + until) == pytest.approx(max(0.1, until / 30))
    weights = [breaker.ramp(100.0 + rise * 30) for rise in sorted(rises)]
    assert weights == sorted(weights)
    assert breaker.ramp(130.0) == 1.0


@given(failures=st.integers(1, 30), sixteenths=st.integers(0, 15), calm=st.integers(0, 5))
def test_cooldowns_double_to_their_cap_with_equal_jitter_and_fade_by_the_calm_minute(
    failures: int, sixteenths: int, calm: int
) -> None:
    jitter = sixteenths / 16
    breaker, now = Breaker(BreakerPolicy(run_threshold=1), lambda: jitter), 0.0
    for index in range(failures):
        attempt(breaker, now, FAIL)
        full = min(15.0, 5.0 * 2**index)
        assert breaker.until == pytest.approx(now + full * (1 + jitter) / 2)
        assert breaker.until is not None
        now = breaker.until
    attempt(breaker, now, OK)
    attempt(breaker, now, OK)
    assert breaker.exponent(now + 60 * calm) == max(0, min(failures, 3) - calm)
    now += 60 * calm
    attempt(breaker, now, FAIL)
    assert breaker.exponent(now) == min(3, max(0, min(failures, 3) - calm) + 1)


@given(
    snapshot=st.none()
    | st.builds(
        BreakerSnapshot,
        state=st.sampled_from(State),
        generation=st.integers(-5, 50),
        exponent=st.integers(-5, 50),
        until=st.none() | st.floats(),
        since=st.floats(-1e6, 1e6),
        ramp_end=st.none() | st.floats(-1e6, 1e6),
    ),
    floor=st.integers(0, 40),
)
def test_whatever_it_is_restored_from_it_is_never_shut_for_good(
    snapshot: BreakerSnapshot | None, floor: int
) -> None:
    breaker = Breaker(DEFAULT, lambda: 0.5, generation=floor)
    breaker.restore(snapshot, 1000.0)
    assert breaker.generation > max(floor, snapshot.generation if snapshot else 0)
    assert len(breaker.moves) == 1
    if breaker.state is not State.ISOLATED:
        assert breaker.check(1000.0 + DEFAULT.longest_s) is None
    if snapshot is None:
        assert breaker.state is State.HALF_OPEN
        assert breaker.exponent(1000.0) == 1


@given(by_s=st.integers(-(2**20), 2**20))
def test_a_snapshot_moves_to_another_clock(by_s: int) -> None:
    policy = BreakerPolicy(jitter=False)
    here = Breaker(policy, lambda: 0.5)
    for second in range(30):
        attempt(here, second, FAIL if second % 4 == 0 else OK)
    there = Breaker(policy, lambda: 0.5)
    there.restore(here.snapshot().moved(by_s), 30.0 + by_s)
    for second in range(30, 40):
        attempt(here, second, FAIL)
        attempt(there, second + by_s, FAIL)
        assert here.state is there.state
    assert here.until is not None
    assert there.until == here.until + by_s


def window_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """Outcomes, looks and time in any order, on the window of `module`."""

    class AnyOutcomes(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.now = 0.0
            self.seen: list[tuple[float, bool]] = []

        @initialize(
            length=st.sampled_from([1.0, 15.0, 0.7]),
            buckets=st.sampled_from([1, 3, 10]),
            start=st.floats(-1e6, 1e6),
        )
        def build(self, length: float, buckets: int, start: float) -> None:
            self.length, self.buckets, self.now = length, buckets, start
            self.window: Any = module.Window(length, buckets)

        @rule(bads=st.lists(st.booleans(), min_size=1, max_size=5))
        def count(self, bads: list[bool]) -> None:
            for bad in bads:
                (self.window.add_bad if bad else self.window.add_ok)(self.now)
                self.seen.append((self.now, bad))
            self.agree(self.window.n, self.window.bad)

        @rule(widths=st.floats(0, 1.5) | st.sampled_from([0.25, 0.5, 1.0, 2.5, 9.5, 100.0]))
        def wait(self, widths: float) -> None:
            self.now += widths * self.length / self.buckets

        @rule(widths=st.lists(st.floats(0.1, 0.9), min_size=3, max_size=12))
        def trickle(self, widths: list[float]) -> None:
            for each in widths:
                self.wait(each)
                self.count([True, False])

        @rule()
        def look(self) -> None:
            self.agree(*self.window.counts(self.now))

        @rule()
        def crash(self) -> None:
            tallies = self.window.dump()
            self.window = module.Window(self.length, self.buckets)
            self.window.load(tallies, self.now)
            self.look()

        def agree(self, n: int, bad: int) -> None:
            width, newest = self.length / self.buckets, self.bucket(self.now)
            inside = [b for at, b in self.seen if newest - self.bucket(at) < self.buckets]
            assert (n, bad) == (len(inside), sum(inside))
            oldest = self.now - (self.buckets - 1) * width
            assert n >= sum(at > oldest + 1e-6 for at, _ in self.seen)

        def bucket(self, at: float) -> int:
            width = self.length / self.buckets
            near = round(at / width)
            return max(k for k in range(near - 2, near + 3) if k * width <= at)

    return AnyOutcomes


def test_a_window_holds_what_its_definition_says() -> None:
    run_state_machine_as_test(
        window_machine(windows),
        settings=settings(max_examples=100, stateful_step_count=30, deadline=None),
    )
