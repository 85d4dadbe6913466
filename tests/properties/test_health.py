"""Health: failures never flatter, readings fade, and every number follows from the samples."""

from __future__ import annotations

import math
import statistics
from collections import deque
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from understudy_actors.provider import health, patience

SECONDS = st.sampled_from([0.0, 0.25, 1.0, 2.0, 8.0, 30.0, 120.0]) | st.floats(0, 600)
PRIORS = (0.0, 0.5, 1.0, 4.0, 30.0, 1000.0)
TOKENS = (0.0, 10.0, 500.0)


def health_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """Outcomes and time in any order, on the health of `module`."""

    class AnyOutcomes(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.now = 100.0
            self.health: Any = module.Health()
            self.success: list[tuple[float, int]] = []
            self.totals: list[tuple[float, float]] = []
            self.cuts: list[tuple[float, float]] = []
            self.others = 0
            self.parts = False
            self.first_tokens: list[float] = []

        @rule(total=SECONDS)
        def succeed(self, total: float) -> None:
            success = self.health.success(self.now)
            self.health.on_ok(self.now, self.now + 1e9, total)
            self.success.append((self.now, 1))
            self.totals.append((self.now, total))
            assert self.health.success(self.now) >= success - 1e-12
            self.agree()

        @rule(first=SECONDS, rest=SECONDS, tokens=st.sampled_from([0, 1, 100]))
        def succeed_streaming(self, first: float, rest: float, tokens: int) -> None:
            self.health.on_ok(self.now, self.now + 1e9, first + rest, first, tokens)
            self.success.append((self.now, 1))
            self.totals.append((self.now, first + rest))
            self.first_tokens.append(first)
            if not self.parts and not self.cuts:
                expected = first + (10 * rest / tokens if tokens else 0.0)
                assert self.health.latency_s(self.now, 10, 7.0) == pytest.approx(expected)
            self.parts = True
            self.agree()

        @precondition(lambda self: not self.parts and not self.cuts)
        @rule()
        def begin_to_stream(self) -> None:
            self.succeed(30.0)
            self.now += 1.0
            self.succeed_streaming(0.25, 1.0, 100)

        @rule(
            cut_off=st.none() | SECONDS,
            against=st.booleans(),
        )
        def fail(self, cut_off: float | None, against: bool) -> None:
            success, latency = self.health.success(self.now), self.latencies()
            if against:
                self.health.on_fail(self.now, self.now + 1e9, cut_off)
                self.success.append((self.now, 0))
                assert self.health.success(self.now) <= max(0.05, success * 0.9 + 1e-12)
            else:
                self.health.on_other(self.now, cut_off)
                self.others += 1
                assert self.health.success(self.now) == success
            if cut_off is None:
                assert self.latencies() == latency, "a fast failure is no latency sample"
            else:
                self.cuts.append((self.now, cut_off))
                # it lasted longer than this: a reading may rise, up to it, and never fall
                for after, before in self.compare(latency):
                    assert before <= after <= max(before, max(c for _, c in self.cuts)) + 1e-9
            if cut_off is not None and not self.totals and len(self.cuts) == 1:
                assert self.health.latency_s(self.now, 0.0, 0.0) == cut_off
            self.agree()

        @rule(seconds=st.sampled_from([0.125, 1.0, 30.0, 120.0, 3600.0]))
        def wait(self, seconds: float) -> None:
            self.now += seconds

        @rule()
        def fade(self) -> None:
            self.now += 12_000.0
            assert self.health.success(self.now) == pytest.approx(1.0)
            for prior in PRIORS:
                assert self.health.latency_s(self.now, 0.0, prior) == pytest.approx(prior, abs=1e-9)

        @rule()
        def crash(self) -> None:
            before = self.latencies()
            snapshot = self.health.snapshot()
            self.health = module.Health()
            self.health.restore(snapshot, self.now)
            assert self.latencies() == before
            assert self.health.snapshot() == snapshot
            self.agree()

        @invariant()
        def answers_cost_more_tries_the_more_of_them_fail(self) -> None:
            per_success = self.health.seconds_per_success(self.now, 10, 7.0)
            expected_s = self.health.latency_s(self.now, 10, 7.0)
            assert per_success * self.health.success(self.now) == pytest.approx(expected_s)

        def latencies(self) -> list[float]:
            return [
                self.health.latency_s(self.now, tokens, prior)
                for prior in PRIORS
                for tokens in TOKENS
            ]

        def compare(self, before: list[float]) -> list[tuple[float, float]]:
            return list(zip(self.latencies(), before, strict=True))

        def agree(self) -> None:
            """Compare with everything recomputed from all samples."""
            real, now = self.health, self.now
            outcomes = [y for _, y in self.success]
            assert real.attempts == len(outcomes) + self.others
            assert (real.oks, real.failures) == (sum(outcomes), outcomes.count(0))
            fails = [*outcomes, 1][::-1]
            assert real.consecutive_failures == fails[1:].index(1) if 1 in fails[1:] else True
            ok, last = 1.0, -math.inf
            for at, y in self.success:
                weight = min(math.exp((last - at) / 30), 0.9)
                ok, last = ok * weight + y * (1 - weight), at
            expected = max(0.05, 1 - (1 - ok) * math.exp((last - now) / 120))
            assert real.success(now) == pytest.approx(expected)
            self.agree_on_latency()

        def agree_on_latency(self) -> None:
            real, now = self.health, self.now
            totals = [total for _, total in self.totals]
            if not self.parts and not self.cuts:
                value, last = 0.0, -math.inf
                for at, total in self.totals:
                    weight = math.exp((last - at) / 30)
                    value, last = value * weight + total * (1 - weight), at
                fade = math.exp((last - self.now) / 120)
                for prior in PRIORS:
                    reading = prior * (1 - fade) + value * fade
                    assert real.latency_s(self.now, 10, prior) == pytest.approx(reading)
            if totals:
                assert real.mean_s == pytest.approx(statistics.fmean(totals))
                assert real.p50_s == statistics.median_low(totals[-64:])
                assert real.latency_quantile(1.0) == max(totals[-64:])
                assert real.min_useful_s == max(1.0, real.p50_s / 2)
            usual = max(10.0, 4 * (real.p50_s or 0.0))
            assert real.timeout_is_failure(now, usual, 1e9)
            assert not real.timeout_is_failure(now, usual - 0.01, 1e9)
            assert real.timeout_is_failure(now, 5.0, 5.0)
            assert not real.timeout_is_failure(now, 5.0, 5.01)
            if self.first_tokens:
                assert real.first_token_quantile(0.0) == min(self.first_tokens[-64:])

    return AnyOutcomes


def test_health_is_what_its_samples_say() -> None:
    run_state_machine_as_test(
        health_machine(health),
        settings=settings(max_examples=80, stateful_step_count=30, deadline=None),
    )


@given(samples=st.lists(st.floats(0, 100), min_size=1, max_size=80), q=st.floats(0, 1))
def test_a_quantile_has_its_share_at_or_below_it_and_is_the_smallest_that_has(
    samples: list[float], q: float
) -> None:
    value = patience.quantile(deque(samples), q)
    assert value is not None
    assert value in samples
    assert sum(sample <= value for sample in samples) >= q * len(samples) - 1e-9
    assert sum(sample < value for sample in samples) <= q * len(samples) + 1e-9


@given(bursts=st.integers(2, 50), elapsed=st.floats(0.1, 100))
def test_a_burst_of_calls_cut_short_together_weighs_as_one(bursts: int, elapsed: float) -> None:
    once, often = health.Health(), health.Health()
    for each in (once, often):
        each.on_ok(0.0, 0.0, 1.0)
    once.on_other(10.0, elapsed)
    for _ in range(bursts):
        often.on_other(10.0, elapsed)
    assert often.latency_s(10.0, 0, 1.0) == pytest.approx(once.latency_s(10.0, 0, 1.0))


def test_a_hanging_endpoint_that_never_answered_looks_slow_although_nothing_failed() -> None:
    unknown = health.Health()
    unknown.on_other(0.0, 9.0)
    assert unknown.latency_s(0.0, 100, prior_s=1.0) == 9.0
    assert unknown.success(0.0) == 1.0


@pytest.mark.parametrize("success_s", [1.0, 20.0])
def test_successes_wear_a_lower_bound_off(success_s: float) -> None:
    machine = health.Health()
    machine.on_ok(0.0, 0.0, success_s)
    machine.on_other(60.0, 100.0)
    assert machine.latency_s(60.0, 0, success_s) > 4 * success_s or success_s == 20.0
    for second in range(61, 361):
        machine.on_ok(float(second), 0.0, success_s)
    assert machine.latency_s(360.0, 0, success_s) == pytest.approx(success_s, rel=0.01)


def test_without_streaming_the_tokens_took_what_the_first_one_did_not() -> None:
    machine = health.Health()
    machine.on_ok(0.0, 0.0, 3.0, first_token_s=1.0, output_tokens=100)
    machine.on_ok(1e6, 0.0, 11.0, output_tokens=100)
    assert machine.latency_s(1e6, 200, prior_s=1.0) == pytest.approx(1.0 + 200 * 0.1)
