"""What is printed, and where: answers and documents to stdout, everything else to stderr."""

from __future__ import annotations

import enum
import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO

from msgspec import Struct

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPED_WIDTH: Final = 1000
"""Columns where no terminal sets a width: tables are only as wide as they need to be."""


def console(file: TextIO | None = None) -> Console:
    """A console on `file` (stdout if not given): plain where that is no terminal.

    NO_COLOR takes every style away; COLUMNS sets the width.
    """
    from rich.console import Console

    target = file or sys.stdout
    piped = not target.isatty() and "COLUMNS" not in os.environ
    return Console(
        file=target,
        width=PIPED_WIDTH if piped else None,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table; the columns named in `right` hold numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD)
    numbers = set(right)
    for each in columns:
        made.add_column(each, justify="right" if each in numbers else "left", overflow="fold")
    return made


def emit(document: object) -> None:
    """Print one JSON document, and nothing else, to stdout."""
    print(json.dumps(plain(document), indent=2))


def plain(value: object) -> Any:
    """A report as JSON values, every field included: a reader need not know the defaults."""
    if isinstance(value, Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return f"<{type(value).__name__}>"


def readable(text: str) -> str:
    """A provider's text without control characters: it must not move anybody's cursor."""
    return "".join(each for each in text if each in "\n\t" or each.isprintable())


def seconds(value: float | None) -> str:
    """A time as people read it."""
    if value is None:
        return "-"
    if value >= 1.0:
        return f"{value:.2f} s"
    return f"{value * 1e3:.1f} ms" if value >= 1e-3 else f"{value * 1e3:.2f} ms"


def usd(value: float | None) -> str:
    """An amount of money; `unknown` is not nothing."""
    if value is None:
        return "unknown"
    return "$0" if value == 0 else f"${value:.6f}"
