"""What happens to alerts."""

from __future__ import annotations

from understudy_actors.domain.events import Event


class AlertRaised(Event, frozen=True, kw_only=True, tag="alert.raised"):
    """`alert` (as configured) is told of a trouble; `state` is `raised`, `resolved` or `test`."""

    alert: str
    about: str
    subject: str
    state: str
    text: str


class AlertLost(Event, frozen=True, kw_only=True, tag="alert.lost"):
    """A message did not reach its webhook after so many tries; `lost` messages, if several."""

    alert: str
    about: str
    subject: str
    why: str
    tries: int
    lost: int = 1
