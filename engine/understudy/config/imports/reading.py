"""How a foreign table is read: every key once, and whoever is left over is told of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import attrs

from understudy.config.faults import BadKey
from understudy.config.imports.report import Notes
from understudy.config.section import Section, build, keys_of

Table: TypeAlias = dict[str, Any]

REFERENCE: Final = "os.environ/"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
UNKNOWN: Final = "this import knows no such setting"


@attrs.define
class Piece:
    """A table of the file: `take` reads a key, `leave` tells of those that nobody took."""

    table: Mapping[str, Any]
    path: str
    taken: set[str] = attrs.field(factory=set)

    @classmethod
    def of(cls, value: object, path: str) -> Piece:
        """What is no table is an empty one."""
        found = value if isinstance(value, Mapping) else {}
        return cls({str(key): each for key, each in found.items() if each is not None}, path)

    def take(self, key: str) -> Any:
        """The value of a key; None if there is none."""
        self.taken.add(key)
        return self.table.get(key)

    def at(self, key: str) -> str:
        """Where a key stands, for the report."""
        return f"{self.path}.{key}" if self.path else key

    def leave(self, notes: Notes, reasons: Mapping[str, str]) -> None:
        """Everything that nobody took is dropped."""
        for key in self.table:
            if key not in self.taken:
                notes.dropped(self.at(key), reasons.get(key, UNKNOWN))


@attrs.define
class Draft:
    """The configuration as far as it is written, the report, and the secrets that were seen.

    Attributes:
        table: Ours.
        notes: The report.
        environ: Where values are looked up that are no secrets.
        taken: Names of variables that no secret of the file may have.
        read: Names of variables whose values went into the table.
    """

    environ: Mapping[str, str]
    taken: set[str] = attrs.field(factory=set)
    table: Table = attrs.field(factory=dict)
    read: set[str] = attrs.field(factory=set)
    notes: Notes = attrs.field(factory=Notes)
    _variables: dict[str, str] = attrs.field(factory=dict, repr=False)

    def put(
        self, into: Table, section: type[Section], key: str, value: Any, path: str, became: str = ""
    ) -> bool:
        """Write a value if our own reader takes it; else its setting is dropped, with the reason.

        `became` is the word of the report on it; empty says nothing.
        """
        kind = next(each.type for each in keys_of(section) if each.encode_name == key)
        try:
            build(kind, value, hidden=True)
        except BadKey as fault:
            self.notes.dropped(path, f"as `{key}` it cannot be written: it {fault.problem}")
            return False
        into[key] = value
        if became:
            self.notes.carried(path, became)
        return True

    def plain(self, value: Any) -> Any:
        """A value that is no secret, out of the environment if it stands there; None: not set."""
        if isinstance(value, str) and value.startswith(REFERENCE):
            name = value.removeprefix(REFERENCE)
            self.read.add(name)
            return self.environ.get(name) or None
        return value

    def secret(self, value: Any, variable: str, path: str) -> str:
        """A reference to a secret. One that stood in the file itself must be exported.

        `variable` is the name to give it; equal secrets have one name.
        """
        text = str(value)
        name = text.removeprefix(REFERENCE)
        if text.startswith(REFERENCE) and _VARIABLE.fullmatch(name):
            self.notes.carried(path, f"env:{name}")
            return f"env:{name}"
        name = self._variables.setdefault(text, self._free(variable))
        self.notes.export(name, path)
        self.notes.changed(path, f"stood in the file: env:{name}, which you must export")
        return f"env:{name}"

    def _free(self, variable: str) -> str:
        wanted = re.sub(r"[^A-Za-z0-9]+", "_", variable).strip("_").upper() or "SECRET"
        wanted = f"_{wanted}" if wanted[0].isdigit() else wanted
        name, number = wanted, 1
        taken = {*self._variables.values(), *self.environ, *self.taken}
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        return name


def references(value: object) -> Iterator[str]:
    """Every variable that a value names, however deep."""
    if isinstance(value, str) and value.startswith(REFERENCE):
        yield value.removeprefix(REFERENCE)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from references(each)


def number(value: Any) -> Any:
    """A number that was written as a text is that number; everything else stays as it is."""
    if not isinstance(value, str):
        return value
    for form in (int, float):
        try:
            return form(value)
        except ValueError:
            continue
    return value


def word(value: Any) -> str:
    """A text, to be looked up; whatever else it is, is none that anybody knows."""
    return value if isinstance(value, str) else ""


def listed(value: Any) -> list[Any]:
    """A list; a single value is a list of one, nothing an empty one."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
