"""`understudy costs`: what was spent, and how each provider did."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated, Final

from typer import Option

from understudy.cli.accounts import (
    AsCsv,
    Days,
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
from understudy.cli.top import keys, models, tags, teams, users

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.accounts.reports import Costs, Sums


TOP_MAX: Final = 100_000


class By(enum.StrEnum):
    """Whose costs are shown."""

    PROVIDER = "provider"
    MODEL = "model"
    KEY = "key"
    USER = "user"
    TEAM = "team"
    TAG = "tag"


def costs(
    config: ConfigFile = None,
    by: Annotated[By, Option(help="Each one's part: `top` shows the same of the first few.")] = (
        By.PROVIDER
    ),
    days: Days = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show total and mean costs, and each provider's part (or each key's, ...), from the store.

    JSON and CSV hold the fields of `understudy.Costs` and `understudy.ProviderCosts`.
    """
    one_format(as_json, as_csv)
    if by is not By.PROVIDER:
        {
            By.MODEL: models,
            By.KEY: keys,
            By.USER: users,
            By.TEAM: teams,
            By.TAG: tags,
        }[by](config, TOP_MAX, days, as_json, as_csv)
        return
    report = kept(config).accounts.costs(days)
    if as_json:
        emit(report)
    elif as_csv:
        from understudy.accounts.reports import ProviderCosts

        emit_csv(ProviderCosts, report.providers)
    else:
        _show(report)


def _show(report: Costs) -> None:
    screen = console()
    span = f"{report.since} to {report.until} ({report.time_zone})"
    if not report.attempts:
        screen.print(f"No attempt was counted from {span}.", soft_wrap=True)
        return
    screen.print(
        f"{dollars(report.usd)} for {report.tokens:,} tokens in {report.attempts:,} attempts",
        style="bold",
    )
    screen.print(span)
    _money(screen, report)
    _times(screen, report)
    unknowns(screen, report.unknown)
    if report.estimated_tokens:
        screen.print(f"{report.estimated_tokens:,} tokens are estimates", style="dim")


def _money(screen: Console, report: Costs) -> None:
    shown = table(
        "provider", "cost", "", "tokens", "a million", right=("cost", "tokens", "a million")
    )
    for each in report.providers:
        drawn = bar(each.usd, report.usd, screen)
        shown.add_row(each.provider, dollars(each.usd), drawn, f"{each.tokens:,}", _mean(each))
    if len(report.providers) > 1:
        shown.add_section()
        shown.add_row("all", dollars(report.usd), "", f"{report.tokens:,}", _mean(report))
    screen.print(shown)


def _times(screen: Console, report: Costs) -> None:
    right = ("attempts", "good", "mean", "p50", "p95", "p99")
    shown = table("provider", *right, right=right)
    for each in sorted(report.providers, key=lambda row: -row.attempts):
        times = (each.mean_ms, each.p50_ms, each.p95_ms, each.p99_ms)
        good = percent(each.successes, each.attempts)
        shown.add_row(each.provider, f"{each.attempts:,}", good, *map(_ms, times))
    screen.print(shown)
    screen.print("times are those of good answers", style="dim")


def _mean(sums: Sums) -> str:
    return "-" if sums.usd_per_token is None else dollars(sums.usd_per_token * 1e6)


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value / 1e3:.2f} s" if value >= 1000 else f"{value:.1f} ms"
