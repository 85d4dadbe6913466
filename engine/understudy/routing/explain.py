"""Why this provider: the record of every request, kept for the last few thousand of them."""

from __future__ import annotations

from collections import deque
from typing import Final, TypeAlias

import attrs
from msgspec import Struct

from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.result import Attempt

KEPT_MAX: Final = 2000
"""Requests whose record is kept; the oldest is forgotten first."""


class Ranked(Struct, frozen=True):
    """One decision of the dispatcher: who came in which order, and why each other one did not.

    `at_s` is seconds after the request was accepted.
    """

    at_s: float
    strategy: str
    ranked: tuple[str, ...]
    left_out: dict[str, str]


class Explanation(Struct, frozen=True, kw_only=True):
    """All that the engine decided about one request. It holds no prompt and no answer."""

    request_id: str
    operation: str
    model: str | None
    outcome: str
    served_by: str | None
    elapsed_s: float
    decisions: tuple[Ranked, ...]
    attempts: tuple[Attempt, ...]


_Record: TypeAlias = tuple[Flight, str, str | None, str, str | None, str | None, float]
"""Flight, operation, model asked for, outcome, provider and model that served it, when it ended."""


@attrs.define(eq=False, slots=True)
class Records:
    """The last requests, at most `kept_max`; looked through when somebody asks for one.

    Every request pays for being kept, and hardly any is asked for: so nothing is indexed.
    """

    kept_max: int = KEPT_MAX
    _kept: deque[_Record] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._kept = deque(maxlen=self.kept_max)

    def keep(
        self, flight: Flight, outcome: str, provider: str | None, model: str | None, now: float
    ) -> None:
        """Keep a request that ended; its prompt is let go."""
        asked = flight.request
        self._kept.append((flight, asked.operation, asked.model, outcome, provider, model, now))
        flight.forget()

    def explain(self, request_id: str) -> Explanation | None:
        """The record of the last request of that id; None if unknown, running, or forgotten."""
        found = (each for each in reversed(self._kept) if each[0].id == request_id)
        if (record := next(found, None)) is None:
            return None
        flight, operation, model, outcome, provider, served_model, ended_at = record
        return Explanation(
            request_id=request_id,
            operation=operation,
            model=model,
            outcome=outcome,
            served_by=None if provider is None else f"{provider}/{served_model}",
            elapsed_s=ended_at - flight.accepted_at,
            decisions=tuple(
                Ranked(
                    d.at_s - flight.accepted_at,
                    d.strategy,
                    tuple(c.name for c in d.ranked),
                    d.reasons(),
                )
                for d in flight.decisions
            ),
            attempts=tuple(flight.attempts),
        )
