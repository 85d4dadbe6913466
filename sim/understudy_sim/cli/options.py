"""Options that several of the simulation's verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Seed: TypeAlias = Annotated[
    int | None,
    typer.Option(min=0, max=2**64 - 1, help="Root of every random value. [default: its own]"),
]
Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help='Change the document: "engine.strategy=cheapest", "fleet.alpha.capacity=4"; '
        "may be repeated.",
    ),
]
Report: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FILE.html", help="Write a report: one file, no network.")
]
Jobs: TypeAlias = Annotated[
    int | None, typer.Option(min=1, max=1024, help="Processes. [default: one a core]")
]
LabName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--lab",
        metavar="MODULE:NAME",
        help="A `Lab` of your own: what runs a document, and the laws that it must keep.",
    ),
]
