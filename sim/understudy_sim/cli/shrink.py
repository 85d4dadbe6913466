"""`understudy shrink`: a small document that fails as a large one does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.cli.options import AsJson
from understudy_sim.cli.command import Unusable, verb
from understudy_sim.cli.options import LabName

if TYPE_CHECKING:
    from understudy_sim.scenario import Scenario
    from understudy_sim.shrink import Shrunk


@verb
def shrink(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A document that fails.")],
    signature: Annotated[
        str | None, typer.Option(help="What must fail again. [default: the first that does]")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="So many runs at most.")] = 600,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE.json", help="[default: FILE.small.json]"),
    ] = None,
    test: Annotated[
        Path | None, typer.Option(metavar="FILE.py", help="Write a regression test, too.")
    ] = None,
    lab: LabName = None,
    as_json: AsJson = False,
) -> None:
    """Leave out of a failing document whatever its failure does not need.

    Ends with 0 once the smaller document is written, 64 if the given one does not fail.
    """
    from understudy.cli.output import console, emit
    from understudy_sim.cli.documents import write_document
    from understudy_sim.cli.playing import lab_named
    from understudy_sim.cli.progress import progress
    from understudy_sim.scenario import load
    from understudy_sim.shrink import NotReproduced, shrink as shrunk

    target = out or file.with_suffix(".small.json")
    smaller: list[Scenario] = []
    try:
        with progress("shrinking, smaller documents so far", None, lambda: len(smaller)):
            found = shrunk(
                load(file),
                signature,
                lab=lab_named(lab),
                runs_max=runs,
                on_progress=smaller.append,
            )
    except NotReproduced as error:
        raise Unusable(str(error)) from None
    write_document(target, found.scenario)
    if test is not None:
        test.write_text(found.test, encoding="utf-8")
    if as_json:
        emit(_document(found, target))
        return
    screen = console()
    screen.print(str(found), soft_wrap=True)
    for path in (target, test):
        if path is not None:
            screen.print(f"wrote {path}", style="dim", soft_wrap=True)


def _document(found: Shrunk, target: Path) -> dict[str, Any]:
    sizes = [{"requests": size[0], "faults": size[1]} for size in (found.before, found.after)]
    return {
        "signature": found.violation.signature,
        "monitor": found.violation.monitor,
        "sentence": found.violation.sentence,
        "before": sizes[0],
        "after": sizes[1],
        "tried": found.tried,
        "document": str(target),
        "trace": found.trace,
        "diagram": found.diagram,
    }
