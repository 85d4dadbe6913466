"""One scenario under many seeds: the facts of each run, their quantiles, and which went worst."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from understudy_sim.check import check
from understudy_sim.check.rules import Rules
from understudy_sim.examine import STANDARD, Lab, lab_of
from understudy_sim.headline import Headline, quantile
from understudy_sim.report.facts import Facts, Slice, gather, slice_length_s
from understudy_sim.scenario import Scenario, canonical_json, from_json

K = TypeVar("K")
T = TypeVar("T")

LEVELS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Nine in ten seeds lie between the outer two, half of them between the inner two."""


class Band(Struct, frozen=True, kw_only=True):
    """What seeds came to in [`from_s`, `until_s`): quantiles at `LEVELS`; None: nobody knows."""

    from_s: float
    until_s: float
    at: tuple[float, ...] | None


def over_seeds(
    scenario: Scenario,
    seeds: Sequence[int],
    *,
    jobs: int = 1,
    on_done: Callable[[], object] = lambda: None,
    lab: str | None = None,
) -> list[Facts]:
    """The facts of the scenario's run under each seed, in the order of the seeds.

    Args:
        scenario: What to run.
        seeds: Each stands in for the document's own.
        jobs: Processes; 1 runs everything in this one.
        on_done: Called after each run.
        lab: As in `lab_of`; None for today's engine under all laws.
    """
    texts = {seed: canonical_json(replace(scenario, seed=seed)).decode() for seed in seeds}
    found = dict(spread(functools.partial(facts_of, lab=lab), texts, jobs, on_done))
    return [found[seed] for seed in seeds]


def facts_of(text: str, lab: str | None = None) -> Facts:
    """The facts of one document, with slices that depend on nothing but its horizon."""
    made: Lab = STANDARD if lab is None else lab_of(lab)
    scenario = from_json(text)
    ran = made.run(scenario)
    violations = check(ran.events, made.monitors, rules=Rules.of(scenario.config))
    return gather(ran, violations, slice_s=slice_length_s(scenario.horizon_s))


def spread(
    work: Callable[[str], T], texts: Mapping[K, str], jobs: int, on_done: Callable[[], object]
) -> Iterator[tuple[K, T]]:
    """What `work` makes of each text, as it is done, in so many processes."""
    if jobs == 1 or len(texts) == 1:
        for key, text in texts.items():
            yield key, work(text)
            on_done()
        return
    spawn = multiprocessing.get_context("spawn")  # a fork would share this process's warm heap
    with ProcessPoolExecutor(min(jobs, len(texts)), mp_context=spawn) as pool:
        pending = {pool.submit(work, text): key for key, text in texts.items()}
        for each in as_completed(pending):
            yield pending[each], each.result()
            on_done()


def quantiles(values: Sequence[float | None]) -> tuple[float, ...] | None:
    """Those at `LEVELS` of the values that are known; None of none."""
    known = sorted(value for value in values if value is not None)
    found = [quantile(known, level) for level in LEVELS]
    return tuple(each for each in found if each is not None) or None


def bands(runs: Sequence[Facts], value: Callable[[Slice], float | None]) -> list[Band]:
    """The quantiles of a value over the runs, slice by slice, as far as all of them reach."""
    return [
        Band(
            from_s=slices[0].from_s,
            until_s=max(each.until_s for each in slices),
            at=quantiles([value(each) for each in slices]),
        )
        for slices in zip(*(each.slices for each in runs), strict=False)
    ]


def worst_of(runs: Sequence[Facts]) -> Facts:
    """The run that went worst.

    That is by progress first, then laws broken, availability, and the slowest answers; the earliest
    of equals.
    """
    return max(reversed(runs), key=_badness)


def _badness(facts: Facts) -> tuple[float, ...]:
    head: Headline = facts.headline
    return (
        float(facts.progress != "done"),
        float(len(facts.violations or {})),
        -head.availability,
        head.p95_s or 0.0,
        head.max_s or 0.0,
    )
