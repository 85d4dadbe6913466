"""`understudy scenarios`: what there is to simulate."""

from __future__ import annotations

from understudy.cli.options import AsJson
from understudy_sim.cli.command import verb


@verb
def scenarios(as_json: AsJson = False) -> None:
    """List the scenarios that come along, each with what happens in it."""
    from understudy.cli.output import console, emit, table
    from understudy_sim.scenario import load, names

    found = [load(name) for name in names()]
    if as_json:
        emit(
            [
                {
                    "name": each.name,
                    "summary": first_sentence(each.description),
                    "description": " ".join(each.description.split()),
                    "horizon_s": each.horizon_s,
                    "providers": [provider.name for provider in each.fleet],
                    "faults": [fault.kind for fault in each.faults],
                    "strategy": each.engine.get("strategy", "adaptive"),
                }
                for each in found
            ]
        )
        return
    shown = table("scenario", "what happens")
    for each in found:
        shown.add_row(each.name, first_sentence(each.description))
    screen = console()
    screen.print(shown)
    screen.print("Run one with `understudy simulate NAME`.", style="dim")


def first_sentence(text: str) -> str:
    """The first sentence, on one line."""
    first, stop, _ = " ".join(text.split()).partition(". ")
    return first + stop.strip()
