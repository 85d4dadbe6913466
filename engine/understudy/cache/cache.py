"""The cache of one engine: which request may be given which answer, and what is told of it.

An answer belongs to whoever it was given to: a request's tenant, or its user if it names no tenant.
Nobody else is ever given it. Sampling is no obstacle: whoever switches the cache on wants the same
answer to the same question, at any temperature; `seed`, like all else that is asked, is in the key.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from msgspec import Struct

from understudy.cache.codec import PACKED_MAX, decoded, encoded, entry_of, raw_of
from understudy.cache.shelf import CacheStats, Entry, Evicted, Shelf
from understudy.cache.worth import least_bytes, worth_keeping
from understudy_actors.dispatcher.collapse import key_of
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.cache_events import CacheEvicted, CacheHit, CacheMissed, CacheStored
from understudy_actors.domain.request import Caching, Request
from understudy_actors.domain.result import Result
from understudy_actors.runtime.ports import Clock
from understudy_actors.runtime.trace import Trace

_ANSWER_BYTES: Final = 8


class Life(Struct, frozen=True):
    """How long an answer to an operation is of use, in seconds.

    Attributes:
        ttl_s: It is an answer.
        stale_for_s: After that it only stands in when nobody else answers.
        unasked: Requests that do not say use the cache.
    """

    ttl_s: float
    stale_for_s: float
    unasked: bool


class CacheRule(Struct, frozen=True):
    """How an engine caches.

    Attributes:
        max_entries, max_bytes: Bounds; see `Shelf`.
        compress_above: Answers of more bytes are compressed.
        usual: For operations that have no rule of their own.
        operations: For those that have.
    """

    max_entries: int
    max_bytes: int
    compress_above: int
    usual: Life
    operations: dict[str, Life]

    def life(self, operation: str) -> Life:
        """The rule for an operation."""
        return self.operations.get(operation, self.usual)


class Cache:
    """Looks answers up and keeps them.

    Args:
        rule: Bounds and times.
        clock, trace: The engine's.
        salt: What stands for the configuration that answers come from: with another one, nothing
            that was kept before is found.
        before: The cache of the configuration before; with the same bounds, its shelf is used.
    """

    def __init__(
        self,
        rule: CacheRule,
        clock: Clock,
        trace: Trace,
        salt: bytes = b"",
        before: Cache | None = None,
    ) -> None:
        self._rule = rule
        self._now = clock.now
        self._trace = trace
        self._salt = salt
        self._shelf = Shelf(rule.max_entries, rule.max_bytes)
        if before is not None and before._bounds == self._bounds:
            self._shelf = before._shelf

    @property
    def _bounds(self) -> tuple[int, int]:
        return self._rule.max_entries, self._rule.max_bytes

    def look_up(self, flight: Flight) -> Result | None:
        """The fresh answer to an accepted request that wants one, if there is one.

        From here on `flight.key` says under what its answer is kept; None if it is not.
        """
        request = flight.request
        asked = request.cache
        if asked == Caching.BYPASS:
            return None
        if asked is None and not self._rule.life(request.operation).unasked:
            return None
        key = flight.key = key_of(request, by_tenant=True, salt=self._salt)
        if key is None or asked == Caching.REFRESH:
            return None
        now = self._now()
        entry = self._shelf.fresh(key, now)
        if entry is not None:
            return self._result(flight, key, entry, now, stale=False)
        if (dead := self._shelf.drop_dead(key, now)) is not None:
            self._tell_evicted([dead])
        if self._trace.fine:
            self._trace.emit_fine(CacheMissed(at_s=now, request=flight.id, key=key.hex()))
        return None

    def stand_in(self, flight: Flight) -> Result | None:
        """The last answer to a request that nobody could answer, if it is of use still."""
        key = flight.key
        if key is None:
            return None
        now = self._now()
        entry = self._shelf.at_hand(key, now)
        return None if entry is None else self._result(flight, key, entry, now, stale=True)

    def keep(self, flight: Flight, result: Result) -> None:
        """Keep the answer to a request that was looked up, if it is worth it."""
        key, request = flight.key, flight.request
        if key is None:
            return
        raw = self._encoded(request, result)
        if raw is None:
            self._shelf.refuse()
            return
        life, now = self._rule.life(request.operation), self._now()
        entry = entry_of(raw, self._rule.compress_above, now, life.ttl_s, life.stale_for_s)
        gone = self._shelf.put(key, entry)
        if gone is None or not self._trace.fine:
            return
        self._trace.emit_fine(
            CacheStored(
                at_s=now,
                request=flight.id,
                key=key.hex(),
                answer=_digest(raw),
                size=entry.size,
                fresh_until=entry.fresh_until,
                stale_until=entry.stale_until,
            )
        )
        self._tell_evicted(gone)

    def stats(self) -> CacheStats:
        """It in numbers."""
        return self._shelf.stats()

    def clear(self) -> int:
        """Drop every entry; returns how many there were."""
        gone = self._shelf.clear()
        self._tell_evicted(gone)
        return len(gone)

    def _encoded(self, request: Request, result: Result) -> bytes | None:
        if not worth_keeping(request, result):
            return None
        if least_bytes(result) > max(self._shelf.largest, PACKED_MAX):  # it cannot be made to fit
            return None
        return encoded(result.provider, result.model, result.usage, result.output)

    def _result(
        self, flight: Flight, key: bytes, entry: Entry, now: float, *, stale: bool
    ) -> Result:
        raw = raw_of(entry)
        kept = decoded(raw)
        flight.ended_at = now
        if self._trace.fine:
            self._trace.emit_fine(
                CacheHit(
                    at_s=now,
                    request=flight.id,
                    key=key.hex(),
                    answer=_digest(raw),
                    age_s=now - entry.stored_at,
                    stale=stale,
                )
            )
        return Result(
            output=kept.output,
            provider=kept.provider,
            model=kept.model,
            request_id=flight.id,
            elapsed_s=now - flight.accepted_at,
            cost_usd=0.0,
            usage=kept.usage,
            degraded=stale,
            cached=True,
            age_s=now - entry.stored_at,
        )

    def _tell_evicted(self, gone: list[Evicted]) -> None:
        if gone and self._trace.fine:
            now = self._now()
            for each in gone:
                self._trace.emit_fine(CacheEvicted(at_s=now, key=each.key.hex(), why=each.why))


def _digest(raw: bytes) -> str:
    return blake2b(raw, digest_size=_ANSWER_BYTES).hexdigest()
