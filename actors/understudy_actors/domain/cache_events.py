"""What happens in the response cache, as typed events.

`key` stands for everything that was asked and on whose behalf, `answer` for everything that was
answered: digests, so that neither can be read from an event.
"""

from __future__ import annotations

from understudy_actors.domain.events import Event


class CacheHit(Event, frozen=True, kw_only=True, tag="cache.hit"):
    """A request was given an answer `age_s` old; `stale`: since nobody else could answer."""

    request: str
    key: str
    answer: str
    age_s: float
    stale: bool = False


class CacheMissed(Event, frozen=True, kw_only=True, tag="cache.miss"):
    """A request looked for an answer, and there was no fresh one."""

    request: str
    key: str


class CacheStored(Event, frozen=True, kw_only=True, tag="cache.stored"):
    """The answer to a request is kept, in place of any older one of its key.

    Who has to make room for it is told after it.

    Attributes:
        size: Bytes that it counts for.
        fresh_until, stale_until: Until when it answers, and stands in.
    """

    request: str
    key: str
    answer: str
    size: int
    fresh_until: float
    stale_until: float


class CacheEvicted(Event, frozen=True, kw_only=True, tag="cache.evicted"):
    """An entry is gone: too many `entries`, too many `bytes`, `expired` or `cleared`."""

    key: str
    why: str
