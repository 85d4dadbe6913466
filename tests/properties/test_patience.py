"""Laws of the learned limits on silence."""

from __future__ import annotations

import math
from types import ModuleType

import pytest
from hypothesis import example as case, given, strategies as st

from understudy_actors.domain.candidate import StreamRule
from understudy_actors.provider import health, patience

SAMPLES = st.lists(st.floats(0, 1e4), max_size=64)
AGES = st.floats(0, 1e7) | st.just(math.inf)
BOUNDS = st.tuples(st.floats(0.01, 100), st.floats(0, 1000)).map(lambda b: (b[0], b[0] + b[1]))


def check_limits(module: ModuleType) -> None:
    @given(samples=SAMPLES, age_s=AGES, bounds=BOUNDS, later_s=st.floats(0, 1e5))
    @case(samples=[1.0] * 5, age_s=0.0, bounds=(10.0, 60.0), later_s=1.0)
    @case(samples=[5.0] * 5, age_s=0.0, bounds=(10.0, 60.0), later_s=7200.0)
    @case(samples=[1.0] * 5, age_s=math.inf, bounds=(10.0, 60.0), later_s=1.0)
    @case(samples=[1.0] * 4, age_s=0.0, bounds=(10.0, 60.0), later_s=0.0)
    @case(samples=[1.0] * 60 + [12.0] * 4, age_s=0.0, bounds=(10.0, 60.0), later_s=0.0)
    @case(samples=[100.0] * 9, age_s=0.0, bounds=(10.0, 60.0), later_s=0.0)
    def law(
        samples: list[float], age_s: float, bounds: tuple[float, float], later_s: float
    ) -> None:
        least, most = bounds
        limit = module.patience_s(samples, age_s, least, most)
        assert least - 1e-9 <= limit <= most + 1e-9
        assert module.patience_s(samples, age_s + later_s, least, most) >= limit - 1e-9
        if len(samples) < 5:
            assert limit == most  # too little is known
            return
        ordered = sorted(samples)
        median = ordered[(len(ordered) + 1) // 2 - 1]
        tail = ordered[math.ceil(0.99 * len(ordered)) - 1]
        # Only silence much longer than usual is evidence, however short the configured minimum.
        assert limit >= min(most, 4 * median, max(least, 4 * median)) - 1e-9
        assert limit >= min(most, 2 * tail) - 1e-9
        if age_s == 0.0:
            assert limit == pytest.approx(min(most, max(least, 4 * median, 2 * tail)))
        if age_s == math.inf:
            assert limit == pytest.approx(most)

    law()


def test_limits_are_learned_within_their_bounds_and_widen_with_time() -> None:
    check_limits(patience)


def test_health_learns_from_streams_and_keeps_it_over_a_restart() -> None:
    known, rule = health.Health(), StreamRule(first_token_min_s=1.0, gap_min_s=0.5)
    assert known.silence_s(0.0, rule) == (60.0, 30.0)
    for at in range(8):
        known.on_ok(float(at), 0.0, 5.0, first_token_s=2.0, output_tokens=10)
        known.on_stream(float(at), 0.3)
    first_s, gap_s = known.silence_s(7.0, rule)
    assert first_s == pytest.approx(8.0)
    assert gap_s == pytest.approx(1.2)
    again = health.Health()
    again.restore(known.snapshot(), 7.0)
    assert again.silence_s(7.0, rule) == known.silence_s(7.0, rule)
    moved = health.Health()
    moved.restore(known.snapshot().moved(100.0), 107.0)
    assert moved.silence_s(107.0, rule) == pytest.approx(known.silence_s(7.0, rule))
    known.on_ok(8.0, 0.0, 5.0)  # a whole answer says nothing of gaps
    assert known.silence_s(8.0, rule)[1] == pytest.approx(1.2, abs=0.1)
