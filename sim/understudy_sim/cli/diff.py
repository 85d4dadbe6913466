"""`understudy diff`: where two runs part."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import attrs
import typer

from understudy.cli.options import AsJson
from understudy_sim.cli.command import NOT_DETERMINISTIC, VIOLATION, verb

_LEAK: Final = "The same document was run in the same way: something is not deterministic."


@verb
def diff(
    left: Annotated[Path, typer.Argument(metavar="A", help="A trace file.")],
    right: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    as_json: AsJson = False,
) -> None:
    """Show the first event in which two traces differ, and what led to it.

    Ends with 0 if they are equal, 1 if they differ, and 2 if they differ although the same document
    was run with the same seed, schedule and versions: then something is not deterministic.
    """
    from understudy.cli.output import console, emit
    from understudy_sim.cli.documents import read_trace
    from understudy_sim.diff import diff as difference_of

    ours, theirs = read_trace(left), read_trace(right)
    found = difference_of(ours, theirs)
    same = ours.header == theirs.header
    if as_json:
        emit(
            {
                "equal": found is None,
                "same_setup": same,
                "events": [ours.end.events, theirs.end.events],
                "difference": None if found is None else attrs.asdict(found),
            }
        )
    elif found is None:
        console().print(
            f"equal: {ours.end.events} events, digest {ours.end.semantic}", soft_wrap=True
        )
    else:
        console().print(str(found), soft_wrap=True)
        if same:
            console().print(
                "The same document was run: something is not deterministic.", style="red"
            )
    if found is not None:
        raise typer.Exit(NOT_DETERMINISTIC if same else VIOLATION)
