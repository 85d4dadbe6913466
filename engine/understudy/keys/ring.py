"""All keys that are known by their hash, and which of them a caller has. Pure, and bounded.

    good until   it is revoked, it expires, or its successor's time of grace is over

A name is whom budgets and limits know. It stays with what was spent under it: a key that is made
anew under the name of a revoked one goes on with its money.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from understudy.config.terms import KeyTerms
from understudy.keys.token import NOBODY, Hashed, Hashing, id_of
from understudy_actors.keeper.outbox import Changes

STATE: Final = "key/"
"""How the state of a key is called in a store, before its name."""
KEYS_MAX: Final = 10_000
"""Keys that are known at once; beyond, the oldest that were revoked or have expired make room."""
HASHES_MAX: Final = 4
"""Keys of one name that are good at once: the newest, and those in their time of grace."""


class KeyRecord(Struct, frozen=True, kw_only=True):
    """One key by name.

    Attributes:
        name: Whom it stands for in budgets, limits and accounts.
        hashes: Of the key itself, and of its predecessors in their time of grace; newest first.
        terms: What it is for.
        created_at: When, in Unix seconds.
        expires_at: From when on it is refused; None: never.
        revoked_at: When it was revoked; None: it was not.
        configured: It stands in the configuration, and nobody here may change it.
    """

    name: str
    hashes: tuple[Hashed, ...]
    terms: KeyTerms
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    configured: bool = False

    def over(self, wall: float) -> bool:
        """Is it good for nothing any more?"""
        expired = self.expires_at is not None and wall >= self.expires_at
        return expired or self.revoked_at is not None


class Ring:
    """Records by name and by id. It never reads a clock: `wall` comes in, in Unix seconds."""

    def __init__(
        self,
        records: Iterable[KeyRecord] = (),
        hashing: Hashing | None = None,
        *,
        most: int = KEYS_MAX,
    ) -> None:
        self.hashing = hashing or Hashing()
        self.records: dict[str, KeyRecord] = {}
        self.stir: Callable[[], None] = lambda: None
        self._by_id: dict[str, tuple[KeyRecord, Hashed]] = {}
        self._changed: dict[str, None] = {}
        self._most = most
        for each in records:
            self.add(each)

    def find(self, given: str) -> tuple[KeyRecord, Hashed] | None:
        """The record of this very key, good or not; None: there is none.

        It takes one hash and one comparison, whatever is wrong.
        """
        found = self._by_id.get(id_of(given))
        hashed = NOBODY if found is None else found[1]
        right = self.hashing.same(self.hashing.digest(hashed.salt, given), hashed.digest)
        return found if right else None

    def add(self, record: KeyRecord) -> None:
        """As `put`, of a record that a store knows of, or need not."""
        self._forget(record.name)
        self.records[record.name] = record
        for each in record.hashes:
            self._by_id[each.id] = record, each

    def put(self, record: KeyRecord) -> None:
        """From now on a name has this record, and a store is told so."""
        self.add(record)
        self._change(record.name)

    def drop(self, name: str) -> None:
        """As `remove`, of a record that no store knows of."""
        self._forget(name)

    def remove(self, name: str) -> None:
        """A name has no record any more."""
        self._forget(name)
        self._change(name)

    def room(self, wall: float) -> bool:
        """Make room for another record, if there is a way to."""
        if len(self.records) < self._most:
            return True
        over = [r for r in self.records.values() if r.over(wall) and not r.configured]
        for each in sorted(over, key=lambda r: r.created_at)[: 1 + len(over) // 10]:
            self.remove(each.name)
        return len(self.records) < self._most

    def gather(self, wall: float) -> Changes | None:  # noqa: ARG002
        """See `Source`: every record that changed since."""
        if not self._changed:
            return None
        changed, self._changed = self._changed, {}
        return Changes({f"{STATE}{name}": self.records.get(name) for name in changed})

    def kept(self) -> None:
        """See `Source`."""

    def _forget(self, name: str) -> None:
        before = self.records.pop(name, None)
        for each in before.hashes if before is not None else ():
            self._by_id.pop(each.id, None)

    def _change(self, name: str) -> None:
        self._changed[name] = None
        self.stir()


def why_not(record: KeyRecord, hashed: Hashed, wall: float) -> str | None:
    """Why a key that is known is refused; None if it is good."""
    if record.revoked_at is not None:
        return "was revoked"
    if record.expires_at is not None and wall >= record.expires_at:
        return "has expired"
    if hashed.until is not None and wall >= hashed.until:
        return "was replaced by a newer one"
    return None


def rotated(record: KeyRecord, new: Hashed, wall: float, grace_s: float) -> KeyRecord:
    """The record with a new key in front; the others are good for `grace_s` more, at most."""
    until = wall + grace_s
    older = (
        replace(each, until=until if each.until is None else min(each.until, until))
        for each in record.hashes
    )
    living = [each for each in older if each.until is None or wall < each.until]
    return replace(record, hashes=(new, *living))
