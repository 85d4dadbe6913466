"""`understudy usage`: use and costs, day by day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.accounts import (
    AsCsv,
    bar,
    dollars,
    emit_csv,
    kept,
    one_format,
    percent,
    unknowns,
)
from understudy.cli.options import AsJson, ConfigFile
from understudy.cli.output import console, emit, table

if TYPE_CHECKING:
    from understudy.accounts.reports import DayUsage

_NUMBERS = ("cost", "tokens", "attempts", "good")


def usage(
    config: ConfigFile = None,
    days: Annotated[
        int, typer.Option(min=1, max=3660, help="So many calendar days, today included.")
    ] = 30,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show use and costs of each day, from the store.

    JSON and CSV hold the fields of `understudy.DayUsage`, one entry a day, the oldest first.
    """
    one_format(as_json, as_csv)
    report = kept(config).accounts.usage(days)
    if as_json:
        emit(report)
    elif as_csv:
        from understudy.accounts.reports import DayUsage

        emit_csv(DayUsage, report)
    else:
        _show(report)


def _show(report: Sequence[DayUsage]) -> None:
    screen = console()
    used = [each for each in report if each.attempts]
    if not used:
        span = f"{report[0].day} to {report[-1].day}"
        screen.print(f"No attempt was counted from {span}.", soft_wrap=True)
        return
    most = max(each.usd for each in used)
    shown = table("day", "cost", "", "tokens", "attempts", "good", right=_NUMBERS)
    for each in report[report.index(used[0]) :]:  # nothing is told of the days before the first
        shown.add_row(
            each.day,
            dollars(each.usd),
            bar(each.usd, most, screen, 20),
            f"{each.tokens:,}",
            f"{each.attempts:,}",
            percent(each.successes, each.attempts),
        )
    shown.add_section()
    attempts = sum(each.attempts for each in used)
    shown.add_row(
        "all",
        dollars(sum(each.usd for each in used)),
        "",
        f"{sum(each.tokens for each in used):,}",
        f"{attempts:,}",
        percent(sum(each.successes for each in used), attempts),
    )
    screen.print(shown)
    unknowns(screen, sum(each.unknown for each in used))
