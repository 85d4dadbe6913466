"""The headline as a table in a terminal: one column a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from understudy.cli.output import table
from understudy_sim.check import Violation
from understudy_sim.headline import Headline
from understudy_sim.report.facts import first_of_each
from understudy_sim.report.words import ROWS

if TYPE_CHECKING:
    from rich.table import Table


def headline_table(runs: Mapping[str, Headline]) -> Table:
    """The numbers of one or several runs side by side; what none of them had is left out."""
    shown = table("", *runs, right=list(runs))
    for name, _, value in ROWS:
        values = [value(each) for each in runs.values()]
        if name == "stand-in answers" and not any(each.degraded for each in runs.values()):
            continue
        shown.add_row(name, *values)
    return shown


def verdict(progress: str, violations: Sequence[Violation]) -> Iterator[tuple[str, str]]:
    """Lines, each with its style, on whether a run went as every run must go."""
    if progress != "done":
        yield f"NO PROGRESS: the run was ended by {progress}", "red"
    for law, (sentence, times) in first_of_each(violations).items():
        again = "" if times == 1 else f" (and {times - 1} more)"
        yield f"VIOLATION of {law}: {sentence}{again}", "red"
    if progress == "done" and not violations:
        yield "every law of the trace was kept", "green"
