"""What happens to requests that share one call, as typed events."""

from __future__ import annotations

from understudy_actors.domain.events import Event


class RequestJoined(Event, frozen=True, kw_only=True, tag="req.joined"):
    """A request waits, until its `deadline`, for the outcome of a call that others share.

    The call goes by the id `shared`, as a request of its own; it may take as long as any of those
    who wait for it.
    """

    request: str
    shared: str
    deadline: float
