"""What happens to rate limits, as typed events."""

from __future__ import annotations

from understudy_actors.domain.events import Event


class RateLearned(Event, frozen=True, kw_only=True, tag="rate.learned"):
    """The headers of an answer changed the limit a minute that is kept for an endpoint.

    `unit` is `requests`, `tokens`, `input_tokens` or `output_tokens`.
    """

    endpoint: str
    unit: str
    limit: int
    request: str | None = None


class RateShut(Event, frozen=True, kw_only=True, tag="rate.shut"):
    """Not even the least of calls fits under the limits a minute of a scope before `until`.

    None: now one fits again.
    """

    scope: str
    until: float | None = None
    request: str | None = None
