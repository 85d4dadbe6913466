"""Runs scenarios under every checker: the monitors of the trace, and what no run may contain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from understudy.config.reading import parse as parse_config
from understudy_sim.check import ALL, Reference, Rules, Violation, Watch, check
from understudy_sim.run import Run
from understudy_sim.scenario import Scenario
from understudy_sim.testing.doors import Doors
from understudy_sim.testing.laws import LawBroken
from understudy_sim.testing.readings import Readings
from understudy_sim.testing.watches import OwnCrashes, Progress
from understudy_sim.world import run

EVERY: Final[tuple[type[Watch], ...]] = (
    *ALL,
    Reference,
    OwnCrashes,
    Progress,
    Readings,
    Doors,
)
"""Every checker that the kit runs: the laws of a trace, then those of a run (see `watches`)."""
CLAIMS: Final[Mapping[str, str]] = {each.name: each.claim for each in EVERY}


def violations_of(finished: Run) -> list[Violation]:
    """Every law that a finished run breaks, in order."""
    rules = Rules.of(parse_config(finished.scenario.engine_table))
    return check(finished.events, EVERY, rules=rules)


def verify_scenario(
    scenario: Scenario,
    *,
    seeds: Iterable[int] | None = None,
    strategies: Mapping[str, Any] | None = None,
    subject: str | None = None,
) -> list[Run]:
    """Run a scenario twice for each seed, under every checker; returns the first runs.

    Args:
        scenario: What to run; see `understudy_sim.scenario.load` and `parse`.
        seeds: Root seeds; None takes the document's own.
        strategies: Strategies of your own that its engine names.
        subject: What to call it in an error.

    Raises:
        LawBroken: A law of the trace is broken, or the same seed gave two different runs.
    """
    runs: list[Run] = []
    for seed in (scenario.seed,) if seeds is None else seeds:
        name = f"{subject or scenario.name} (scenario {scenario.name!r}, seed {seed})"
        first = run(scenario, seed=seed, strategies=strategies)
        for violation in violations_of(first)[:1]:
            law = f"{violation.monitor}, {CLAIMS[violation.monitor]}"
            raise LawBroken(name, law, violation.sentence)
        again = run(scenario, seed=seed, strategies=strategies)
        if (first.semantic_digest, first.schedule_digest) != (
            again.semantic_digest,
            again.schedule_digest,
        ):
            raise LawBroken(
                name,
                "the same seed gives the same run",
                "Something in it draws chance, time or ids elsewhere than from its ports.",
            )
        runs.append(first)
    return runs
