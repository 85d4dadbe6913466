"""What is still to be written: one batch on its way, and behind it only what changed since.

    gather ──something changed──▶ on its way ──kept──▶ gather
                                    └─failed──▶ on its way, the very same one, once more

Whoever asks whether all that happened is kept waits for the batch that is gathered next: the one
on its way may have been put together before.

Nothing queues up behind a store that is out of reach. States are held by whoever owns them, the
newest only; of the journal, which is for people, the oldest entries are given up at last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final, Protocol

import attrs

from understudy_actors.keeper.batch import Addend, Batch, Entry

JOURNAL_MAX: Final = 100_000
"""Entries that wait for a store that is out of reach; about 30 MB."""


@attrs.define(slots=True)
class Changes:
    """What an owner of state hands over: its newest states, and what happened.

    Attributes:
        states: By key; None forgets a key.
        journal: Time, kind and body of each entry, oldest first.
        sums: What is added to rows of sums, each row once.
        before: By table of sums: rows whose key begins with less than this are not wanted any more.
    """

    states: dict[str, Any] = attrs.Factory(dict)
    journal: list[tuple[float, str, Any]] = attrs.Factory(list)
    sums: list[Addend] = attrs.Factory(list)
    before: dict[str, int] = attrs.Factory(dict)


class Unready(Exception):
    """An owner of state is down for a moment, and will stir when it can be asked again."""


class Source(Protocol):
    """An owner of state that must be kept."""

    def gather(self, wall: float) -> Changes | None:
        """Take what changed since the last time, at `wall` (Unix seconds); None: nothing did.

        Raises:
            Unready: It cannot tell now.
        """
        ...

    def kept(self) -> None:
        """What was taken last outlives the process now."""
        ...


@attrs.define(eq=False, slots=True)
class Outbox:
    """The batch on its way, and how the store is doing.

    Attributes:
        number: Of the newest batch that was put together.
        seq: Of the newest entry of the journal.
        batch: The one on its way; None if there is none.
        gathered_at: When that was put together, on the engine's clock.
        failing: Why the store cannot be written; None if it can.
        failing_since: Since when, on the engine's clock.
        kept_at: Until when all that happened is kept, on the engine's clock; None before the first.
        whole: All owners of state could be asked when the newest batch was put together.
        batches: Written by this process.
        lost_entries: Given up, since the store was out of reach for too long.
    """

    number: int = 0
    seq: int = 0
    batch: Batch | None = None
    gathered_at: float = 0.0
    failing: str | None = None
    failing_since: float | None = None
    kept_at: float | None = None
    whole: bool = True
    batches: int = 0
    lost_entries: int = 0
    journal_max: int = JOURNAL_MAX
    _journal: deque[tuple[float, str, Any]] = attrs.Factory(deque)

    def gather(self, sources: Iterable[Source], now: float, wall: float) -> Batch | None:
        """The batch to write: the one on its way, or else a new one if anything changed."""
        if self.batch is not None:
            return self.batch
        states: dict[str, Any] = {}
        sums: list[Addend] = []
        before: dict[str, int] = {}
        self.whole = True
        for each in sources:
            try:
                changes = each.gather(wall)
            except Unready:
                self.whole, changes = False, None
            if changes is not None:
                states.update(changes.states)
                self._journal.extend(changes.journal)
                sums += changes.sums
                before |= changes.before
        while len(self._journal) > self.journal_max:
            self._journal.popleft()
            self.lost_entries += 1
        if not (states or self._journal or sums or before):
            self.kept_at = now
            return None
        entries = tuple(
            Entry(seq, at, kind, body)
            for seq, (at, kind, body) in enumerate(self._journal, self.seq + 1)
        )
        self._journal.clear()
        self.seq += len(entries)
        self.number += 1
        self.gathered_at = now
        self.batch = Batch(self.number, wall, states, entries, tuple(sums), before)
        return self.batch

    def kept(self, number: int) -> Batch | None:
        """The batch of that number is kept; None if it is not the one on its way."""
        batch = self.batch
        if batch is None or batch.number != number:
            return None
        self.batch, self.kept_at = None, self.gathered_at
        self.failing = self.failing_since = None
        self.batches += 1
        return batch

    def failed(self, why: str, now: float) -> bool:
        """The batch may not have been written. True if that is news."""
        news = self.failing is None
        self.failing = why
        if news:
            self.failing_since = now
        return news
