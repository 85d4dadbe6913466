"""`understudy compare`: strategies or configurations in the same worlds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.cli.options import AsJson
from understudy_sim.cli.command import Unusable, verb
from understudy_sim.cli.options import Jobs, Report, Settings

if TYPE_CHECKING:
    from rich.table import Table

    from understudy_sim.compare import Comparison
    from understudy_sim.scenario import Scenario


@verb
def compare(
    engines: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG_OR_STRATEGY...",
            help="Two or more: a strategy, or a configuration file. The first is the yardstick.",
        ),
    ],
    scenario: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="The world to compare them in.")
    ] = "primary-outage",
    seeds: Annotated[int, typer.Option(min=1, max=10_000, help="So many worlds.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="The first of the seeds.")] = 1,
    settings: Settings = None,
    jobs: Jobs = None,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Compare strategies or configurations in the same worlds, with common random numbers.

    Differences are those to the first one, seed by seed, as a mean with its 95 % interval.
    """
    from understudy.cli.output import console, emit
    from understudy_sim.cli.again import again
    from understudy_sim.cli.documents import chosen
    from understudy_sim.cli.playing import check_report
    from understudy_sim.cli.progress import progress
    from understudy_sim.compare import compare as compared

    check_report(report)
    world = chosen(scenario, None, settings)
    variants = _variants(engines, world)
    total, done = len(variants) * seeds, list[None]()
    with progress(f"comparing in {world.name}", total, lambda: len(done)):
        found = compared(
            world,
            variants,
            range(seed, seed + seeds),
            jobs=jobs or os.cpu_count() or 1,
            on_done=lambda: done.append(None),
        )
    if report is not None:
        from understudy_sim.report.comparison import page_of

        told = page_of(found, lambda name, one: again(scenario, one, settings, engine=name))
        report.write_text(told, encoding="utf-8")
    if as_json:
        emit(found)
    else:
        _show(found)
        if report is not None:
            console().print(f"wrote {report}", style="dim", soft_wrap=True)


def _variants(engines: list[str], world: Scenario) -> Mapping[str, Mapping[str, Any]]:
    """Name to configuration. Each is tried on the scenario, so that what is wrong shows at once."""
    from msgspec.structs import replace

    from understudy.config.files import PARSERS, read_table
    from understudy_actors.dispatcher.strategies import BUILT_IN
    from understudy_sim.reading import Refused
    from understudy_sim.scenario import canonical_json, from_json

    variants: dict[str, Mapping[str, Any]] = {}
    for each in engines:
        if Path(each).suffix.casefold() in PARSERS:
            engine: dict[str, Any] = read_table(Path(each))
        elif each in BUILT_IN:
            engine = {**world.engine, "strategy": each}
        else:
            known = ", ".join(sorted(BUILT_IN))
            raise Unusable(f"{each!r} is no strategy; use a file in TOML, YAML or JSON, or {known}")
        try:
            variants[each] = from_json(canonical_json(replace(world, engine=engine))).engine
        except Refused as error:
            raise Unusable(f"{each} cannot run in the scenario {world.name}: {error}") from None
    if len(variants) < 2:
        raise Unusable("compare takes two or more different strategies or configuration files")
    return variants


def _show(found: Comparison) -> None:
    from understudy.cli.output import console

    screen = console()
    count = len(found.seeds)
    screen.print(
        f"{found.scenario}, {count} seed{'' if count == 1 else 's'} from {found.seeds[0]}; "
        "the same requests, luck and faults for all",
        soft_wrap=True,
    )
    screen.print(_means(found))
    if count < 2:
        screen.print("One seed tells no spread: take more --seeds.", style="yellow")
    else:
        screen.print(f"Difference to {found.outcomes[0].name}, with its 95 % interval:")
        screen.print(_differences(found))
        screen.print("* the interval leaves out 0", style="dim")


def _means(found: Comparison) -> Table:
    from understudy.cli.output import table
    from understudy_sim.report.measures import NAMES, measured

    shown = table("mean", *NAMES.values(), right=list(NAMES.values()))
    for each in found.outcomes:
        values = (
            measured(name, each.measures[name].mean) if name in each.measures else "–"
            for name in NAMES
        )
        shown.add_row(each.name, *values)
    return shown


def _differences(found: Comparison) -> Table:
    from understudy.cli.output import table
    from understudy_sim.report.measures import NAMES, change

    shown = table("", *NAMES.values(), right=list(NAMES.values()))
    for each in found.outcomes[1:]:
        shown.add_row(
            each.name,
            *(change(name, each.differences.get(name)) for name in NAMES),
        )
    return shown
