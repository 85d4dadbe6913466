"""`understudy explore`: many random scenarios, looking for one in which a law breaks."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.cli.options import AsJson
from understudy_sim.cli.command import verb
from understudy_sim.cli.options import Jobs, LabName

if TYPE_CHECKING:
    from understudy_sim.campaign import Campaign


@verb
def explore(
    seeds: Annotated[int, typer.Option(min=1, help="So many scenarios, one a seed.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The first of the seeds.")] = 0,
    jobs: Jobs = None,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help='Begin nothing after so long, "10m".')
    ] = None,
    into: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where documents that fail are kept.")
    ] = Path("runs"),
    lab: LabName = None,
    as_json: AsJson = False,
) -> None:
    """Draw random scenarios, run them, and hold every trace against all laws.

    Some runs are repeated in a fresh interpreter, and must be the same. Of each way to fail, the
    shortest run is kept: `understudy shrink` makes it smaller, `understudy replay` shows it. Ends
    with 1 if a law was broken, 2 if a run could not be repeated, 3 if one made no progress, 4 if
    the campaign proves little, 64 if it could not be run.
    """
    from understudy.cli.options import duration_s
    from understudy.cli.output import console, emit
    from understudy_sim.cli.playing import lab_named
    from understudy_sim.cli.progress import progress
    from understudy_sim.examine import LAB
    from understudy_sim.explore import explore as explored

    lab_named(lab)
    runs, budget_s = [0], None if budget is None else duration_s(budget, "--budget")

    def note(campaign: Campaign) -> None:
        runs[0] = campaign.runs

    with progress(f"exploring {seeds} seeds", seeds, lambda: runs[0]):
        found = explored(
            range(seed, seed + seeds),
            jobs=jobs or os.cpu_count() or 1,
            budget_s=budget_s,
            on_progress=note,
            into=into,
            lab=lab or LAB,
        )
    with contextlib.suppress(OSError):
        into.rmdir()  # nothing failed, so nothing is in it
    if as_json:
        emit(document(found, into))
    else:
        screen = console()
        screen.print(found.summary(), soft_wrap=True)
        for each in found.failures.values():
            screen.print(f"understudy shrink {into / each.file_name}", style="dim", soft_wrap=True)
    if found.exit:
        raise typer.Exit(int(found.exit))


def document(found: Campaign, into: Path) -> dict[str, Any]:
    """A campaign as JSON values."""
    seen = found.coverage
    return {
        "exit": int(found.exit),
        "runs": found.runs,
        "requests": found.requests,
        "availability": found.answered / found.requests if found.requests else 1.0,
        "rechecked": found.rechecked,
        "over_budget": found.over_budget,
        "vacuous": found.vacuous,
        "failures": [
            {
                "signature": each.signature,
                "monitor": each.monitor,
                "sentence": each.sentence,
                "seed": each.seed,
                "runs": each.runs,
                "steps": each.steps,
                "document": str(into / each.file_name),
                "detail": each.detail,
            }
            for each in found.failures.values()
        ],
        "coverage": {
            "marks": dict(sorted(seen.marks.items())),
            "courses": len(seen.shapes),
            "expected_new": seen.expected_new,
            "trivial": dict(sorted(seen.trivial.items())),
            "steps": seen.steps,
            "contests": seen.contests,
        },
    }
