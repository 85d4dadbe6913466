"""Makes a failing document small: deletes and simplifies whatever the failure does not need.

Draws are keyed, so what is left out changes nothing about the rest. A smaller document is kept if
the same signature comes up again; the steps are those of `simplify`, tried over and over until none
of them helps. Deletion follows Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
Input", IEEE TSE 28 (2002).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs

from understudy_actors.domain.errors import UnderstudyError
from understudy_sim.check import Violation
from understudy_sim.check.checker import Factory
from understudy_sim.diagram import regression_test, sequence_diagram, story
from understudy_sim.examine import STANDARD, Examined, Lab, examine
from understudy_sim.faults import bare
from understudy_sim.reading import Refused
from understudy_sim.run import Run
from understudy_sim.scenario import Scenario, parse
from understudy_sim.simplify import Document, Step, steps

RUNS_MAX: Final = 600


class NotReproduced(ValueError):
    """The document does not fail so, and cannot be made smaller therefore."""


@attrs.frozen
class Shrunk:
    """The smallest document that was found, and what it shows.

    Attributes:
        scenario: The document.
        violation: As it comes up in it.
        run: Its run; None if that raises.
        tried: How many runs it took.
        before, after: Size of the documents, in requests and faults.
    """

    scenario: Scenario
    violation: Violation
    run: Run | None
    tried: int
    before: tuple[int, int]
    after: tuple[int, int]

    @property
    def trace(self) -> list[str]:
        """The events that matter to the violation, as lines for people."""
        return story(self.run, self.violation) if self.run else []

    @property
    def diagram(self) -> str:
        """The same as a sequence diagram of plain text."""
        return sequence_diagram(self.run, self.violation) if self.run else ""

    @property
    def test(self) -> str:
        """A regression test as source text."""
        return regression_test(self.scenario, self.violation)

    def __str__(self) -> str:
        """A few lines for people."""
        return "\n".join(
            [
                f"{self.violation.signature}: {self.violation.sentence}",
                f"{self.before[0]} requests, {self.before[1]} faults -> "
                f"{self.after[0]} requests, {self.after[1]} faults, in {self.tried} runs",
                self.diagram,
            ]
        )


def shrink(
    scenario: Scenario,
    signature: str | None = None,
    *,
    lab: Lab = STANDARD,
    runs_max: int = RUNS_MAX,
    on_progress: Callable[[Scenario], None] | None = None,
) -> Shrunk:
    """The smallest document of which a run shows the same violation, as far as `runs_max` runs go.

    Args:
        scenario: A document that fails.
        signature: What is to come up again; left out, the first that does.
        lab: What runs and watches.
        runs_max: So many runs at most.
        on_progress: Called with each smaller document.

    Raises:
        NotReproduced: The document does not fail so.
    """
    first = examine(scenario, lab)
    if not first.violations or (signature is not None and signature not in first.signatures):
        found = ", ".join(first.signatures) or "nothing"
        raise NotReproduced(
            f"{scenario.name} does not show {signature or 'any violation'}: it shows {found}. "
            "Take the document of the run that failed, and the version that ran it"
        )
    wanted = signature or first.violations[0].signature
    reducer = _Reducer(_focused(lab, first, wanted), wanted, runs_max, on_progress, first)
    reducer.reduce()
    best = reducer.best
    violation = next(each for each in best.violations if each.signature == wanted)
    return Shrunk(
        scenario=best.scenario,
        violation=violation,
        run=best.run,
        tried=reducer.tried,
        before=_size(first),
        after=_size(best),
    )


def _size(seen: Examined) -> tuple[int, int]:
    return len(seen.run.requests) if seen.run else 0, len(seen.scenario.faults)


def _focused(lab: Lab, first: Examined, wanted: str) -> Lab:
    """The lab with the one law that matters: judging all of them takes time."""
    name = next(each.monitor for each in first.violations if each.signature == wanted)
    one: tuple[Factory, ...] = tuple(m for m in lab.monitors if getattr(m, "name", name) == name)
    return attrs.evolve(lab, monitors=one)


@attrs.define(eq=False)
class _Reducer:
    """The search. `best` is the smallest so far; `document` is the same as plain values."""

    lab: Lab
    wanted: str
    runs_max: int
    on_progress: Callable[[Scenario], None] | None
    best: Examined
    tried: int = 0
    document: Document = attrs.Factory(dict)
    _known: set[str] = attrs.Factory(set)

    def reduce(self) -> None:
        """Take every step again and again, until none helps or the runs are used up."""
        self.document = plain(self.best.scenario)
        self._known.add(self.best.scenario.content_hash)
        helped = True
        while helped and self.tried < self.runs_max:
            helped = False
            for step in steps():
                helped = self._take(step) or helped

    def _take(self, step: Step) -> bool:
        """One kind of step, wherever it helps."""
        helped = False
        if step.parts is not None:
            helped = self._delete(step)
        while candidate := self._first_that_fails(step.variants(self.document, self.best.run)):
            self.document = candidate
            helped = True
        return helped

    def _first_that_fails(self, candidates: Iterator[Document]) -> Document | None:
        return next((each for each in candidates if self._fails(each)), None)

    def _delete(self, step: Step) -> bool:
        """Leave out as many parts as possible: large groups first, then smaller ones."""
        assert step.parts is not None
        parts = step.parts(self.document, self.best.run)
        size, helped = len(parts), False
        while size and parts and self.tried < self.runs_max:
            at = 0
            while at < len(parts):
                group = parts[at : at + size]
                candidate = step.without(self.document, group)
                if candidate is not None and self._fails(candidate):
                    self.document, helped = candidate, True
                    parts = parts[:at] + parts[at + size :]
                else:
                    at += size
            size = min(size // 2, len(parts))
        return helped

    def _fails(self, candidate: Document) -> bool:
        """Whether the same comes up; if so, this is the best so far."""
        if self.tried >= self.runs_max:
            return False
        try:
            scenario = parse(candidate)
        except (Refused, UnderstudyError):
            return False
        if scenario.content_hash in self._known:
            return False
        self._known.add(scenario.content_hash)
        self.tried += 1
        seen = examine(scenario, self.lab)
        if self.wanted not in seen.signatures:
            return False
        self.best = seen
        if self.on_progress is not None:
            self.on_progress(scenario)
        return True


def plain(scenario: Scenario) -> dict[str, Any]:
    """A document as tables and lists, without what equals a default."""
    made = bare(scenario)
    assert isinstance(made, dict)
    return made
