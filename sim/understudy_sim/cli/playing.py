"""Runs a scenario for a verb: with its checkers, a progress bar, and a look at the wall clock."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from understudy.ports import SystemClock
from understudy_sim.campaign import Failure
from understudy_sim.check import Checker, Rules, Violation
from understudy_sim.cli.command import CLEAN, NO_PROGRESS, Unusable
from understudy_sim.cli.progress import progress
from understudy_sim.examine import STANDARD, Lab, lab_of
from understudy_sim.headline import Headline, headline
from understudy_sim.run import Run
from understudy_sim.scenario import Scenario
from understudy_sim.world import Log, run

if TYPE_CHECKING:
    from understudy_sim.report.facts import Facts


@attrs.frozen
class Played:
    """A run, how its checkers judged it, and how long it took in real time."""

    run: Run
    violations: list[Violation]
    wall_s: float

    @property
    def exit_code(self) -> int:
        """As the verbs end."""
        if self.run.progress != "done":
            return NO_PROGRESS
        return min((_exit_of(each) for each in self.violations), default=CLEAN)


def _exit_of(violation: Violation) -> int:
    """As a campaign ends that finds nothing else."""
    found = Failure(violation.signature, violation.monitor, "", None, "", 0)
    return int(found.exit)


def play(scenario: Scenario, what: str = "simulating", lab: str | None = None) -> Played:
    """Run a scenario to its end, and judge it.

    Args:
        scenario: What to run.
        what: Words beside the progress bar; without any there is none.
        lab: As in `lab_named`.
    """
    made, log, clock = lab_named(lab), Log(), SystemClock()
    began_at = clock.wall()

    def reached_s() -> float:
        return log.events[-1][1].at_s if log.events else 0.0

    bar = progress(what, scenario.horizon_s, reached_s) if what else contextlib.nullcontext()
    with bar:
        ran = run(scenario, log=log) if made.run is STANDARD.run else made.run(scenario)
        wall_s = clock.wall() - began_at
        violations = _judged(ran, made)
    return Played(ran, violations, max(wall_s, 1e-6))


def lab_named(name: str | None) -> Lab:
    """The lab of that name, `module:name`; without one today's engine under all laws.

    Raises:
        Unusable: There is none.
    """
    if name is None:
        return STANDARD
    try:
        return lab_of(name)
    except (LookupError, ImportError, ValueError) as error:
        raise Unusable(f"--lab: {error}") from None


def _judged(ran: Run, lab: Lab) -> list[Violation]:
    checker = Checker(Rules.of(ran.scenario.config), lab.monitors)
    for seq, event in ran.events:
        checker(seq, event)
    return checker.end()


def document(played: Played, measured: Headline | None = None) -> dict[str, Any]:
    """A run as JSON values."""
    ran = played.run
    return {
        "scenario": ran.scenario.name,
        "document": ran.scenario.content_hash,
        "seed": ran.scenario.seed,
        "progress": ran.progress,
        "ended_at_s": ran.ended_at_s,
        "headline": measured or headline(ran),
        "outcomes": dict(Counter(each.status for each in ran.requests).most_common()),
        "violations": findings(played.violations),
        "semantic_digest": ran.semantic_digest,
        "schedule_digest": ran.schedule_digest,
        "events": len(ran.events),
        "wall_s": played.wall_s,
        "simulated_per_wall": ran.ended_at_s / played.wall_s,
        "requests_per_s": len(ran.requests) / played.wall_s,
    }


def findings(violations: list[Violation]) -> list[dict[str, Any]]:
    """One entry a signature: the first of its violations, and how many there were."""
    counts = Counter(each.signature for each in violations)
    firsts = {each.signature: each for each in reversed(violations)}
    return [
        {
            "monitor": firsts[signature].monitor,
            "sentence": firsts[signature].sentence,
            "signature": signature,
            "count": count,
        }
        for signature, count in counts.items()
    ]


def write_report(path: Path, facts: Facts, *others: tuple[str, Headline]) -> None:
    """Write a report.

    Raises:
        Unusable: The file's name does not end in .html.
    """
    from understudy_sim.report.page import page

    check_report(path)
    path.write_text(page(facts, others), encoding="utf-8")


def check_report(path: Path | None) -> None:
    """Refuse a wrong name before a long run, not after it."""
    if path is not None and path.suffix not in (".html", ".htm"):
        raise Unusable(f"--report {path}: the name must end in .html")
    if path is not None and not path.absolute().parent.is_dir():
        raise Unusable(f"--report {path}: there is no such folder; make it first")
