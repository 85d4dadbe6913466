"""`understudy demo`: failures played against mock providers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.options import AsJson
from understudy.cli.output import console, emit

if TYPE_CHECKING:
    from understudy_sim.demo.play import Scenario


def demo(
    fast: Annotated[
        bool, typer.Option("--fast", help="Shorter timeouts, waits and cooldowns.")
    ] = False,
    scenario: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this one, by name or number; may be repeated."),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the scenarios.")] = False,
    log: Annotated[
        bool, typer.Option("--log", help="Show the engine's log lines too, on stderr.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Play seven scenarios of failure against mock providers. Ends with 1 if one went wrong.

    It needs no key and no network: everything runs on this machine, in this process.
    """
    import trio

    from understudy_sim.demo.records import FAST, USUAL
    from understudy_sim.demo.run import run
    from understudy_sim.demo.scenarios import SCENARIOS
    from understudy_sim.demo.show import listing as list_of

    chosen = _chosen(SCENARIOS, scenario)
    if listing and as_json:
        emit([{"name": s.name, "title": s.title, "about": s.about} for s in chosen])
    elif listing:
        console().print(list_of(chosen))
    else:
        pace = FAST if fast else USUAL

        async def play() -> bool:
            return await run(chosen, pace, as_json=as_json, log_level="info" if log else "off")

        if not trio.run(play):
            raise typer.Exit(1)


def _chosen(scenarios: tuple[Scenario, ...], names: list[str] | None) -> tuple[Scenario, ...]:
    if not names:
        return scenarios
    known = {each.name: each for each in scenarios}
    known |= {str(number): each for number, each in enumerate(scenarios, 1)}
    for name in names:
        if name not in known:
            listed = ", ".join(each.name for each in scenarios)
            raise typer.BadParameter(f"{name!r} is none; use {listed}", param_hint="--scenario")
    return tuple(each for each in scenarios if any(known[name] is each for name in names))
