"""What happens to requests that wait for a slot, as typed events."""

from __future__ import annotations

from understudy_actors.domain.events import Event


class Queued(Event, frozen=True, kw_only=True, tag="q.in"):
    """A request waits for a slot of one of those `wanted`, having come at `since`.

    Its `ticket` is new, or that of its earlier stand; `tokens` is what it counts in the share of
    its `tenant`.
    """

    request: str
    ticket: int
    wanted: tuple[str, ...]
    since: float
    deadline: float
    priority: int = 0
    tenant: str = ""
    tokens: float = 0.0


class Unqueued(Event, frozen=True, kw_only=True, tag="q.out"):
    """The turn of a waiting request has come: a slot of `endpoint` is kept for it."""

    request: str
    ticket: int
    endpoint: str
    band: int
    waited_s: float


class QueueLeft(Event, frozen=True, kw_only=True, tag="q.left"):
    """A request neither waits nor has a slot kept for it any more."""

    request: str
    ticket: int


class QueueRefused(Event, frozen=True, kw_only=True, tag="q.drop"):
    """A request was turned away from the queue: `reason` is `full` or `late`."""

    request: str
    reason: str
    retry_at: float
