"""Why this provider: the record of every request, kept for the last few thousand of them."""

from __future__ import annotations

from collections import OrderedDict
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


_Record: TypeAlias = tuple[Flight, str, str | None, str, str | None, float]
"""Flight, operation, model, outcome, who served it, when it ended."""


@attrs.define(eq=False, slots=True)
class Records:
    """The last requests, at most `kept_max`, by id; explained when somebody asks."""

    kept_max: int = KEPT_MAX
    _kept: OrderedDict[str, _Record] = attrs.Factory(OrderedDict)

    def keep(self, flight: Flight, outcome: str, served_by: str | None, now: float) -> None:
        """Keep a request that ended; its prompt is let go."""
        request = flight.request
        self._kept[flight.id] = (flight, request.operation, request.model, outcome, served_by, now)
        flight.forget()
        if len(self._kept) > self.kept_max:
            self._kept.popitem(last=False)

    def explain(self, request_id: str) -> Explanation | None:
        """The record of one request; None if it is unknown, running, or forgotten."""
        record = self._kept.get(request_id)
        if record is None:
            return None
        flight, operation, model, outcome, served_by, ended_at = record
        return Explanation(
            request_id=request_id,
            operation=operation,
            model=model,
            outcome=outcome,
            served_by=served_by,
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
