"""The response cache: how long, how much, and for which operations."""

from __future__ import annotations

from typing import ClassVar, Final

from msgspec import field

from understudy.config.faults import BadKey
from understudy.config.sections import Switchable
from understudy.config.values import Count, CountOrZero, Name, Seconds, SecondsOrZero
from understudy_actors.domain import operation

LEAST_BYTES: Final = 65_536


class CacheConfig(Switchable, frozen=True, kw_only=True):
    """Answers that were given before, for requests that ask for the same. Off unless written.

    Attributes:
        enabled: Whether requests that do not say are answered from it.
        ttl: For so long an answer is fresh.
        stale_for: For so long after that it stands in when nobody else answers, marked as degraded;
            0: never.
        max_entries: Answers at most; whoever was asked for longest ago goes first.
        max_bytes: What they may take together; one of them takes an eighth of it at most.
        compress_above: Answers of more bytes are compressed.
        operations: Whose answers are kept; `operations.NAME.cache` wins over it.
    """

    title: ClassVar[str] = "cache"

    ttl_s: Seconds = field(default=300.0, name="ttl")
    stale_for_s: SecondsOrZero = field(default=0.0, name="stale_for")
    max_entries: Count = 10_000
    max_bytes: Count = 67_108_864
    compress_above: CountOrZero = 2_048
    operations: tuple[Name, ...] = (operation.CHAT, operation.EMBEDDING)

    def check(self) -> None:
        """An answer fits in."""
        if self.max_bytes < LEAST_BYTES:
            raise BadKey(
                f"is {self.max_bytes}: it must be {LEAST_BYTES} or more, since one answer may take "
                "an eighth of it",
                "max_bytes",
            )


class OperationCacheConfig(Switchable, frozen=True, kw_only=True):
    """The cache for one operation; what is left out is taken from `cache`.

    Attributes:
        enabled: Whether requests for it that do not say are answered from the cache.
        ttl: For so long an answer is fresh.
        stale_for: For so long after that it stands in when nobody else answers; 0: never.
    """

    title: ClassVar[str] = "an operation's cache"

    ttl_s: Seconds | None = field(default=None, name="ttl")
    stale_for_s: SecondsOrZero | None = field(default=None, name="stale_for")
