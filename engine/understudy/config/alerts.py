"""Who is told when something is wrong, and of what."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from msgspec import field

from understudy.config.faults import BadKey
from understudy.config.key import KeySource
from understudy.config.section import Section
from understudy.config.values import Count, Name, Seconds, Share

AlertKind: TypeAlias = Literal["budget", "breaker", "availability"]


class AlertConfig(Section, frozen=True, kw_only=True):
    """One place that is told. It is told once of each trouble, and once that it is over.

    Attributes:
        name: What the log calls it.
        url: The webhook, as "env:NAME_OF_VARIABLE" or "file:/path/to/file", since whoever has its
            address may write there; left out, the log alone is told.
        on: Of what: a `budget` of which a part is spent, a `breaker` that opens, or `availability`
            under its bar.
        budget_percent: A budget is told of from this part on; 50, 80 and 100 % are watched.
        availability: The share of requests that must be answered, and not by a stand-in.
        window: Over so long.
        requests: With fewer of them in the window availability is not judged.
        repeat: The same trouble is told of again after so long at the soonest.
    """

    title: ClassVar[str] = "an alert"

    name: Name = "alerts"
    url: KeySource | None = None
    on: tuple[AlertKind, ...] = ("budget", "breaker", "availability")
    budget_percent: Count = 80
    availability: Share = 0.95
    window_s: Seconds = field(default=300.0, name="window")
    requests: Count = 20
    repeat_s: Seconds = field(default=3600.0, name="repeat")

    def check(self) -> None:
        """It is told of something, and no percentage is above 100."""
        if not self.on:
            raise BadKey("is empty: name budget, breaker or availability", "on")
        if self.budget_percent > 100:
            raise BadKey(f"is {self.budget_percent}: it must not exceed 100", "budget_percent")
