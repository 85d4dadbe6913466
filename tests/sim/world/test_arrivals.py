"""Laws of arrivals and distributions; they also have to catch faults planted in the code."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import pytest
from hypothesis import Phase, given, settings, strategies as st

from tests.support.mutants import Mutant
from understudy_actors.runtime.ports import Randomness
from understudy_sim import arrivals, latency

Law: TypeAlias = Callable[[ModuleType], None]
quickly = settings(max_examples=25, phases=(Phase.generate,), database=None)
seeds = st.integers(0, 2**64 - 1)


def times(module: ModuleType, pattern: Any, length_s: float, seed: int = 0) -> list[float]:
    found = list(module.arrival_times(pattern, Randomness(seed), "web", length_s))
    assert len({number for number, _ in found}) == len(found), "every request has its own number"
    return [at for _, at in found]


def random_patterns(module: ModuleType) -> list[tuple[Any, Callable[[float], float]]]:
    """Patterns over 1000 s, and how many arrivals are expected until a time."""
    turn = 2 * math.pi / 400
    return [
        (module.Poisson(rate=2.0), lambda at: 2 * at),
        (module.Ramp(from_rate=1.0, to_rate=5.0), lambda at: at + 0.002 * at * at),
        (module.Ramp(from_rate=5.0, to_rate=1.0), lambda at: 5 * at - 0.002 * at * at),
        (
            module.Diurnal(rate=2.0, swing=0.9, period_s=400.0),
            lambda at: 2 * (at + 0.9 * (1 - math.cos(turn * at)) / turn),
        ),
    ]


def arrivals_come_in_order_within_their_time(module: ModuleType) -> None:
    patterns = [pattern for pattern, _ in random_patterns(module)]
    patterns += [
        module.Burst(size=7, within_s=3.0, every_s=10.0),
        module.Recorded(at=(5.0, 1.0, 99.0)),
        module.Steady(rate=3.0),
    ]

    @given(seed=seeds, length_s=st.floats(0.5, 60))
    @quickly
    def check(seed: int, length_s: float) -> None:
        for pattern in patterns:
            found = times(module, pattern, length_s, seed)
            assert found == sorted(found)
            assert all(0 <= at < length_s for at in found)

    check()


def as_many_arrive_as_expected(module: ModuleType) -> None:
    for pattern, expected in random_patterns(module):
        for seed in range(2):
            found = times(module, pattern, 1000.0, seed)
            for until in (100, 300, 500, 1000):
                mean, count = expected(until), sum(at < until for at in found)
                assert abs(count - mean) < 5 * math.sqrt(mean) + 1


def gaps_are_exponential(module: ModuleType) -> None:
    found = times(module, module.Poisson(rate=1.0), 4000.0)
    gaps = [b - a for a, b in itertools.pairwise(found)]
    assert abs(sum(gap > 1 for gap in gaps) / len(gaps) - math.exp(-1)) < 0.04
    assert abs(sum(gap > 3 for gap in gaps) / len(gaps) - math.exp(-3)) < 0.02


def a_longer_time_only_adds(module: ModuleType) -> None:
    for pattern in (module.Poisson(rate=2.0), module.Burst(size=3, within_s=2.0, every_s=7.0)):
        long = times(module, pattern, 100.0)
        assert [at for at in long if at < 50] == times(module, pattern, 50.0)


def seeds_and_clients_differ(module: ModuleType) -> None:
    pattern = module.Poisson(rate=2.0)
    assert times(module, pattern, 50.0, 1) != times(module, pattern, 50.0, 2)
    other = [at for _, at in module.arrival_times(pattern, Randomness(1), "other", 50.0)]
    assert other != times(module, pattern, 50.0, 1)


def what_is_not_random_is_exact(module: ModuleType) -> None:
    assert times(module, module.Steady(rate=2.0), 2.0) == [0.0, 0.5, 1.0, 1.5]
    recorded = module.Recorded(at=(3.0, 1.0, 2.0))
    found = list(module.arrival_times(recorded, Randomness(0), "web", 2.5))
    assert found == [(1, 1.0), (2, 2.0)], "each keeps the number of its place"
    assert times(module, module.Burst(size=3), 9.0) == [0.0] * 3
    assert times(module, module.Burst(size=2, every_s=4.0), 9.0) == [0, 0, 4, 4, 8, 8]
    spread = times(module, module.Burst(size=500, within_s=8.0), 9.0)
    assert max(spread) > 7
    assert min(spread) < 1


LAWS: list[Law] = [
    arrivals_come_in_order_within_their_time,
    as_many_arrive_as_expected,
    gaps_are_exponential,
    a_longer_time_only_adds,
    seeds_and_clients_differ,
    what_is_not_random_is_exact,
]


def planted(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "understudy_sim.arrivals", old, new)


MUTANTS = [
    planted(
        "gaps are uniform",
        "math.log(1.0 - randomness.uniform(stream, number))",
        "-1.0 * randomness.uniform(stream, number)",
    ),
    planted(
        "one gap for all", "randomness.uniform(stream, number))", "randomness.uniform(stream, 0))"
    ),
    planted(
        "all clients alike",
        'stream, expected, at = f"arrivals/{client}", 0.0, 0.0',
        'stream, expected, at = "arrivals", 0.0, 0.0',
    ),
    planted("a rate is a gap", "at = expected / pattern.rate", "at = expected * pattern.rate"),
    planted(
        "a ramp falls",
        "(pattern.to_rate - pattern.from_rate)",
        "(pattern.from_rate - pattern.to_rate)",
    ),
    planted("a ramp is twice as steep", "at * at / 2", "at * at"),
    planted("swing is left out", "pattern.swing * (1", "0.0 * (1"),
    planted("the end is inside", "each[1] < length_s", "each[1] <= length_s + 1"),
    planted("bursts come once", "if start >= length_s:", "if turn:"),
    planted(
        "bursts share numbers",
        "range(turn * pattern.size, (turn + 1) * pattern.size)",
        "range(pattern.size)",
    ),
    planted(
        "bursts are unsorted",
        "yield from sorted(drawn, key=lambda each: each[1])",
        "yield from drawn",
    ),
    planted(
        "a record is unsorted", "sorted(enumerate(at), key=lambda each: each[1])", "enumerate(at)"
    ),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law(law: Law) -> None:
    law(arrivals)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_the_laws_catch(mutant: Mutant) -> None:
    assert mutant.caught_by(LAWS, ValueError), f"no law noticed that {mutant}"


@given(seed=seeds)
@quickly
def test_distributions_have_their_medians(seed: int) -> None:
    rng = Randomness(seed)
    draws = sorted(
        latency.draw(latency.Lognormal(2.0, 0.5), rng.uniform("d", n)) for n in range(400)
    )
    assert 1.7 < draws[200] < 2.3
    assert draws[336] / draws[200] == pytest.approx(math.exp(0.5), rel=0.25), "one sigma"
    values = latency.Empirical((1.0, 2.0, 2.0, 5.0))
    found = [latency.draw(values, rng.uniform("e", n)) for n in range(400)]
    assert set(found) == {1.0, 2.0, 5.0}
    assert 150 < found.count(2.0) < 250


def test_the_smallest_and_the_largest_draw_are_finite() -> None:
    for uniform in (0.0, 1 - 2**-53):
        assert 0 < latency.draw(latency.Lognormal(1.0, 5.0), uniform) < math.inf
        assert latency.draw(latency.Empirical((1.0, 2.0)), uniform) == (
            1.0 if uniform == 0 else 2.0
        )
    assert latency.draw(latency.Lognormal(3.0, 0.0), 0.9) == 3.0
    assert latency.count_keyed(latency.Fixed(0.2), Randomness(0), "size") == 1
