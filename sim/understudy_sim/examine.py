"""Runs documents and says what came of each in plain values: all that crosses a process boundary.

`run_chunk` is the whole contract with whatever executes a campaign: a list of seeds or documents
goes in, a list of tables of plain values comes out, in the same order. What is run and watched is
named by a `Lab` as `module:name`, so that it can be found on any machine.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import attrs
import msgspec

from understudy_sim.check import ALL, Checker, Reference, Rules, Violation, Watch
from understudy_sim.check.checker import Factory
from understudy_sim.cover import cover
from understudy_sim.generate import generate
from understudy_sim.headline import headline
from understudy_sim.run import Run
from understudy_sim.scenario import Scenario, canonical_json, from_json
from understudy_sim.world import run

Item: TypeAlias = int | str
"""A seed, or a document as JSON text."""

LAB: Final = "understudy_sim.examine:STANDARD"
"""Name of the lab that runs today's engine under all laws."""
_KEPT: Final = 20  # violations told of each run, each of another signature


def play(scenario: Scenario) -> Run:
    """Run a document on the engine as it is."""
    return run(scenario)


@attrs.frozen
class Lab:
    """What is done with a document.

    Attributes:
        run: Runs it.
        monitors: What makes the laws that its trace must keep.
        generate: Makes the document of a seed.
    """

    run: Callable[[Scenario], Run] = play
    monitors: tuple[Factory, ...] = (*ALL, Reference)
    generate: Callable[[int], Scenario] = generate

    def laws(self, rules: Rules | None = None) -> list[Watch]:
        """Fresh monitors, as far as they are of this package's make."""
        made = [make(rules or Rules()) for make in self.monitors]
        return [each for each in made if isinstance(each, Watch)]


STANDARD: Final = Lab()


@attrs.frozen
class Examined:
    """One document, run and judged.

    Attributes:
        run: None if it raised.
        violations: One for each signature, the first; a run that raised or made no progress is one
            too, of the monitor `run`.
        counts: How often each signature came up.
    """

    scenario: Scenario
    run: Run | None
    violations: tuple[Violation, ...]
    counts: dict[str, int]

    @property
    def signatures(self) -> list[str]:
        """Of all violations."""
        return [each.signature for each in self.violations]


def examine(scenario: Scenario, lab: Lab = STANDARD) -> Examined:
    """Run a document and hold its trace against all laws."""
    try:
        ran = lab.run(scenario)
    except Exception as error:
        raised = _raised(error)
        return Examined(scenario, None, (raised,), {raised.signature: 1})
    checker = Checker(Rules.of(scenario.config), lab.monitors)
    for seq, event in ran.events:
        checker(seq, event)
    found = {each.signature: each for each in reversed(checker.end())}
    violations = list(reversed(found.values()))[:_KEPT]
    if ran.progress != "done":
        said = f"the run ended in a {ran.progress} at {ran.ended_at_s:.6f} s"
        violations.insert(0, Violation("run", said, (ran.events[-1],), f"progress/{ran.progress}"))
    counts = {each.signature: checker.counts[each.signature] or 1 for each in violations}
    return Examined(scenario, ran, tuple(violations), counts)


def run_chunk(items: Sequence[Item], lab: str = LAB) -> list[dict[str, Any]]:
    """Run seeds or documents, one after the other.

    Each table has: `seed` (None for a document), `scenario` (its hash), `document` (JSON text, if
    it was given or something was found), `progress` (None if it raised), `semantic`, `schedule`,
    `checkpoints`, `events`, `steps`, `violations`, `coverage`, `headline`. A run that raises is a
    violation.

    Args:
        items: Seeds, or documents as JSON texts.
        lab: `module:name` of the `Lab`.
    """
    made = lab_of(lab)
    return [_told(item, made) for item in items]


def lab_of(name: str) -> Lab:
    """The lab of that name.

    Raises:
        LookupError: There is none.
    """
    module, _, attribute = name.partition(":")
    found = getattr(importlib.import_module(module), attribute, None)
    if not isinstance(found, Lab):
        raise LookupError(f"{name!r} is no Lab: write `module:name` of one, such as {LAB!r}")
    return found


def document_of(item: Item, lab: Lab) -> Scenario:
    """The document that an item stands for."""
    return lab.generate(item) if isinstance(item, int) else from_json(item)


def _told(item: Item, lab: Lab) -> dict[str, Any]:
    scenario = document_of(item, lab)
    seen = examine(scenario, lab)
    ran = seen.run
    keep = seen.violations or not isinstance(item, int)
    told: dict[str, Any] = {
        "seed": item if isinstance(item, int) else None,
        "scenario": scenario.content_hash,
        "document": canonical_json(scenario).decode() if keep else None,
        "violations": [_plain(each, seen.counts) for each in seen.violations],
        "progress": None, "semantic": None, "schedule": None, "checkpoints": [],
        "events": 0, "steps": 0, "coverage": None, "headline": None,
    }  # fmt: skip
    if ran is None:
        return told
    laws = lab.laws(Rules.of(scenario.config))
    return told | {
        "progress": ran.progress,
        "semantic": ran.semantic_digest,
        "schedule": ran.schedule_digest,
        "checkpoints": list(ran.checkpoints),
        "events": len(ran.events),
        "steps": ran.steps,
        "coverage": cover(ran, laws).to_dict(),
        "headline": msgspec.to_builtins(headline(ran)),
    }


def _plain(violation: Violation, counts: dict[str, int]) -> dict[str, Any]:
    return {
        "monitor": violation.monitor,
        "signature": violation.signature,
        "sentence": violation.sentence,
        "witness": [seq for seq, _ in violation.witness],
        "count": counts[violation.signature],
    }


def _raised(error: Exception) -> Violation:
    """A run that raised, told by the kind of error and the innermost place."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    at = frames[-1].name if frames else "?"
    name = type(error).__name__
    return Violation(
        "run", f"the run raised {name} in {at}: {error}"[:500], (), f"raised/{name}@{at}"
    )
