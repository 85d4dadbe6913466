"""Keys as those who run an engine see them: made, shown once, changed, replaced, revoked.

Whatever is done takes effect at once, and is answered when the store has it: what was answered
outlives the process, however that ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs
from msgspec import Struct
from msgspec.structs import replace

from understudy.config.redact import plain_table
from understudy.config.terms import KeyTerms
from understudy.keys.ring import HASHES_MAX, KeyRecord, Ring, rotated
from understudy.keys.token import issue
from understudy.secret import Secret
from understudy_actors.domain.errors import ConfigError, InvalidRequest, StoreFailed

GRACE_S: Final = 86_400.0
"""How long a key that is replaced is still good, if nobody says."""
PATIENCE_S: Final = 5.0
"""How long whoever changes a key waits for the store."""
NO_STORE: Final = (
    "nothing keeps keys here, since the configuration names no store: add "
    '`store = "understudy.db"` to it, or write `[gateway.keys.NAME]` with a `key_hash`, which '
    "`understudy keys create` makes without a store"
)


class KeyView(Struct, frozen=True, kw_only=True):
    """A key for people; nothing of it opens anything.

    Attributes:
        name: Whom it stands for.
        id: The public id in the key itself; empty if it is one of the environment.
        state: `active`, `expired` or `revoked`.
        created_at, expires_at, revoked_at: Unix seconds; None: never.
        older: Until when a predecessor is good that was replaced, by its id.
        configured: It stands in the configuration, and is changed there.
        terms: What it is for, as in a configuration.
    """

    name: str
    id: str
    state: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    older: dict[str, float]
    configured: bool
    terms: dict[str, Any]


class Issued(Struct, frozen=True):
    """A key that was made just now: it is here for the only time."""

    key: Secret
    view: KeyView


def view_of(record: KeyRecord, wall: float) -> KeyView:
    """A key for people."""
    state = "revoked" if record.revoked_at is not None else "active"
    if state == "active" and record.over(wall):
        state = "expired"
    return KeyView(
        name=record.name,
        id=record.hashes[0].id if record.hashes else "",
        state=state,
        created_at=record.created_at,
        expires_at=record.expires_at,
        revoked_at=record.revoked_at,
        older={e.id: e.until for e in record.hashes if e.until is not None and wall < e.until},
        configured=record.configured,
        terms=plain_table(record.terms),
    )


@attrs.define(eq=False, slots=True)
class Keys:
    """All keys of an engine.

    Attributes:
        ring: The keys themselves.
        wall: The time in Unix seconds.
        entropy: Random bytes that nobody can foresee.
        scope: Sets what a name may spend and ask for.
        kept: Waits until the store has it; None: there is no store.
    """

    ring: Ring
    wall: Callable[[], float]
    entropy: Callable[[int], bytes]
    scope: Callable[[str, KeyTerms], None]
    kept: Callable[[], Awaitable[bool]] | None = None

    def every(self) -> tuple[KeyView, ...]:
        """Every key, in the order in which they were made."""
        wall = self.wall()
        records = sorted(self.ring.records.values(), key=lambda r: (r.created_at, r.name))
        return tuple(view_of(each, wall) for each in records)

    def show(self, name: str) -> KeyView:
        """One key.

        Raises:
            InvalidRequest: There is none of that name.
        """
        return view_of(self._known(name), self.wall())

    async def create(
        self, name: str | None, terms: KeyTerms, *, expires_at: float | None = None
    ) -> Issued:
        """Make a key; left out, its name is its id. Under the name of a revoked or expired one it
        takes its place, and goes on with its money.

        Raises:
            InvalidRequest: The name is taken, or it would have expired already.
            ConfigError: No store keeps keys.
            StoreFailed: The store cannot be written: then there is no such key.
        """
        self._writable()
        secret, hashed = issue(self.entropy, self.ring.hashing)
        record = new_record(self.ring, name or hashed.id, terms, self.wall(), expires_at)
        record = replace(record, hashes=(hashed,))
        before = self.ring.records.get(record.name)
        self.scope(record.name, terms)
        self.ring.put(record)
        if not await self._kept():
            if self.ring.records.get(record.name) is record:
                self.ring.remove(record.name) if before is None else self.ring.put(before)
            raise StoreFailed(
                "the store cannot be written, so no key was made: see `status`, and try again"
            )
        return Issued(Secret(secret), view_of(record, self.wall()))

    async def change(self, name: str, change: Callable[[KeyRecord], KeyRecord]) -> KeyView:
        """Give a key other terms, or another end.

        Raises:
            InvalidRequest, ConfigError: It cannot be changed.
            StoreFailed: It is as it should be, but the store does not have it yet.
        """
        record = change(self._own(name))
        self.scope(name, record.terms)
        self.ring.put(record)
        await self._written(f"the key {name} is changed")
        return view_of(record, self.wall())

    async def revoke(self, name: str) -> KeyView:
        """Refuse a key from now on, and those that it replaced. Twice is as once.

        Raises: as `change`.
        """
        record = self._own(name)
        if record.revoked_at is None:
            record = replace(record, revoked_at=self.wall())
            self.ring.put(record)
        await self._written(f"the key {name} is revoked")
        return view_of(record, self.wall())

    async def rotate(self, name: str, grace_s: float = GRACE_S) -> Issued:
        """Replace a key by a new one of the same name, terms and money.

        The old one is good for `grace_s` more.

        Raises: as `create`, and
            InvalidRequest: It is revoked or expired, or was replaced too often lately.
        """
        record, wall = self._own(name), self.wall()
        secret, hashed = issue(self.entropy, self.ring.hashing)
        new = next_record(record, hashed, wall, grace_s)
        self.ring.put(new)
        if not await self._kept():
            if self.ring.records.get(name) is new:
                self.ring.put(record)
            raise StoreFailed(
                f"the store cannot be written, so the key {name} is as it was: try again"
            )
        return Issued(Secret(secret), view_of(new, self.wall()))

    def _known(self, name: str) -> KeyRecord:
        record = self.ring.records.get(name)
        if record is None:
            raise InvalidRequest(f"there is no key {name!r}: `understudy keys list` shows all")
        return record

    def _own(self, name: str) -> KeyRecord:
        self._writable()
        record = self._known(name)
        if record.configured:
            raise InvalidRequest(
                f"the key {name} stands in the configuration, as `gateway.keys.{name}`: change it "
                "there"
            )
        return record

    def _writable(self) -> None:
        if self.kept is None:
            raise ConfigError(NO_STORE)

    async def _kept(self) -> bool:
        return self.kept is not None and await self.kept()

    async def _written(self, what: str) -> None:
        if not await self._kept():
            raise StoreFailed(
                f"{what} from now on, but the store cannot be written: unless that is mended, a "
                "restart forgets it. It is tried again by itself"
            )


def new_record(
    ring: Ring,
    name: str,
    terms: KeyTerms,
    wall: float,
    expires_at: float | None,
) -> KeyRecord:
    """The record of a new key, still without a hash.

    Raises:
        InvalidRequest: The name is taken, or it would have expired already, or there are too many.
    """
    known = ring.records.get(name)
    if known is not None and (known.configured or not known.over(wall)):
        raise InvalidRequest(
            f"there is a key {name!r} already: choose another name, or `understudy keys rotate` it"
        )
    if expires_at is not None and expires_at <= wall:
        raise InvalidRequest("the key would have expired already: give a later time")
    if known is None and not ring.room(wall):
        raise InvalidRequest("there are as many keys as can be: revoke some first")
    return KeyRecord(name=name, hashes=(), terms=terms, created_at=wall, expires_at=expires_at)


def next_record(record: KeyRecord, hashed: Any, wall: float, grace_s: float) -> KeyRecord:
    """The record with a new key in place of its own.

    Raises:
        InvalidRequest: It is good for nothing any more, or was replaced too often lately.
    """
    if record.over(wall):
        raise InvalidRequest(
            f"the key {record.name} is revoked or has expired: make a new one of that name"
        )
    new = rotated(record, hashed, wall, grace_s)
    if len(new.hashes) > HASHES_MAX:
        soonest = min(each.until for each in new.hashes if each.until is not None)
        raise InvalidRequest(
            f"{HASHES_MAX - 1} predecessors of the key {record.name} are still good, the first for "
            f"{soonest - wall:.0f} s more: wait, or give no time of grace"
        )
    return new
