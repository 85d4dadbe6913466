"""Two or more engines in the same worlds: what differs, and how sure that is.

Every engine meets the same requests, the same luck of every provider and the same faults, seed by
seed (common random numbers), so the differences of one seed are those of the engines alone. Their
mean over the seeds stands with a 95 % interval of Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from understudy_sim.headline import headline
from understudy_sim.many import spread
from understudy_sim.run import Run
from understudy_sim.scenario import Scenario, canonical_json, from_json
from understudy_sim.world import run

T95: Final = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""97.5 % quantiles of Student's t for 1 to 30 degrees of freedom, as in every table of it."""

_Z95: Final = 1.959964


class Estimate(Struct, frozen=True, kw_only=True):
    """A mean over seeds, and the 95 % interval around it; None with fewer than two seeds."""

    mean: float
    low: float | None
    high: float | None
    seeds: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


class Outcome(Struct, frozen=True, kw_only=True):
    """What one engine came to.

    Attributes:
        name: As it was given.
        measures: Measure to its mean over the seeds.
        differences: Measure to how much more it is than the first engine's; empty for that one.
        by_seed: Measure to its value, for each seed in order; None where there is no such value.
    """

    name: str
    measures: dict[str, Estimate]
    differences: dict[str, Estimate]
    by_seed: tuple[dict[str, float | None], ...]


class Comparison(Struct, frozen=True, kw_only=True):
    """Several engines in one scenario; the first is what the others are compared with."""

    scenario: str
    seeds: tuple[int, ...]
    outcomes: tuple[Outcome, ...]


def measures_of(ran: Run) -> dict[str, float | None]:
    """What is compared of a run. Wasted calls brought nobody an answer; they count a request."""
    found = headline(ran)
    answered = sum(each.ok for each in ran.requests)
    calls = found.attempts_per_request * len(ran.requests)
    return {
        "success": found.availability,
        "p50_s": found.p50_s,
        "p95_s": found.p95_s,
        "cost_usd": found.billed_usd,
        "wasted_calls": max(0.0, calls - answered) / max(1, len(ran.requests)),
    }


MEASURES: Final = ("success", "p50_s", "p95_s", "cost_usd", "wasted_calls")
"""In the order in which they are shown."""


def compare(
    scenario: Scenario,
    engines: Mapping[str, Mapping[str, Any]],
    seeds: Sequence[int],
    *,
    jobs: int = 1,
    on_done: Callable[[], object] | None = None,
) -> Comparison:
    """Run every engine in the scenario's world under every seed.

    Args:
        scenario: Its own engine is not used.
        engines: Name to configuration, the one to compare with first.
        seeds: Roots of the worlds.
        jobs: Processes; 1 runs everything in this one.
        on_done: Called after each run.
    """
    texts = {
        (name, seed): canonical_json(replace(scenario, seed=seed, engine=dict(engine))).decode()
        for name, engine in engines.items()
        for seed in seeds
    }
    found = dict(spread(measure, texts, jobs, on_done or (lambda: None)))
    first = next(iter(engines))
    return Comparison(
        scenario=scenario.name,
        seeds=tuple(seeds),
        outcomes=tuple(_outcome(name, first, found, seeds) for name in engines),
    )


def measure(text: str) -> dict[str, float | None]:
    """The measures of one run, of a document in JSON."""
    return measures_of(run(from_json(text)))


def _outcome(
    name: str,
    first: str,
    found: Mapping[tuple[str, int], dict[str, float | None]],
    seeds: Sequence[int],
) -> Outcome:
    own = [found[name, seed] for seed in seeds]
    base = [found[first, seed] for seed in seeds]
    measures: dict[str, Estimate] = {}
    differences: dict[str, Estimate] = {}
    for measured in MEASURES:
        values = [each[measured] for each in own]
        pairs = zip(values, (each[measured] for each in base), strict=True)
        if known := [value for value in values if value is not None]:
            measures[measured] = estimate(known)
        both = [one - other for one, other in pairs if one is not None and other is not None]
        if name != first and both:
            differences[measured] = estimate(both)
    return Outcome(name=name, measures=measures, differences=differences, by_seed=tuple(own))


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and 95 % interval of values that are drawn alike and independently."""
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return Estimate(mean=mean, low=None, high=None, seeds=count)
    spread = math.sqrt(math.fsum((each - mean) ** 2 for each in values) / (count - 1))
    half = t95(count - 1) * spread / math.sqrt(count)
    return Estimate(mean=mean, low=mean - half, high=mean + half, seeds=count)


def t95(freedom: int) -> float:
    """The 97.5 % quantile of Student's t.

    Beyond the table by the first terms of its expansion in 1/freedom (Fisher and Cornish, 1960).
    """
    if freedom <= len(T95):
        return T95[freedom - 1]
    z = _Z95
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
