"""`understudy simulate`: run one scenario, and say what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from understudy.cli.options import AsJson
from understudy_sim.cli.command import Unusable, verb
from understudy_sim.cli.options import Jobs, LabName, Report, Seed, Settings

if TYPE_CHECKING:
    from understudy_sim.cli.playing import Played

Seeds: TypeAlias = Annotated[
    int,
    typer.Option("--seeds", min=1, help="So many runs, under this seed and those after it."),
]
Trace: TypeAlias = Annotated[
    Path | None,
    typer.Option("--trace", metavar="FILE", help="Write every event, as JSON Lines."),
]
Save: TypeAlias = Annotated[
    Path | None,
    typer.Option("--save", metavar="FILE.json", help="Write the document first, for `replay`."),
]


@verb
def simulate(
    scenario: Annotated[
        str, typer.Argument(help="One of `understudy scenarios`, or a file in TOML or JSON.")
    ],
    seed: Seed = None,
    seeds: Seeds = 1,
    jobs: Jobs = None,
    settings: Settings = None,
    trace: Trace = None,
    report: Report = None,
    lab: LabName = None,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """Run the engine through a scenario of failures, on virtual time and without a network.

    The same document and seed give the same run, event by event. Ends with 1 if a law of the trace
    was broken, 3 if the run made no progress, 64 if it could not be run.
    """
    from understudy.cli.output import emit
    from understudy_sim.cli.again import again
    from understudy_sim.cli.documents import chosen, write_document
    from understudy_sim.cli.many import simulate_many
    from understudy_sim.cli.playing import check_report, document, play, write_report

    check_report(report)
    wanted = chosen(scenario, seed, settings)
    if seeds > 1:
        if trace is not None or save is not None:
            raise Unusable("--trace and --save are about one run: leave --seeds out, or them")
        code = simulate_many(
            wanted,
            seeds,
            lambda one: again(scenario, one, settings, lab=lab),
            jobs=jobs,
            report=report,
            lab=lab,
            as_json=as_json,
        )
        raise typer.Exit(code)
    if save is not None:
        write_document(save, wanted)
    played = play(wanted, f"simulating {wanted.name}", lab)
    if trace is not None:
        from understudy_sim.tracefile import record_run

        record_run(played.run).write(trace)
    if report is not None:
        from understudy_sim.report.facts import gather

        write_report(report, gather(played.run, played.violations))
    if as_json:
        emit(document(played))
    else:
        show(played, written=[each for each in (save, trace, report) if each is not None])
    if played.exit_code:
        raise typer.Exit(played.exit_code)


def show(played: Played, written: list[Path] | None = None) -> None:
    """The headline, what was violated, and how fast it went."""
    from understudy.cli.output import console
    from understudy_sim.headline import headline
    from understudy_sim.report.terminal import headline_table, verdict

    ran, screen = played.run, console()
    screen.print(f"{ran.scenario.name}, seed {ran.scenario.seed}")
    screen.print(headline_table({"value": headline(ran)}))
    for line, style in verdict(ran.progress, played.violations):
        screen.print(line, style=style, soft_wrap=True)
    ratio, pace = ran.ended_at_s / played.wall_s, len(ran.requests) / played.wall_s
    screen.print(
        f"{ran.ended_at_s:.0f} s simulated in {played.wall_s:.1f} s ({ratio:.0f} times real time, "
        f"{pace:,.0f} requests/s); digest {ran.semantic_digest}",
        style="dim",
        soft_wrap=True,
    )
    for path in written or []:
        screen.print(f"wrote {path}", style="dim", soft_wrap=True)
