"""Faults planted in the shelf of the response cache: kinds that caches have had."""

from __future__ import annotations

from typing import Final

from tests.support.mutants import Mutant

_SHELF: Final = "understudy.cache.shelf"

MUTANTS: Final = [
    Mutant(name, _SHELF, old, new)
    for name, old, new in (
        (
            "time to live is ignored",
            "if entry is None or now >= entry.fresh_until:",
            "if not entry:",
        ),
        ("the last moment counts", "now >= entry.fresh_until", "now > entry.fresh_until"),
        ("stale is served as fresh", "now >= entry.fresh_until", "now >= entry.stale_until"),
        ("stale for ever", "if entry is None or now >= entry.stale_until:", "if entry is None:"),
        (
            "fresh ones do not stand in",
            "now >= entry.stale_until:\n            return None\n        self._stale",
            "not entry.fresh_until <= now < entry.stale_until:\n            return None\n"
            "        self._stale",
        ),
        (
            "the oldest goes, not the least used",
            "        self._hits += 1\n        self._entries.move_to_end(key)\n",
            "        self._hits += 1\n",
        ),
        (
            "standing in is no use",
            "        self._stale += 1\n        self._entries.move_to_end(key)\n",
            "        self._stale += 1\n",
        ),
        (
            "the most recent goes",
            "next(iter(self._entries.items()))",
            "next(reversed(self._entries.items()))",
        ),
        ("bytes are not given back", "            self.size -= entry.size\n", "            pass\n"),
        (
            "what is replaced still counts",
            "        self._remove(key)\n        self._entries[key] = entry\n",
            "        self._entries[key] = entry\n",
        ),
        (
            "what is replaced keeps its place",
            "        self._remove(key)\n        self._entries[key] = entry\n",
            "        old = self._entries.get(key)\n"
            "        self._entries[key] = entry\n"
            "        self.size -= old.size if old else 0\n"
            "        self._raw_bytes -= old.raw_bytes if old else 0\n",
        ),
        (
            "raw bytes are not given back",
            "            self._raw_bytes -= entry.raw_bytes\n",
            "            pass\n",
        ),
        ("clearing forgets the bytes", "        self.size = self._raw_bytes = 0\n", ""),
        (
            "one entry too many",
            "while len(self._entries) > self.max_entries or",
            "while len(self._entries) > self.max_entries + 1 or",
        ),
        (
            "one makes room once",
            "        while len(self._entries) > self.max_entries or",
            "        if len(self._entries) > self.max_entries or",
        ),
        ("bytes have no bound", "or self.size > self.max_bytes:", "or False:"),
        ("one may push out all", "if len(entry.blob) > self.largest:", "if False:"),
        (
            "the dead stay",
            "        self._remove(key)\n        self._expired += 1\n",
            "        self._expired += 1\n",
        ),
        (
            "the living are dropped",
            "if entry is None or now < entry.stale_until:",
            "if entry is None or now < entry.fresh_until:",
        ),
        (
            "the dead count as pushed out",
            "            if now >= entry.stale_until:\n",
            "            if False:\n",
        ),
        ("misses are not counted", "            self._misses += 1\n", "            pass\n"),
        ("the rate counts hits alone", "looked = self._hits + self._misses", "looked = self._hits"),
        (
            "an entry's own keeping is free",
            "return len(self.blob) + OVERHEAD_BYTES",
            "return len(self.blob)",
        ),
    )
]
