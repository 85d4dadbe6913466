"""Hunts every planted fault and prints the table: `python -m tests.mutants [--seeds N] [--only S]`.

Ends with 1 if one was not found.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.mutants.harness import Catch, Order, Planted, healthy, hunt
from tests.mutants.plants import PLANTS


def hunted(mutant: Planted, order: Order) -> Catch:
    """Hunt one fault in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        try:
            return hunt(mutant, Path(folder), order)
        except RuntimeError as error:  # the others are hunted all the same
            return Catch(0, None, str(error)[-300:])


def main(seeds: int, jobs: int, only: str, shrink: bool) -> int:
    """Hunt, print, and count what was missed."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        known = healthy(Path(folder), seeds)
    for each in known:
        console.print(f"without any fault seed {each.seeds} breaks {each.monitor}: {each.sentence}")
    order = Order(seeds, tuple(each.seeds for each in known), shrink)
    chosen = [each for each in PLANTS if only in each.name]
    table = Table(title="planted faults")
    for column in ("fault", "in", "seeds", "found by", "shrunk to", "what it said"):
        table.add_column(column, overflow="fold")
    missed = 0
    with ThreadPoolExecutor(jobs) as pool:
        for mutant, catch in zip(
            chosen, pool.map(partial(hunted, order=order), chosen), strict=True
        ):
            missed += catch.monitor is None
            found = catch.monitor or "NOT FOUND"
            where = mutant.module.rpartition(".")[2]
            table.add_row(
                mutant.name, where, str(catch.seeds), found, catch.size or "", catch.sentence[:90]
            )
            console.print(
                f"{mutant.name}: {found} after {catch.seeds}", style="dim", highlight=False
            )
    console.print(table)
    console.print(f"{len(chosen) - missed} of {len(chosen)} found within {seeds} seeds")
    return 1 if missed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=150, help="documents to try for each fault")
    parser.add_argument("--jobs", type=int, default=2, help="hunts at the same time")
    parser.add_argument("--only", default="", help="faults whose name holds this")
    parser.add_argument("--shrink", action="store_true", help="shrink what is found")
    options = parser.parse_args()
    sys.exit(main(options.seeds, options.jobs, options.only, options.shrink))
