"""The shelf: blobs by key, within bounds of number, bytes and time. A pure machine.

    put ──▶ FRESH ──ttl──▶ STALE ──stale_for──▶ gone
              └──────── cleared, or pushed out by others ────────▶ gone

A fresh entry is an answer; a stale one only stands in when nobody else answers. Whoever was given
out longest ago is pushed out first, whether it is fresh or stale: the dead are dropped when they
are come across, so that nothing is ever searched for them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import attrs
from msgspec import Struct

OVERHEAD_BYTES: Final = 400
"""What an entry takes beside its blob: itself, its times, its key, its place. Measured on CPython
3.11: 290 to 320, and up to 400 while the table has just grown."""
SHARE_MAX: Final = 8
"""An entry takes one part in so many of the whole at most: it must not push out all others."""

ENTRIES: Final = "entries"
BYTES: Final = "bytes"
EXPIRED: Final = "expired"
CLEARED: Final = "cleared"


class Entry(Struct, frozen=True, eq=False, gc=False):
    """One blob. Times are absolute, in seconds on the engine's clock.

    Attributes:
        blob: What was put; compressed if `packed`.
        raw_bytes: Its length before that.
        stored_at, fresh_until, stale_until: Its life; `fresh_until <= stale_until`.
    """

    blob: bytes
    packed: bool
    raw_bytes: int
    stored_at: float
    fresh_until: float
    stale_until: float

    @property
    def size(self) -> int:
        """Bytes that it counts for."""
        return len(self.blob) + OVERHEAD_BYTES


class Evicted(Struct, frozen=True):
    """An entry that is gone, and why: `entries`, `bytes`, `expired` or `cleared`."""

    key: bytes
    why: str


class CacheStats(Struct, frozen=True, kw_only=True):
    """The response cache in numbers, since the engine was opened.

    Attributes:
        entries, bytes: What is kept now; bytes are exact, with a fixed amount for each entry's own
            keeping.
        max_entries, max_bytes: The bounds.
        raw_bytes: What the entries would take without compression.
        hits, misses: Requests that looked for an answer, and found a fresh one or none.
        hit_rate: Hits among both, 0..1; 0 before the first.
        stale: Requests that nobody could answer and an old answer was given to.
        stored: Answers that were kept, those that replaced an older one included.
        unfit: Answers that were not kept: cut, empty, too large, or of no form that can be kept.
        evicted: Entries pushed out by others.
        expired: Entries dropped since their time was over.
    """

    entries: int
    bytes: int
    max_entries: int
    max_bytes: int
    raw_bytes: int
    hits: int
    misses: int
    hit_rate: float
    stale: int
    stored: int
    unfit: int
    evicted: int
    expired: int


@attrs.define(eq=False, slots=True)
class Shelf:
    """Entries by key.

    Attributes:
        size: Exactly the sizes of all entries together, in bytes.
    """

    max_entries: int
    max_bytes: int
    size: int = attrs.field(default=0, init=False)
    _entries: OrderedDict[bytes, Entry] = attrs.field(factory=OrderedDict, init=False)
    _raw_bytes: int = attrs.field(default=0, init=False)
    _hits: int = attrs.field(default=0, init=False)
    _misses: int = attrs.field(default=0, init=False)
    _stale: int = attrs.field(default=0, init=False)
    _stored: int = attrs.field(default=0, init=False)
    _unfit: int = attrs.field(default=0, init=False)
    _evicted: int = attrs.field(default=0, init=False)
    _expired: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def largest(self) -> int:
        """The longest blob that is kept."""
        return self.max_bytes // SHARE_MAX - OVERHEAD_BYTES

    def fresh(self, key: bytes, now: float) -> Entry | None:
        """The entry of `key` if its time to live is not over; counts as a hit or as a miss."""
        entry = self._entries.get(key)
        if entry is None or now >= entry.fresh_until:
            self._misses += 1
            return None
        self._hits += 1
        self._entries.move_to_end(key)
        return entry

    def at_hand(self, key: bytes, now: float) -> Entry | None:
        """The entry of `key`, be it fresh or stale, for when nobody answers."""
        entry = self._entries.get(key)
        if entry is None or now >= entry.stale_until:
            return None
        self._stale += 1
        self._entries.move_to_end(key)
        return entry

    def drop_dead(self, key: bytes, now: float) -> Evicted | None:
        """Drop the entry of `key` if it is of no use any more."""
        entry = self._entries.get(key)
        if entry is None or now < entry.stale_until:
            return None
        self._remove(key)
        self._expired += 1
        return Evicted(key, EXPIRED)

    def put(self, key: bytes, entry: Entry) -> list[Evicted] | None:
        """Keep an entry in place of any older one of its key.

        Returns:
            Who had to make room; None if it is too large to be kept: then nothing changed.
        """
        if len(entry.blob) > self.largest:
            self._unfit += 1
            return None
        self._remove(key)
        self._entries[key] = entry
        self.size += entry.size
        self._raw_bytes += entry.raw_bytes
        self._stored += 1
        return self._make_room(entry.stored_at)

    def refuse(self) -> None:
        """Count an answer that is not to be kept."""
        self._unfit += 1

    def clear(self) -> list[Evicted]:
        """Drop everything; what was counted stays."""
        gone = [Evicted(key, CLEARED) for key in self._entries]
        self._entries.clear()
        self.size = self._raw_bytes = 0
        return gone

    def stats(self) -> CacheStats:
        """Everything in numbers."""
        looked = self._hits + self._misses
        return CacheStats(
            entries=len(self._entries),
            bytes=self.size,
            max_entries=self.max_entries,
            max_bytes=self.max_bytes,
            raw_bytes=self._raw_bytes + len(self._entries) * OVERHEAD_BYTES,
            hits=self._hits,
            misses=self._misses,
            hit_rate=self._hits / looked if looked else 0.0,
            stale=self._stale,
            stored=self._stored,
            unfit=self._unfit,
            evicted=self._evicted,
            expired=self._expired,
        )

    def _make_room(self, now: float) -> list[Evicted]:
        gone: list[Evicted] = []
        while len(self._entries) > self.max_entries or self.size > self.max_bytes:
            why = ENTRIES if len(self._entries) > self.max_entries else BYTES
            key, entry = next(iter(self._entries.items()))
            self._remove(key)
            if now >= entry.stale_until:
                why = EXPIRED
                self._expired += 1
            else:
                self._evicted += 1
            gone.append(Evicted(key, why))
        return gone

    def _remove(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= entry.size
            self._raw_bytes -= entry.raw_bytes
