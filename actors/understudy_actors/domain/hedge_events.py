"""What happens to second copies of requests, as typed events."""

from __future__ import annotations

from understudy_actors.domain.events import Event


class HedgeLaunched(Event, frozen=True, kw_only=True, tag="hedge.launched"):
    """A second copy of a request went out: the first had been silent for `after_s`."""

    request: str
    attempt: int
    endpoint: str
    after_s: float


class HedgeWon(Event, frozen=True, kw_only=True, tag="hedge.won"):
    """Of two copies of a request this attempt answered first; the other one is called off."""

    request: str
    attempt: int
    endpoint: str
