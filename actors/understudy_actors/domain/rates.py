"""Rate limits in words that all rooms share: what is counted, how, and what a provider says."""

from __future__ import annotations

import enum

from msgspec import Struct


class Unit(enum.StrEnum):
    """What a limit a minute counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"  # prompt and answer together
    INPUT = "input_tokens"
    OUTPUT = "output_tokens"


class RateRule(Struct, frozen=True, kw_only=True):
    """The limits a minute of one scope, as configured; None: none.

    Attributes:
        requests, tokens, input_tokens, output_tokens: See `Unit`.
    """

    requests: int | None = None
    tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None

    def of(self, unit: Unit) -> int | None:
        """The limit on one unit."""
        limit: int | None = getattr(self, unit.value)
        return limit

    @property
    def any(self) -> bool:
        """Is anything limited?"""
        return any(self.of(unit) is not None for unit in Unit)


class Counting(Struct, frozen=True):
    """How a provider counts tokens: data beside its adapter.

    Attributes:
        reserved: It counts `max_tokens` when a call arrives, whatever the answer uses in the end.
        cached: Input that it had cached counts like other input.
    """

    reserved: bool = False
    cached: bool = True


class Sighting(Struct, frozen=True, gc=False):
    """What the headers of one answer said of one limit.

    Attributes:
        unit: Which one.
        limit: What fits into a minute, >= 1.
        remaining: What was left of it when the call arrived, 0..limit.
        reset_s: Seconds until nothing counts any more that counted then, > 0; None if unsaid.
    """

    unit: Unit
    limit: int
    remaining: int
    reset_s: float | None = None
