"""`understudy version`."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version as installed

import typer

from understudy.cli.options import AsJson
from understudy.cli.output import emit


def version(as_json: AsJson = False) -> None:
    """Show the version, and what it runs on."""
    if as_json:
        emit(
            {
                "understudy": installed("understudy"),
                "python": platform.python_version(),
                "platform": sys.platform,
            }
        )
        return
    typer.echo(_line())


def print_version(value: bool) -> None:
    """Answer `--version`, and end."""
    if value:
        typer.echo(_line())
        raise typer.Exit


def _line() -> str:
    return (
        f"understudy {installed('understudy')} (Python {platform.python_version()}, {sys.platform})"
    )
