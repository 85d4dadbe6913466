"""What is written to a store at once, and what is read from it at the start.

A batch takes effect as a whole or not at all. It is numbered, and a store takes each number once:
a batch that is written again, since nobody knows whether the first try took effect, changes
nothing the second time.

States are absolute, the newest of each key: as many as there are keys, however long a store was
out of reach. Sums are added to the row of their key, so that who adds need not know the whole.
Entries of the journal are told of once each, in order, and numbered as well.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Entry(Struct, frozen=True):
    """One line of the journal.

    Attributes:
        seq: Its number, one more than that of the entry before it, from 1.
        at: When it happened, in seconds since the Unix epoch.
        kind: What happened, in one word.
        body: A struct; kept as JSON, for people.
    """

    seq: int
    at: float
    kind: str
    body: Any


class Addend(Struct, frozen=True, gc=False):
    """Numbers that are added to those of one row.

    Attributes:
        table: Which table of sums.
        key: Which row of it; one that is not there begins with zeros.
        numbers: What is added, in the order of the table's columns.
    """

    table: str
    key: tuple[int | str, ...]
    numbers: tuple[int, ...]


class Batch(Struct, frozen=True):
    """What is written at once.

    Attributes:
        number: One more than that of the batch before it, from 1.
        at: When it was put together, in seconds since the Unix epoch.
        states: The newest state of each key that changed: a struct, or None to forget the key.
        journal: What happened since the batch before it.
        sums: What is added since the batch before it, each row once.
        before: By table of sums: rows whose key begins with less than this are deleted first.
    """

    number: int
    at: float
    states: dict[str, Any] = {}
    journal: tuple[Entry, ...] = ()
    sums: tuple[Addend, ...] = ()
    before: dict[str, int] = {}


class Saved(Struct, frozen=True):
    """What a store held when it was opened.

    Attributes:
        number: Of the newest batch; 0 if there was none.
        seq: Of the newest entry of the journal ever written; 0 if there was none.
        states: The state of each key, as MessagePack.
        written: When each of them was written, in seconds since the Unix epoch.
        sums: Every row of every table of sums.
    """

    number: int = 0
    seq: int = 0
    states: dict[str, bytes] = {}
    written: dict[str, float] = {}
    sums: tuple[Addend, ...] = ()
