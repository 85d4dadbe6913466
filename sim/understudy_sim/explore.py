"""Runs many seeds, looks at some of them twice, and keeps the best example of whatever fails."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs

from understudy.ports import SystemClock
from understudy_actors.runtime.ports import Randomness
from understudy_sim.campaign import NONDETERMINISM, Campaign, Failure
from understudy_sim.examine import LAB, Item, document_of, lab_of
from understudy_sim.fresh import differing, explain, run_fresh
from understudy_sim.guards import RUNS_MIN, vacuous
from understudy_sim.pool import Chunk, Executor, Pool, here
from understudy_sim.scenario import Scenario, canonical_json

CHUNK: Final = 20
"""Items of a chunk: it takes about a second, which hides what a hand-over costs."""
RECHECKED: Final = 0.05
"""Share of the runs that are repeated in a fresh interpreter. FoundationDB repeats as many."""
RECHECK_AT_ONCE: Final = 25
UNDER_WAY: Final = "under-way.json"


def explore(
    seeds: Iterable[int | Scenario],
    *,
    jobs: int = 1,
    budget_s: float | None = None,
    on_progress: Callable[[Campaign], None] | None = None,
    into: Path | None = None,
    lab: str = LAB,
    chunk: int = CHUNK,
    recheck: float = RECHECKED,
    runs_min: int = RUNS_MIN,
    executor: Executor | None = None,
    wall: Callable[[], float] | None = None,
) -> Campaign:
    """Run documents, or those that seeds stand for, and say what came of it.

    Args:
        seeds: Seeds, or documents. May be endless, with a budget.
        jobs: Processes; 0 runs everything in this one.
        budget_s: No chunk begins after so many real seconds.
        on_progress: Called after each chunk.
        into: A folder: each failing document is there before its failure is told, and what is under
            way before it begins, so that not even a crash of the machine loses a seed.
        lab: What is run and watched; see `understudy_sim.examine`.
        chunk: Items that are handed over together.
        recheck: Share of the runs to repeat in a fresh interpreter.
        runs_min: A campaign of fewer runs is not judged vacuous.
        executor: Runs the chunks instead of processes on this machine.
        wall: Real time in seconds, for the budget.

    Raises:
        ValueError: An argument is out of range.
    """
    for name, value, least in (("jobs", jobs, 0), ("chunk", chunk, 1)):
        if value < least:
            raise ValueError(f"{name} is {value}: it must be at least {least}")
    if not 0 <= recheck <= 1:
        raise ValueError(f"recheck is {recheck}: it is a share, from 0 to 1")
    expedition = _Expedition(lab, into, recheck, wall or SystemClock().wall, budget_s)
    run_all = executor or (Pool(jobs) if jobs else here)
    items: Iterator[Item] = (
        canonical_json(each).decode() if isinstance(each, Scenario) else each for each in seeds
    )
    for done, results in run_all(expedition.chunks(items, chunk), lab):
        expedition.take(done, results)
        if on_progress is not None:
            on_progress(expedition.campaign)
    return expedition.end(runs_min)


@attrs.define(eq=False)
class _Expedition:
    """A campaign that is going on."""

    lab: str
    into: Path | None
    recheck: float
    wall: Callable[[], float]
    budget_s: float | None
    campaign: Campaign = attrs.Factory(Campaign)
    _under_way: list[Chunk] = attrs.Factory(list)
    _twice: dict[Item, dict[str, Any]] = attrs.Factory(dict)
    _last: tuple[Item, dict[str, Any]] | None = None

    def chunks(self, items: Iterator[Item], size: int) -> Iterator[Chunk]:
        """Cut the items into chunks until time is up; each is written down before it begins."""
        until = None if self.budget_s is None else self.wall() + self.budget_s
        while chunk := list(itertools.islice(items, size)):
            if until is not None and self.wall() >= until:
                self.campaign.over_budget = True
                return
            self._under_way.append(chunk)
            self._write(UNDER_WAY, json.dumps(self._under_way))
            yield chunk

    def take(self, chunk: Chunk, results: list[dict[str, Any]] | None) -> None:
        """A chunk, or a part of one, is done."""
        if results is None:
            self._died(chunk[0])
            results = []
        for item, told in zip(chunk, results, strict=False):
            for failure in self.campaign.take(told):
                self._keep(failure)
            if told["progress"] is not None:
                self._last = (item, told)
                if Randomness(0).uniform(f"recheck/{item}", 0) < self.recheck:
                    self._twice[item] = told
        done = set(chunk)
        rest = [[item for item in each if item not in done] for each in self._under_way]
        self._under_way = [each for each in rest if each]
        if len(self._twice) >= RECHECK_AT_ONCE:
            self._look_twice()

    def end(self, runs_min: int) -> Campaign:
        """Everything has run."""
        if not self.campaign.rechecked and not self._twice and self._last and self.recheck:
            self._twice = dict([self._last])
        self._look_twice()
        laws = lab_of(self.lab).laws()
        self.campaign.vacuous = vacuous(self.campaign.coverage, laws, runs_min=runs_min)
        if self.into is not None and not self._under_way:
            (self.into / UNDER_WAY).unlink(missing_ok=True)
        return self.campaign

    def _look_twice(self) -> None:
        warm, self._twice = self._twice, {}
        if not warm:
            return
        for item, fresh in zip(warm, run_fresh(list(warm), self.lab), strict=True):
            self.campaign.rechecked += 1
            if names := differing(warm[item], fresh):
                said = f"{', '.join(names)} differ in a fresh interpreter under another hash seed"
                self._fail(item, NONDETERMINISM, said, warm[item]["steps"], explain(item, self.lab))

    def _died(self, item: Item) -> None:
        said = "the process died of it, or had to be killed; its last words are on standard error"
        self._fail(item, "died", said, 0)

    def _fail(
        self, item: Item, signature: str, sentence: str, steps: int, detail: str = ""
    ) -> None:
        failure = Failure(
            signature=signature,
            monitor="run",
            sentence=sentence,
            seed=item if isinstance(item, int) else None,
            document=canonical_json(document_of(item, lab_of(self.lab))).decode(),
            steps=steps,
            detail=detail,
        )
        if self.campaign.fail(failure) is not None:
            self._keep(failure)

    def _keep(self, failure: Failure) -> None:
        self._write(failure.file_name, failure.document)

    def _write(self, name: str, text: str) -> None:
        if self.into is not None:
            self.into.mkdir(parents=True, exist_ok=True)
            (self.into / name).write_text(text)
