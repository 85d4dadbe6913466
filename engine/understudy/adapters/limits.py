"""What response headers say of rate limits: one reader, and a table of names for each wire.

Every limit is three headers: what fits into a minute, what is left of it, and when it is whole
again. Gateways send -1, 0, nothing, or a text instead: whatever is no sane number is no sighting.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from msgspec import Struct

from understudy.adapters.delay import DELAY_MAX_S, reset_s, sent_at
from understudy_actors.domain.rates import Counting, Sighting, Unit

LIMIT_MAX: Final = 10**12
"""A larger limit is no limit."""
_COUNT: Final = re.compile(r"[0-9]{1,13}", re.ASCII)


class Names(Struct, frozen=True):
    """The headers of one limit, in lower case; `reset` is None where there is no such header."""

    unit: Unit
    limit: str
    remaining: str
    reset: str | None = None


class RateHeaders(Struct, frozen=True):
    """How one wire speaks of its limits, and how its tokens are counted."""

    names: tuple[Names, ...] = ()
    counting: Counting = Counting()


UNSAID: Final = RateHeaders()
"""Of an adapter that says nothing."""


def sightings(
    names: Collection[Names], headers: Mapping[str, str], wall_s: float
) -> tuple[Sighting, ...]:
    """Every limit that `headers` (names in lower case) speak of sanely.

    `wall_s` (Unix seconds) resolves dates, unless the response says when it was sent.
    """
    return tuple(
        seen
        for each in names
        if each.limit in headers and (seen := _sighting(each, headers, wall_s)) is not None
    )


def _sighting(names: Names, headers: Mapping[str, str], wall_s: float) -> Sighting | None:
    limit, remaining = _count(headers[names.limit]), _count(headers.get(names.remaining))
    if limit is None or remaining is None or not 0 < limit <= LIMIT_MAX or remaining > limit:
        return None
    value = headers.get(names.reset) if names.reset is not None else None
    if value is not None and "T" in value:  # a date: by the provider's own clock, where it shows it
        wall_s = sent_at(headers, wall_s)
    reset = reset_s(value, wall_s)
    if reset is not None:
        reset = min(reset, DELAY_MAX_S) if reset > 0 else None
    return Sighting(names.unit, limit, remaining, reset)


def _count(value: str | None) -> int | None:
    """A whole number without a sign; foreign digits are none."""
    if value is None or not _COUNT.fullmatch(value := value.strip()):
        return None
    return int(value)
