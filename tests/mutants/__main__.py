"""Hunts every planted fault and prints the table.

    python -m tests.mutants [--documents N] [--seconds S] [--jobs N] [--only TEXT] [--write FILE]

With `--state FILE` what was found is kept there, and a hunt that was interrupted goes on.
Ends with 1 if one was not found, or not shrunk to at most 5 requests and 2 faults.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.mutants.harness import Catch, Order, Planted, healthy, hunt
from tests.mutants.plants import PLANTS
from tests.mutants.state import State
from tests.mutants.table import Row, markdown, summary, within

PROGRESS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
)


def hunted(mutant: Planted, order: Order, state: State) -> Catch:
    """Hunt one fault in a folder of its own, unless it was hunted already."""
    known = state.get(mutant)
    if known is None:
        known = _hunted(mutant, order)
        state.keep(mutant, known)
    return known


def _hunted(mutant: Planted, order: Order) -> Catch:
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        try:
            return hunt(mutant, Path(folder), order)
        except RuntimeError as error:  # the others are hunted all the same
            return Catch(0, "", None, str(error)[-300:])


def known_complaints(documents: int, console: Console) -> tuple[int, ...]:
    """Documents that break a law without any fault; each is told."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        found = healthy(Path(folder), documents)
    for each in found:
        console.print(f"without any fault {each.world} breaks {each.monitor}: {each.sentence}")
    return tuple(each.documents for each in found)


def main(options: argparse.Namespace) -> int:
    """Hunt, print, and count what was missed."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    skip = known_complaints(min(options.documents, options.checked), console)
    order = Order(options.documents, skip, options.shrink, seconds=options.seconds)
    chosen = [each for each in PLANTS if options.only in each.name]
    rows: list[Row] = []
    with Progress(*PROGRESS, console=console) as bar, ThreadPoolExecutor(options.jobs) as pool:
        task = bar.add_task("hunting", total=len(chosen))
        hunts = pool.map(partial(hunted, order=order, state=State(options.state)), chosen)
        for mutant, catch in zip(chosen, hunts, strict=True):
            rows.append(row := Row(mutant, catch))
            bar.update(task, advance=1, description=f"{mutant.name}: {row.found}")
            if not console.is_terminal:
                line = f"{mutant.name}: {row.found} after {catch.documents} {row.size}"
                console.print(line, highlight=False)
    text = markdown(rows, order)
    if options.write is not None:
        options.write.write_text(text)
    else:
        console.print(text, markup=False, highlight=False)
    console.print(summary(rows))
    small = all(within(each.catch) for each in rows) if options.shrink else True
    return 0 if small and all(each.catch.monitor for each in rows) else 1


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=3000, help="to try for each fault")
    parser.add_argument("--seconds", type=float, default=120.0, help="to hunt each fault")
    parser.add_argument("--checked", type=int, default=150, help="run without a fault first")
    parser.add_argument("--jobs", type=int, default=2, help="hunts at the same time")
    parser.add_argument("--only", default="", help="faults whose name holds this")
    parser.add_argument("--no-shrink", dest="shrink", action="store_false", help="find only")
    parser.add_argument("--state", type=Path, help="keep what was found there, and go on from it")
    parser.add_argument("--write", type=Path, help="write the table there, as Markdown")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(parsed()))
