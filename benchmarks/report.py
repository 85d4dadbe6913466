"""What every benchmark prints: one table for people, one JSON object for machines."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version

import msgspec
from rich.console import Console
from rich.table import Table

LIBRARIES = ("trio", "attrs", "msgspec", "httpx")


class Record(msgspec.Struct, frozen=True):
    """One measured case: `ratio` is value to baseline, both in `unit`.

    `budget` bounds `value`: from above a cost, from below a rate; `ok` says whether it holds.
    """

    case: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    budget: float | None = None
    ok: bool | None = None


def record(
    case: str,
    value: float,
    unit: str,
    *,
    baseline: float | None = None,
    budget: float | None = None,
    goal: float | None = None,
) -> Record:
    """A record with its ratio and its verdict worked out; `goal` is a budget that wants more."""
    ratio = value / baseline if baseline else None
    if goal is not None:
        return Record(case, value, unit, baseline, ratio, goal, value >= goal)
    return Record(
        case, value, unit, baseline, ratio, budget, None if budget is None else value <= budget
    )


def versions() -> dict[str, str]:
    """Interpreter, machine and the libraries that matter."""
    found = {name: version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), "machine": platform.machine(), **found}


def command(
    name: str, about: str | None, measure: Callable[[bool], list[Record]], note: str = ""
) -> None:
    """Run a benchmark from the command line: `measure` is told whether it should be quick."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="fewer calls and rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    report(name, measure(options.quick), as_json=options.json, note=note)


def report(name: str, records: list[Record], *, as_json: bool, note: str = "") -> None:
    """Print everything that was measured."""
    if as_json:
        document = {"name": name, "versions": versions(), "records": records}
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
        return
    console = Console(width=None if sys.stdout.isatty() else 140)
    table = Table(title=name, caption=note, caption_justify="left")
    for column in ("case", "value", "unit", "baseline", "ratio", "budget", "ok"):
        table.add_column(column, justify="left" if column in ("case", "unit", "ok") else "right")
    for each in records:
        table.add_row(
            each.case,
            f"{each.value:.2f}",
            each.unit,
            "" if each.baseline is None else f"{each.baseline:.2f}",
            "" if each.ratio is None else f"{each.ratio:.2f}",
            "" if each.budget is None else f"{each.budget:g}",
            "" if each.ok is None else ("yes" if each.ok else "NO"),
        )
    console.print(table)
    console.print(", ".join(f"{key} {value}" for key, value in versions().items()), style="dim")
