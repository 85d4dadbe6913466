"""The table of a hunt: which fault was found by whom, how soon, and how small its proof is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from tests.mutants.classes import KIND
from tests.mutants.documents import DIRECTED
from tests.mutants.harness import FAULTS_MAX, REQUESTS_MAX, Catch, Order, Planted, small

_SENTENCE_CHARS: Final = 110
_KIT: Final = "kit: "


@attrs.frozen
class Row:
    """One planted fault, and what became of it."""

    mutant: Planted
    catch: Catch

    @property
    def found(self) -> str:
        """The law that noticed it."""
        monitor = self.catch.monitor
        return "not found" if monitor is None else "kit" if monitor.startswith(_KIT) else monitor

    @property
    def size(self) -> str:
        """How small it was shrunk; the kit's proof is one call."""
        if self.found == "kit":
            return "one call"
        size = self.catch.size
        return "" if size is None else f"{size[0]} / {size[1]}"


def within(catch: Catch) -> bool:
    """Is its proof as small as it should be?"""
    if catch.monitor is not None and catch.monitor.startswith(_KIT):
        return True
    return catch.size is not None and small(catch.size)


def summary(rows: Sequence[Row]) -> str:
    """The hunt in one line."""
    found = [each for each in rows if each.catch.monitor is not None]
    small = sum(within(each.catch) for each in found)
    return (
        f"{len(rows)} planted, {len(found)} found, {small} of them shrunk to at most "
        f"{REQUESTS_MAX} requests and {FAULTS_MAX} faults, {len(rows) - len(found)} not found"
    )


def markdown(rows: Sequence[Row], order: Order) -> str:
    """The whole table, the faults of each class of bug together."""
    lines = [
        "# Planted faults",
        "",
        "Written by `python -m tests.mutants --write docs/mutants.md`. Each row is a bug that was "
        "planted in a copy of the sources, and hunted by running worlds under all laws until one "
        f"is broken: {DIRECTED} runs of a few worlds made for rare moments, then drawn ones, up to "
        f"{order.documents} in all or {order.seconds:g} s. The proof is the smallest document that "
        "breaks the same law in the same way, in requests and faults.",
        "",
        f"**{summary(rows)}.**",
        "",
        "| class of bug | planted fault | in | runs | found by | proof | what it said |",
        "| --- | --- | --- | ---: | --- | --- | --- |",
    ]
    order_of = {kind: place for place, kind in enumerate(dict.fromkeys(KIND.values()))}
    last = ""
    for row in sorted(rows, key=lambda each: order_of[KIND[each.mutant.name]]):
        kind = KIND[row.mutant.name]
        shown, last = ("" if kind == last else kind), kind
        said = row.catch.sentence[:_SENTENCE_CHARS].replace("|", "/").replace("\n", " ")
        where = f"`{row.mutant.module.partition('.')[2]}`"
        cells = shown, row.mutant.name, where, row.catch.documents, row.found, row.size, said
        lines.append("| " + " | ".join(str(each) for each in cells) + " |")
    return "\n".join(lines) + "\n"
