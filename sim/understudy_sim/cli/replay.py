"""`understudy replay`: a document once more, told event by event."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from understudy.cli.options import AsJson
from understudy_sim.cli.command import NOT_DETERMINISTIC, Unusable, verb
from understudy_sim.cli.options import LabName, Report, Seed, Settings

if TYPE_CHECKING:
    from understudy_sim.cli.playing import Played
    from understudy_sim.diff import Difference
    from understudy_sim.replay import Replay
    from understudy_sim.scenario import Scenario

Timeline: TypeAlias = Annotated[
    bool, typer.Option("--timeline", help="One line for each event, violations among them.")
]
OneRequest: TypeAlias = Annotated[
    str | None,
    typer.Option("--request", metavar="ID", help="Leave out the events of other requests."),
]
Step: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--step", help="Event by event with the engine's state; asks where to go on a terminal."
    ),
]


@verb
def replay(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A document, or the name of a scenario.")
    ],
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help='Tell it up to a virtual time, "12.5s".')
    ] = None,
    timeline: Timeline = False,
    request: OneRequest = None,
    step: Step = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="Under this configuration instead."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="TRACE", help="Compare with this trace; ends with 2 if they differ."),
    ] = None,
    seed: Seed = None,
    settings: Settings = None,
    report: Report = None,
    lab: LabName = None,
    as_json: AsJson = False,
) -> None:
    """Run a document again and tell what happens in it.

    Ends with 1 if a law was broken, 2 if the run is not the one of the given trace, 3 if it made no
    progress, 64 if it could not be run.
    """
    from understudy.cli.options import duration_s
    from understudy_sim.cli.documents import chosen
    from understudy_sim.cli.playing import check_report, play, write_report

    check_report(report)
    if step and (as_json or timeline):
        raise Unusable("--step tells everything by itself: leave --json and --timeline out")
    until_s = None if until is None else duration_s(until, "--until")
    wanted = chosen(file, seed, settings)
    if config is not None:
        wanted = _under(wanted, config)
    played = play(wanted, f"replaying {wanted.name}", lab)
    difference = None if against is None else _difference(played, against)
    if report is not None:
        from understudy_sim.report.facts import gather

        write_report(report, gather(played.run, played.violations))
    told = _told(played, until_s)
    if step:
        from understudy_sim.cli.stepping import go_through

        go_through(told, request)
    lines = [] if step else _lines(told, request, timeline=timeline)
    if as_json:
        _emit(played, lines, against, difference)
    else:
        _show(played, lines, against, difference)
    if difference is not None:
        raise typer.Exit(NOT_DETERMINISTIC)
    if played.exit_code:
        raise typer.Exit(played.exit_code)


def _under(scenario: Scenario, config: Path) -> Scenario:
    from msgspec.structs import replace

    from understudy.config.files import read_table
    from understudy_sim.reading import Refused
    from understudy_sim.scenario import canonical_json, from_json

    try:
        return from_json(canonical_json(replace(scenario, engine=read_table(config))))
    except Refused as error:
        raise Unusable(f"{config} cannot run in the scenario {scenario.name}: {error}") from None


def _difference(played: Played, against: Path) -> Difference | None:
    from understudy_sim.cli.documents import read_trace
    from understudy_sim.diff import diff
    from understudy_sim.tracefile import record_run

    return diff(read_trace(against), record_run(played.run))


def _told(played: Played, until_s: float | None) -> Replay:
    """The run up to that time, with the violations that are known by then."""
    import math

    from understudy_sim.replay import Replay

    end_s = math.inf if until_s is None else until_s
    known = tuple(v for v in played.violations if all(e.at_s <= end_s for _, e in v.witness))
    return Replay(played.run, known, end_s)


def _lines(told: Replay, request: str | None, *, timeline: bool) -> list[str]:
    """The whole timeline; without `timeline` a diagram of what broke, or only the last events."""
    if timeline:
        return list(told.timeline(request=request))
    if told.violations:
        return told.diagram.splitlines()
    partly = request is not None or told.until_s < float("inf")
    return list(deque(told.timeline(request=request), 12)) if partly else []


def _emit(
    played: Played, lines: list[str], against: Path | None, difference: Difference | None
) -> None:
    from understudy.cli.output import emit
    from understudy_sim.cli.playing import document

    shown: dict[str, Any] = {**document(played), "timeline": lines}
    if against is not None:
        shown["same_as_trace"] = difference is None
        shown["difference"] = None if difference is None else str(difference)
    emit(shown)


def _show(
    played: Played, lines: list[str], against: Path | None, difference: Difference | None
) -> None:
    from understudy.cli.output import console
    from understudy_sim.cli.simulate import show

    screen = console()
    for line in lines:
        screen.print(line, soft_wrap=True)
    show(played)
    if difference is not None:
        screen.print(f"NOT the run of {against}:\n{difference}", style="red", soft_wrap=True)
    elif against is not None:
        screen.print(f"the same run as {against}", style="green", soft_wrap=True)
