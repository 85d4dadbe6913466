"""`understudy simulate --seeds`: one scenario under many seeds, its spread and its worst run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from understudy_sim.campaign import Failure
from understudy_sim.cli.command import CLEAN, NO_PROGRESS, Unusable
from understudy_sim.report.facts import Facts
from understudy_sim.scenario import Scenario

SEEDS_MAX = 10_000


def simulate_many(
    scenario: Scenario,
    seeds: int,
    command: Callable[[int], str],
    *,
    jobs: int | None = None,
    report: Path | None = None,
    lab: str | None = None,
    as_json: bool = False,
) -> int:
    """Run it under its own seed and those after it, and tell what came of them.

    Args:
        scenario: What to run.
        seeds: How many.
        command: What a person types to see the run of one seed.
        jobs: Processes; None for one a core.
        report: Where to write the report.
        lab: As in `lab_named`.
        as_json: One JSON document instead of tables.

    Returns:
        The exit code.
    """
    from understudy.cli.output import emit
    from understudy_sim.cli.playing import lab_named
    from understudy_sim.cli.progress import progress
    from understudy_sim.many import over_seeds

    if seeds > SEEDS_MAX:
        raise Unusable(f"--seeds {seeds}: at most {SEEDS_MAX}; `understudy explore` takes more")
    lab_named(lab)  # what is wrong with it shows before a long run
    done: list[None] = []
    with progress(f"simulating {scenario.name}", seeds, lambda: len(done)):
        runs = over_seeds(
            scenario,
            range(scenario.seed, scenario.seed + seeds),
            jobs=jobs or os.cpu_count() or 1,
            on_done=lambda: done.append(None),
            lab=lab,
        )
    if report is not None:
        from understudy_sim.report.seeds import page_of_seeds

        report.write_text(page_of_seeds(runs, command), encoding="utf-8")
    if as_json:
        emit(_document(runs, command))
    else:
        _show(runs, command, report)
    return exit_of(runs)


def exit_of(runs: Sequence[Facts]) -> int:
    """As a campaign ends with these runs: the gravest of them, a broken law first."""
    found = [NO_PROGRESS for each in runs if each.progress != "done"]
    found += [
        int(Failure("", law, "", None, "", 0).exit)
        for each in runs
        for law in each.violations or ()
    ]
    return min(found, default=CLEAN)


def _document(runs: Sequence[Facts], command: Callable[[int], str]) -> dict[str, Any]:
    from understudy_sim.many import LEVELS, quantiles, worst_of
    from understudy_sim.report.seeds import NUMBERS

    worst = worst_of(runs)
    return {
        "scenario": runs[0].scenario,
        "levels": LEVELS,
        "quantiles": {
            name: quantiles([value(each.headline) for each in runs]) for name, value, _ in NUMBERS
        },
        "worst": {"seed": worst.seed, "command": command(worst.seed)},
        "runs": [
            {
                "seed": each.seed,
                "progress": each.progress,
                "headline": each.headline,
                "violations": {law: count for law, (_, count) in (each.violations or {}).items()},
                "semantic_digest": each.semantic_digest,
            }
            for each in runs
        ],
    }


def _show(runs: Sequence[Facts], command: Callable[[int], str], report: Path | None) -> None:
    from understudy.cli.output import console, table
    from understudy_sim.many import LEVELS, quantiles, worst_of
    from understudy_sim.report.seeds import NUMBERS, spans
    from understudy_sim.report.words import percent

    screen, worst = console(), worst_of(runs)
    screen.print(f"{runs[0].scenario}, {len(runs)} seeds: {spans([each.seed for each in runs])}")
    heads = ["median" if level == 0.5 else percent(level) for level in LEVELS]
    shown = table("", *heads, right=heads)
    for name, value, words in NUMBERS:
        found = quantiles([value(each.headline) for each in runs])
        shown.add_row(name, *(words(each) for each in found or ()))
    screen.print(shown)
    for each in runs:
        if each.progress != "done":
            said = f"NO PROGRESS under seed {each.seed}: ended by {each.progress}"
            screen.print(said, style="red", soft_wrap=True)
        for law, (sentence, times) in (each.violations or {}).items():
            said = f"VIOLATION of {law} under seed {each.seed}, {times} times: {sentence}"
            screen.print(said, style="red", soft_wrap=True)
    if not exit_of(runs):
        screen.print("every law of the trace was kept under every seed", style="green")
    screen.print(f"the worst: {command(worst.seed)}", soft_wrap=True)
    if report is not None:
        screen.print(f"wrote {report}", style="dim", soft_wrap=True)
