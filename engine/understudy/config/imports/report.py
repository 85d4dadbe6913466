"""What became of each setting of an imported file."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import attrs
from msgspec import Struct


class Fate(StrEnum):
    """What became of a setting."""

    CARRIED = "carried"  # it means the same here
    CHANGED = "changed"  # it is there, and means something a little different
    DROPPED = "dropped"  # there is nothing like it here


class Line(Struct, frozen=True):
    """One setting: where it stood, what became of it, and why or as what."""

    setting: str
    fate: Fate
    why: str


class Export(Struct, frozen=True):
    """A value that stood in the file itself, and must be put into the environment instead."""

    variable: str
    stood_at: str


class Imported(Struct, frozen=True):
    """A configuration of ours out of somebody else's.

    Attributes:
        table: As a file would hold it; it loads.
        lines: One for each setting that was found, in the order of the file.
        exports: What to put into the environment before it is used.
    """

    table: dict[str, Any]
    lines: tuple[Line, ...]
    exports: tuple[Export, ...]


@attrs.define
class Notes:
    """Gathers lines and exports while a file is read."""

    lines: list[Line] = attrs.field(factory=list)
    exports: dict[str, str] = attrs.field(factory=dict)

    def carried(self, setting: str, became: str) -> None:
        """It means the same here."""
        self.lines.append(Line(setting, Fate.CARRIED, became))

    def changed(self, setting: str, why: str) -> None:
        """It is there, but not quite the same."""
        self.lines.append(Line(setting, Fate.CHANGED, why))

    def dropped(self, setting: str, why: str) -> None:
        """There is nothing like it."""
        self.lines.append(Line(setting, Fate.DROPPED, why))

    def export(self, variable: str, stood_at: str) -> None:
        """Somebody must put this variable into the environment; the first place is told."""
        self.exports.setdefault(variable, stood_at)
