"""What the verbs about money share: the store they read, bars, names, and CSV."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer
from msgspec import Struct

from understudy.cli.opening import environment
from understudy.cli.output import readable
from understudy_actors.domain.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.accounts.kept import Kept

AsCsv: TypeAlias = Annotated[
    bool, typer.Option("--csv", help="Print a table of comma-separated values, with its header.")
]
Days: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, max=3660, help="Only the last so many calendar days, today included."),
]
NAME_SHOWN: Final = 40
BAR: Final = 10
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_KEY: Final = re.compile(r"(?i)(bearer\s|sk-|sk_|gsk_|xai-|hf_|ghp_|aiza)\S{12,}")
"""What looks like a key, wherever it stands: nobody means to show it."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def kept(path: Path | None) -> Kept:
    """What the store of a configuration holds; no engine is opened.

    Raises:
        ConfigError: The configuration names no store.
        StoreFailed: It cannot be read.
    """
    from understudy.accounts.kept import UNKEPT, read_kept
    from understudy.config import find
    from understudy.ports import SystemClock

    found = find(path, environment())
    if found is None:  # what would be discovered names no store either
        raise ConfigError(UNKEPT)
    return read_kept(found, environment(), SystemClock().wall)


def one_format(as_json: bool, as_csv: bool) -> None:
    """Refuse two formats at once."""
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv", param_hint="--csv")


def emit_csv(kind: type[Struct], rows: Iterable[Struct], leave_out: Sequence[str] = ()) -> None:
    """Print rows with a header of their fields, in their order; a spreadsheet runs none of them."""
    names = [name for name in kind.__struct_fields__ if name not in leave_out]
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(names)
    for row in rows:
        out.writerow([_cell(getattr(row, name)) for name in names])


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        text = safe(value)
        return f"'{text}" if text.startswith(_FORMULA) else text
    return f"{value:.12f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def safe(name: str) -> str:
    """Somebody's own string: it moves no cursor, and what looks like a key is not shown."""
    return _KEY.sub(lambda found: f"{found[1]}...", readable(name).replace("\n", " "))


def short(name: str) -> str:
    """The same, as long as a column is wide."""
    text = safe(name).replace("\t", " ")
    return text if len(text) <= NAME_SHOWN else f"{text[: NAME_SHOWN - 3]}..."


def bar(part: float, whole: float, screen: Console, width: int = BAR) -> str:
    """A bar of eighths, or of `#` where a terminal has no such characters."""
    share = min(1.0, max(0.0, part / whole)) if whole > 0 else 0.0
    if screen.options.ascii_only:
        return "#" * round(share * width)
    eighths = round(share * width * 8)
    if share and not eighths:
        eighths = 1  # a little is not nothing
    full, rest = divmod(eighths, 8)
    return _EIGHTHS[8] * full + (_EIGHTHS[rest] if rest else "")


def dollars(usd: float) -> str:
    """Money for a column: cents, and as many further digits as a small amount needs."""
    if usd == 0:
        return "$0"
    return f"${usd:,.2f}" if usd >= 100 else f"${usd:,.4f}" if usd >= 0.01 else f"${usd:.6f}"


def round_dollars(usd: float) -> str:
    """Money that a person chose: no more digits than it has."""
    told = f"{usd:,.6f}".rstrip("0")
    whole, _, rest = told.partition(".")
    return f"${whole}.{rest:0<2}"


def percent(part: int, whole: int) -> str:
    """A share of something; `-` of nothing."""
    return f"{100 * part / whole:.1f}%" if whole else "-"


def unknowns(screen: Console, count: int) -> None:
    """Say how many attempts are in no sum of money."""
    if count:
        what = "attempt has" if count == 1 else "attempts have"
        screen.print(f"{count:,} {what} no known cost, and stand in no sum of money", style="dim")
