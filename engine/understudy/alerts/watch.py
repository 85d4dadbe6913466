"""What is worth an alert: a pure judge of events, which tells of each trouble once.

quiet ──trouble──▶ raised ──it is over──▶ quiet
  ▲                                         │
  └── trouble again within `repeat`: not told, nor that it is over ──┘
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

import attrs
from msgspec import Struct

from understudy.config.alerts import AlertConfig
from understudy_actors.domain.events import BreakerMoved, Event, RequestOutcome
from understudy_actors.domain.money_events import BoundBreached, BudgetAlert

SUBJECTS_MAX: Final = 1000
"""Troubles that are remembered; the oldest is forgotten first."""
BUCKETS: Final = 10
"""Pieces of the window: availability forgets by the piece."""
NOT_OURS: Final = frozenset(
    {
        "cancelled", "InvalidRequest", "OverMaxCost", "OverBudget", "OverLimit", "NotCached",
        "ContextTooLong", "ContentRefused", "BadRequest", "ShuttingDown",
    }
)  # fmt: skip
"""Ends of requests that say nothing about who can be reached: callers caused them."""


class Alert(Struct, frozen=True):
    """One message.

    Attributes:
        about: budget, breaker, availability or test.
        subject: Which budget, which breaker; `engine` for availability.
        state: raised, resolved or test.
        text: One sentence.
        details: Numbers and words for programs.
    """

    about: str
    subject: str
    state: str
    text: str
    details: dict[str, str | float]


@attrs.define
class Availability:
    """The share of good ends within a sliding window; it forgets piece by piece."""

    window_s: float
    _pieces: deque[list[float]] = attrs.field(factory=deque)  # began, good, all

    def count(self, good: bool, now: float) -> tuple[float, int]:
        """Count one end; the share of good ones, and of how many."""
        step = self.window_s / BUCKETS
        while self._pieces and self._pieces[0][0] <= now - self.window_s:
            self._pieces.popleft()
        if not self._pieces or now - self._pieces[-1][0] >= step:
            self._pieces.append([now, 0.0, 0.0])
        self._pieces[-1][1] += good
        self._pieces[-1][2] += 1
        total = int(sum(each[2] for each in self._pieces))
        return sum(each[1] for each in self._pieces) / total, total


class Watch:
    """Hears events and says what to tell; it never reads a clock and tells nobody itself."""

    def __init__(self, config: AlertConfig) -> None:
        self._config = config
        self._available = Availability(config.window_s)
        self._told_at: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._open: set[tuple[str, str]] = set()  # told of, and not over

    def hear(self, event: Event) -> Alert | None:
        """What to tell of an event, if anything."""
        on = self._config.on
        if type(event) is RequestOutcome:
            return self._outcome(event) if "availability" in on else None
        if type(event) is BreakerMoved:
            return self._breaker(event) if "breaker" in on else None
        if type(event) is BudgetAlert:
            return self._budget(event) if "budget" in on else None
        if type(event) is BoundBreached and "budget" in on:
            text = f"budget {event.budget} stopped: an attempt cost more than its worst case"
            return self._raise("budget", event.budget, event.at_s, text, {})
        return None

    def _outcome(self, event: RequestOutcome) -> Alert | None:
        if event.status in NOT_OURS:
            return None
        config = self._config
        share, total = self._available.count(event.status == "ok", event.at_s)
        details: dict[str, str | float] = {"share": round(share, 4), "requests": total}
        window = f"within {config.window_s:g} s ({total} requests)"
        if share >= config.availability:
            text = f"availability is {share:.1%} again {window}"
            return self._resolve("availability", "engine", text, details)
        if total < config.requests:
            return None
        text = f"availability is {share:.1%} {window}, under {config.availability:.1%}"
        return self._raise("availability", "engine", event.at_s, text, details)

    def _breaker(self, event: BreakerMoved) -> Alert | None:
        if event.target == "open":
            text = f"breaker of {event.scope} is open: {event.why}"
            details: dict[str, str | float] = {"why": event.why}
            return self._raise("breaker", event.scope, event.at_s, text, details)
        if event.target == "closed":
            text = f"breaker of {event.scope} is closed again"
            return self._resolve("breaker", event.scope, text, {})
        return None

    def _budget(self, event: BudgetAlert) -> Alert | None:
        if event.percent < self._config.budget_percent:
            return None
        spent = event.spent_micro_usd / 1e6
        text = f"budget {event.budget}: {event.percent} % is spent, ${spent:.2f}"
        details: dict[str, str | float] = {"percent": event.percent, "spent_usd": spent}
        subject = f"{event.budget} {event.percent}%"
        return self._raise("budget", subject, event.at_s, text, details)

    def _raise(
        self, about: str, subject: str, now: float, text: str, details: dict[str, str | float]
    ) -> Alert | None:
        key = (about, subject)
        last = self._told_at.get(key)
        if last is not None and now - last < self._config.repeat_s:
            return None
        self._told_at[key] = now
        self._told_at.move_to_end(key)
        self._open.add(key)
        if len(self._told_at) > SUBJECTS_MAX:
            forgotten, _ = self._told_at.popitem(last=False)
            self._open.discard(forgotten)
        return Alert(about, subject, "raised", text, details)

    def _resolve(
        self, about: str, subject: str, text: str, details: dict[str, str | float]
    ) -> Alert | None:
        if (about, subject) not in self._open:
            return None
        self._open.discard((about, subject))
        return Alert(about, subject, "resolved", text, details)
