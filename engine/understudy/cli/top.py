"""`understudy top models`, `users`, `keys`, `teams` and `tags`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer
from msgspec.structs import replace
from typer import Typer

from understudy.cli.accounts import (
    AsCsv,
    Days,
    bar,
    dollars,
    emit_csv,
    kept,
    one_format,
    safe,
    short,
    unknowns,
)
from understudy.cli.options import AsJson, ConfigFile
from understudy.cli.output import console, emit, table

if TYPE_CHECKING:
    from understudy.accounts.accounts import Spenders
    from understudy.accounts.reports import TopUser

top = Typer(
    name="top",
    help="The most used models, the dearest users, keys, teams and tags.",
    no_args_is_help=True,
)

Most: TypeAlias = Annotated[
    int, typer.Option("--most", "-n", min=1, max=100_000, help="So many at most.")
]


@top.command()
def models(
    config: ConfigFile = None,
    most: Most = 10,
    days: Days = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the most used models, by attempts, from the store.

    JSON and CSV hold the fields of `understudy.TopModel`.
    """
    from understudy.accounts.reports import TopModel

    one_format(as_json, as_csv)
    found = kept(config).accounts.top("models", most, days)
    if as_json or as_csv:
        emit_csv(TopModel, found) if as_csv else emit(found)
        return
    rows = [
        (f"{each.provider}/{each.model}", each.attempts, f"{each.attempts:,}", each)
        for each in found
    ]
    _show("model", "attempts", rows, ("cost", lambda each: dollars(each.usd)))


@top.command()
def users(
    config: ConfigFile = None,
    most: Most = 10,
    days: Days = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the dearest users, by cost, from the store.

    Users are named as the requests named them; what looks like a key is cut off. JSON and CSV hold
    the fields of `understudy.TopUser`.
    """
    from understudy.accounts.reports import TopUser

    one_format(as_json, as_csv)
    found = kept(config).accounts.top("users", most, days)
    if as_json or as_csv:
        named = [replace(each, user=_safe(each.user), tenant=_safe(each.tenant)) for each in found]
        emit_csv(TopUser, named) if as_csv else emit(named)
        return
    rows = [(_who(each), each.usd, dollars(each.usd), each) for each in found]
    _show("user", "cost", rows, ("attempts", lambda each: f"{each.attempts:,}"))


@top.command()
def keys(
    config: ConfigFile = None,
    most: Most = 10,
    days: Days = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the dearest keys, by cost, from the store.

    JSON and CSV hold the fields of `understudy.TopSpender`, here as in `teams` and `tags`.
    """
    _spenders("keys", config, most, days, as_json, as_csv)


@top.command()
def teams(
    config: ConfigFile = None,
    most: Most = 10,
    days: Days = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the dearest teams, by cost, from the store."""
    _spenders("teams", config, most, days, as_json, as_csv)


@top.command()
def tags(
    config: ConfigFile = None,
    most: Most = 10,
    days: Days = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the dearest tags, by cost, from the store; a request counts for each of its tags."""
    _spenders("tags", config, most, days, as_json, as_csv)


def _spenders(
    what: Spenders, config: Path | None, most: int, days: int | None, as_json: bool, as_csv: bool
) -> None:
    from understudy.accounts.reports import TopSpender

    one_format(as_json, as_csv)
    found = [replace(e, name=_safe(e.name)) for e in kept(config).accounts.top(what, most, days)]
    if as_json or as_csv:
        emit_csv(TopSpender, found) if as_csv else emit(found)
        return
    others, one = "(others, on days with too many)", what[:-1]
    rows = [
        (others if e.others else e.name or f"(no {one})", e.usd, dollars(e.usd), e) for e in found
    ]
    _show(one, "cost", rows, ("attempts", lambda each: f"{each.attempts:,}"))


def _show(
    what: str,
    measure: str,
    rows: Sequence[tuple[str, float, str, Any]],
    second: tuple[str, Any],
) -> None:
    screen = console()
    if not rows:
        screen.print("No attempt was counted.")
        return
    largest = max(value for _, value, _, _ in rows)
    right = ("#", measure, "share", "tokens", second[0])
    shown = table("#", what, measure, "", "share", "tokens", second[0], right=right)
    for rank, (name, value, told, each) in enumerate(rows, 1):
        share = f"{each.share_percent:.1f}%"
        drawn = bar(value, largest, screen)
        shown.add_row(
            str(rank), short(name), told, drawn, share, f"{each.tokens:,}", second[1](each)
        )
    screen.print(shown)
    unknowns(screen, sum(each.unknown for *_, each in rows))


def _who(each: TopUser) -> str:
    if each.others:
        return "(others, on days with too many)"
    name = "(nobody named)" if each.user is None else each.user
    return name if each.tenant is None else f"{name} of {each.tenant}"


def _safe(name: str | None) -> str | None:
    return None if name is None else safe(name)
