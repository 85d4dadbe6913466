"""A book that outlives its process: what was added goes into the store, and is read from there.

Rows are added to and never replaced: nobody who writes need know what others wrote before. What an
attempt adds is taken together with what the ledger books for it, so that one transaction keeps
both, or neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from understudy.accounts.book import Book
from understudy.accounts.latency import Latencies
from understudy.accounts.tally import NUMBERS, Row, Share
from understudy_actors.keeper.batch import Addend
from understudy_actors.keeper.outbox import Changes

USAGE: Final = "usage"
LATENCY: Final = "latency"
SPENDERS: Final = "spenders"
_OTHERS: Final = "*"


class UsageSource:
    """A book as an owner of state."""

    def __init__(self, book: Book, stir: Callable[[], None]) -> None:
        """Begin to note what is added to a book; `stir` is called when there is something."""
        self._book = book
        book.keep(stir)

    def gather(self, wall: float) -> Changes | None:  # noqa: ARG002
        """See `Source`."""
        rows, first = self._book.take()
        if not rows and first is None:
            return None
        before = {} if first is None else dict.fromkeys((USAGE, LATENCY, SPENDERS), first)
        return Changes(sums=_added(rows), before=before)

    def kept(self) -> None:
        """See `Source`."""


def restore(book: Book, sums: Iterable[Addend]) -> None:
    """Put in what earlier processes have counted."""
    times: dict[tuple[int | str, ...], list[tuple[int, int]]] = {}
    rows: list[Addend] = []
    shares: list[Addend] = []
    for each in sums:
        if each.table == LATENCY:
            *endpoint, bucket = each.key
            times.setdefault(tuple(endpoint), []).append((int(bucket), each.numbers[0]))
        elif each.table == USAGE:
            rows.append(each)
        elif each.table == SPENDERS:
            shares.append(each)
    known: dict[tuple[int | str, ...], Latencies] = {}
    for each in sorted(rows, key=lambda row: row.key):
        endpoint_ = each.key[:3]
        if (own := known.get(endpoint_)) is None:
            own = known[endpoint_] = Latencies(times.get(endpoint_, ()))
            own.take()
        book.restore(_row(each, own))
    for each in shares:
        book.restore_share(_share(each))


def _added(rows: Iterable[Row | Share]) -> list[Addend]:
    """What was added to these, and to the times that rows share."""
    found: list[Addend] = []
    times: dict[int, Row] = {}
    for row in rows:
        if isinstance(row, Share):
            who = _OTHERS if row.others else _written(row.name)
            found.append(Addend(SPENDERS, (row.day, row.kind, who), row.take()))
            continue
        if row.others:
            who, tenant = _OTHERS, ""
        else:
            who, tenant = _written(row.user), _written(row.tenant)
        key = (row.day, row.provider, row.model, who, tenant)
        found.append(Addend(USAGE, key, row.take()))
        times[id(row.times)] = row
    for row in times.values():
        for bucket, count in row.times.take():
            found.append(Addend(LATENCY, (row.day, row.provider, row.model, bucket), (count,)))
    return found


def _share(kept: Addend) -> Share:
    day, kind, who = kept.key
    return Share(
        **dict(zip(NUMBERS, kept.numbers, strict=True)),
        day=int(day),
        kind=str(kind),
        name="" if who == _OTHERS else _read(str(who)) or "",
        others=who == _OTHERS,
        owed=False,
        taken=kept.numbers,
    )


def _row(kept: Addend, times: Latencies) -> Row:
    day, provider, model, who, tenant = kept.key
    return Row(
        **dict(zip(NUMBERS, kept.numbers, strict=True)),
        day=int(day),
        provider=str(provider),
        model=str(model),
        user=None if who == _OTHERS else _read(str(who)),
        tenant=_read(str(tenant)),
        others=who == _OTHERS,
        times=times,
        owed=False,
        taken=kept.numbers,
    )


def _written(name: str | None) -> str:
    """A name beside which there is room for nobody, and for the others."""
    return "" if name is None else f"={name}"


def _read(text: str) -> str | None:
    return text[1:] if text else None
