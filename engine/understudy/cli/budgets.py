"""`understudy budgets`: how much of each budget is spent, and will be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from understudy.cli.accounts import (
    AsCsv,
    bar,
    dollars,
    emit_csv,
    kept,
    one_format,
    round_dollars,
    short,
)
from understudy.cli.options import AsJson, ConfigFile
from understudy.cli.output import console, emit, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from understudy.accounts.kept import Kept


class BudgetRow(Struct, frozen=True, kw_only=True):
    """One budget as `--json` and `--csv` tell of it: see `BudgetStanding`, `BudgetProjection`."""

    scope: str
    name: str
    per: str
    limit_usd: float
    spent_usd: float
    reserved_usd: float
    left_usd: float
    spent_percent: float
    charges: int
    since: str | None
    until: str | None
    frozen: bool
    projected_usd: float | None
    next_30_days_usd: float | None


def budgets(config: ConfigFile = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show every budget: spent, reserved, left, and what it will be, from the store."""
    one_format(as_json, as_csv)
    rows = rows_of(kept(config))
    if as_json:
        emit(rows)
    elif as_csv:
        emit_csv(BudgetRow, rows)
    else:
        _show(rows)


def rows_of(found: Kept) -> list[BudgetRow]:
    """One row for each budget."""
    return [
        BudgetRow(
            scope=each.scope,
            name=each.name,
            per=each.per,
            limit_usd=each.limit_usd,
            spent_usd=each.spent_usd,
            reserved_usd=each.reserved_usd,
            left_usd=each.left_usd,
            spent_percent=each.spent_percent,
            charges=each.charges,
            since=_iso(each.since),
            until=_iso(each.until),
            frozen=each.frozen,
            projected_usd=expected.projected_usd,
            next_30_days_usd=expected.next_30_days_usd,
        )
        for each, expected in zip(found.budgets, found.projections, strict=True)
    ]


def _show(rows: Sequence[BudgetRow]) -> None:
    screen = console()
    if not rows:
        screen.print(
            "There is no budget: add `[[budgets]]` with `usd` to the configuration.", soft_wrap=True
        )
        return
    right = ("spent", "%", "limit", "left", "at the end")
    shown = table("budget", "per", "spent", "", "%", "limit", "left", "at the end", right=right)
    for each in rows:
        expected = each.projected_usd
        shown.add_row(
            short(f"{each.scope} {each.name}".strip()),
            each.per,
            dollars(each.spent_usd),
            bar(each.spent_usd, each.limit_usd, screen, 8),
            f"{each.spent_percent:.0f}",
            round_dollars(each.limit_usd),
            "stopped" if each.frozen else dollars(each.left_usd),
            "-" if expected is None else dollars(expected),
        )
    screen.print(shown)
    reserved = sum(each.reserved_usd for each in rows)
    if reserved:
        screen.print("what attempts under way may cost is neither spent nor left", style="dim")
    if any(each.frozen for each in rows):
        screen.print("stopped: an attempt cost more than its worst case; `Engine.thaw` lends again")


def _iso(wall_s: float | None) -> str | None:
    if wall_s is None:
        return None
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="seconds")
