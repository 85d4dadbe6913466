"""The concurrency limit, worked out again from the attempts that ended."""

from __future__ import annotations

import math

from understudy_actors.domain.events import (
    ActorRestarted,
    LimitSet,
    PermitReleased,
    SlotFreed,
    SlotTaken,
)
from understudy_sim.check import Rules, Violation, Watch
from understudy_sim.check.rules import DEFAULT

_OK = "ok"


class SlotLimits(Watch):
    """No attempt beyond the limit.

    The limit starts as configured, and is told when it is cut. With each success that used at
    least half of it, it grows by 1 until a threshold, and by 1/limit from there. Neither the
    threshold nor the most it may grow to is told, so this is an upper bound.
    """

    name = "R5"
    claim = "an endpoint never has more attempts in flight than its limit allows when one starts"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._limits: dict[str, float] = {}
        self._thresholds: dict[str, float] = {}
        self._loads: dict[tuple[str, int], int] = {}
        self.hears = {
            SlotTaken: self._on_taken,
            SlotFreed: self._on_freed,
            PermitReleased: self._on_released,
            LimitSet: self._on_limit,
            ActorRestarted: self._on_restarted,
        }

    def _limit(self, endpoint: str) -> float:
        return self._limits.setdefault(endpoint, float(self.rules.slots_of(endpoint)))

    def _on_taken(self, seq: int, event: SlotTaken) -> Violation | None:
        self._loads[event.endpoint, event.permit] = event.in_flight
        limit = self._limit(event.endpoint)
        if event.in_flight <= int(limit):
            return None
        said = f"{event.endpoint} has {event.in_flight} in flight, and a limit of {limit:.2f}"
        return self.broken("beyond", said, (seq, event))

    def _on_released(self, seq: int, event: PermitReleased) -> None:  # noqa: ARG002
        load = self._loads.get((event.scope, event.permit))
        if load is None or event.verdict != _OK:
            return
        limit = self._limit(event.scope)
        if load * 2 >= limit:
            slow_start = limit < self._thresholds.get(event.scope, math.inf)
            self._limits[event.scope] = limit + (1.0 if slow_start else 1.0 / limit)

    def _on_freed(self, seq: int, event: SlotFreed) -> None:  # noqa: ARG002
        self._loads.pop((event.endpoint, event.permit), None)

    def _on_limit(self, seq: int, event: LimitSet) -> None:  # noqa: ARG002
        # A closing breaker goes back to the start, and may grow quickly to where it was.
        restarted = event.limit <= self.rules.slots_of(event.endpoint)
        before = self._limit(event.endpoint)
        self._thresholds[event.endpoint] = max(event.limit, before) if restarted else event.limit
        self._limits[event.endpoint] = event.limit

    def _on_restarted(self, seq: int, event: ActorRestarted) -> None:  # noqa: ARG002
        """What was not saved is forgotten: the limit may be the one that it started from."""
        self._thresholds.clear()
        for endpoint, limit in self._limits.items():
            self._limits[endpoint] = max(limit, float(self.rules.slots_of(endpoint)))
