"""Why this provider: the record of every request, kept for the last few thousand of them."""

from __future__ import annotations

from collections import deque
from typing import Final, TypeAlias

import attrs
from msgspec import Struct

from understudy_actors.dispatcher.flight import Decision, Flight
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
    """All that the engine decided about one request. It holds no prompt and no answer.

    `generation` is that of the configuration it was accepted under: a reload raises it by one.
    """

    request_id: str
    operation: str
    model: str | None
    outcome: str
    served_by: str | None
    elapsed_s: float
    decisions: tuple[Ranked, ...]
    attempts: tuple[Attempt, ...]
    generation: int = 0


_Record: TypeAlias = tuple[
    str,
    str,
    str | None,
    str,
    str | None,
    str | None,
    float,
    float,
    tuple[Decision, ...],
    tuple[Attempt, ...],
    int,
]
"""Id, operation, model asked for, outcome, provider and model that served it, when it was accepted
and when it ended, what was decided and what was tried, and under which configuration."""


@attrs.define(eq=False, slots=True)
class Records:
    """The last requests, at most `kept_max`; looked through when somebody asks for one.

    Every request pays for being kept, and hardly any is asked for: so nothing is indexed, and all
    that is kept are references. Thousands of flights would take so much memory that each request
    would have to do with memory that no cache holds any more.
    """

    kept_max: int = KEPT_MAX
    _kept: deque[_Record] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._kept = deque(maxlen=self.kept_max)

    def keep(
        self,
        flight: Flight,
        outcome: str,
        provider: str | None,
        model: str | None,
        now: float,
        served: Flight,
    ) -> None:
        """Keep what is known of a request that ended, but for its prompt.

        `served` is the flight that was seen through for it: its own, or one that it shared.
        """
        asked = flight.request
        self._kept.append(
            (
                flight.id,
                asked.operation,
                asked.model,
                outcome,
                provider,
                model,
                flight.accepted_at,
                now,
                served.decisions,
                served.attempts,
                served.generation,
            )
        )

    def asked(self, request_id: str) -> tuple[str, str | None] | None:
        """The operation and the model that a request asked for that ended a moment ago."""
        found = (each for each in reversed(self._kept) if each[0] == request_id)
        record = next(found, None)
        return None if record is None else record[1:3]

    def explain(self, request_id: str) -> Explanation | None:
        """The record of the last request of that id; None if unknown, running, or forgotten."""
        found = (each for each in reversed(self._kept) if each[0] == request_id)
        if (record := next(found, None)) is None:
            return None
        _, operation, model, outcome, provider, served, accepted_at, ended_at = record[:8]
        decisions, attempts, generation = record[8:]
        return Explanation(
            request_id=request_id,
            operation=operation,
            model=model,
            outcome=outcome,
            served_by=None if provider is None else f"{provider}/{served}",
            elapsed_s=ended_at - accepted_at,
            decisions=tuple(
                Ranked(
                    d.at_s - accepted_at, d.strategy, tuple(c.name for c in d.ranked), d.reasons()
                )
                for d in decisions
            ),
            attempts=attempts,
            generation=generation,
        )
