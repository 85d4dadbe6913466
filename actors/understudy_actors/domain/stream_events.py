"""What happens to a streamed answer, beside the events of every attempt."""

from __future__ import annotations

from understudy_actors.domain.events import Event


class AttemptCommitted(Event, frozen=True, kw_only=True, tag="att.commit"):
    """The first piece of this attempt's answer goes to the caller.

    `delivered_chars` is how much text others had delivered before; `waited_s` is how long ago the
    attempt began.
    """

    attempt: int
    request: str
    endpoint: str
    delivered_chars: int = 0
    waited_s: float | None = None


class StreamRescue(Event, frozen=True, kw_only=True, tag="stream.rescue"):
    """A stream broke after `delivered_chars` were delivered; somebody else is to go on with it.

    `how` is `prefill` (it is given what was delivered, and continues) or `splice` (it answers anew,
    and only what follows a faithful repetition is delivered).
    """

    attempt: int
    request: str
    endpoint: str
    how: str
    delivered_chars: int


class StreamSkipped(Event, frozen=True, kw_only=True, tag="stream.skipped"):
    """Events of a stream could not be read and were left out."""

    attempt: int
    request: str
    endpoint: str
    count: int
