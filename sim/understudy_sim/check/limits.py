"""The concurrency limit, worked out again from the attempts that ended."""

from __future__ import annotations

import math
from typing import Final

import attrs

from understudy_actors.domain.events import (
    ActorCrashed,
    ActorRestarted,
    AttemptEnded,
    BreakerMoved,
    LimitSet,
    PermitReleased,
    SlotFreed,
    SlotTaken,
)
from understudy_actors.domain.store_events import LimitTaken
from understudy_actors.domain.waiting_events import Queued, QueueLeft, Unqueued
from understudy_sim.check.gates import ACTOR
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Violation, Watch

_OK, _THROTTLED, _CLOSED, _HALF_OPEN = "ok", "throttled", "closed", "half-open"
_CUT: Final = 0.85
_ROUNDING: Final = 1e-6


@attrs.define(eq=False, slots=True)
class _Limit:
    """One endpoint's limit.

    Attributes:
        value: What it is.
        threshold: Up to here it grows by one for a success.
        cut_at: When it was last cut.
        sure: Whether `value` is exact; else, until the next cut, it is the most that it can be.
        recovered_at: When the breaker closed, so that the limit starts anew.
        taken: When each attempt in flight took its slot, which one it was, and for whom.
        in_flight: How many slots are taken, as was told last.
        kept: Tickets of those for whom a slot is kept.
        over: Attempts that are over and not heard of: their actor was down.
    """

    value: float
    threshold: float = math.inf
    cut_at: float = -math.inf
    sure: bool = True
    recovered_at: float = -math.inf
    taken: dict[int, tuple[float, int, str | None]] = attrs.Factory(dict)
    in_flight: int = 0
    kept: set[int] = attrs.Factory(set)
    over: set[int] = attrs.Factory(set)


class SlotLimits(Watch):
    """The limit starts as configured. An attempt that took one of the upper half of it and succeeds
    lets it grow by 1 up to a threshold, and by 1/limit from there. The first refusal of an epoch
    cuts it to 0.85 of what it was; one that began before the last cut is old news. A breaker that
    closes takes it back to where it started.
    """

    name = "R5"
    claim = "an endpoint's limit is what its attempts make it, and no more than that are in flight"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._limits: dict[str, _Limit] = {}
        self.hears = {
            SlotTaken: self.on_taken,
            SlotFreed: self.on_freed,
            AttemptEnded: self.on_ended,
            PermitReleased: self.on_released,
            LimitSet: self.on_limit,
            Unqueued: self._on_kept,
            Queued: self._on_place,
            QueueLeft: self._on_place,
            BreakerMoved: self._on_moved,
            LimitTaken: self._on_taken_over,
            ActorCrashed: self._on_restarted,
            ActorRestarted: self._on_restarted,
        }

    def _limit(self, endpoint: str) -> _Limit:
        limit = self._limits.get(endpoint)
        if limit is None:
            start = float(self.rules.slots_of(endpoint))
            limit = self._limits[endpoint] = _Limit(start)
        return limit

    def limit_of(self, endpoint: str) -> tuple[int, bool]:
        """How many slots there are, and whether that is sure; else it is the most."""
        limit = self._limit(endpoint)
        return int(limit.value + _ROUNDING), limit.sure

    def on_taken(self, seq: int, event: SlotTaken) -> Violation | None:
        """A slot is in use."""
        limit = self._limit(event.endpoint)
        limit.in_flight = event.in_flight
        limit.taken[event.permit] = event.at_s, event.in_flight, event.request
        if event.in_flight <= int(limit.value + _ROUNDING):
            return None
        said = f"{event.endpoint} has {event.in_flight} in flight, and a limit of {limit.value:.2f}"
        return self.broken("beyond", said, (seq, event))

    def on_released(self, seq: int, event: PermitReleased) -> Violation | None:
        """An attempt's verdict is in: the limit may grow by it."""
        limit = self._limits.get(event.scope)
        taken = limit.taken.get(event.permit) if limit is not None else None
        if limit is None or taken is None:
            return None
        began_at = taken[0]
        if event.verdict == _THROTTLED and limit.sure and began_at >= limit.cut_at < event.at_s:
            said = f"{event.scope} is full, said attempt {event.permit}, and keeps its limit"
            return self.broken("not cut", said, (seq, event))
        most = self.rules.slot_bounds_of(event.scope)[1]
        if event.verdict == _OK and taken[1] * 2 >= limit.value and limit.value < most:
            growth = 1.0 if limit.value < limit.threshold else 1.0 / limit.value
            limit.value = min(limit.value + growth, float(most))
        return None

    def on_freed(self, seq: int, event: SlotFreed) -> None:  # noqa: ARG002
        """A slot is free again."""
        limit = self._limit(event.endpoint)
        limit.in_flight = event.in_flight
        limit.taken.pop(event.permit, None)
        limit.over.discard(event.permit)

    def on_ended(self, seq: int, event: AttemptEnded) -> None:  # noqa: ARG002
        """Usually its slot is free by then; if not, its actor will be told when it is back."""
        limit = self._limits.get(event.endpoint)
        if limit is not None and event.attempt in limit.taken:
            limit.over.add(event.attempt)

    def _on_kept(self, seq: int, event: Unqueued) -> Violation | None:
        limit = self._limit(event.endpoint)
        limit.kept.add(event.ticket)
        count = limit.in_flight + len(limit.kept)
        if count <= int(limit.value + _ROUNDING):
            return None
        said = f"{event.endpoint} has {limit.in_flight} in flight and keeps {len(limit.kept)} slots"
        return self.broken("kept", f"{said}, with a limit of {limit.value:.2f}", (seq, event))

    def _on_place(self, seq: int, event: Queued | QueueLeft) -> None:  # noqa: ARG002
        for limit in self._limits.values():
            limit.kept.discard(event.ticket)

    def _on_moved(self, seq: int, event: BreakerMoved) -> None:  # noqa: ARG002
        if event.source == _HALF_OPEN and event.target == _CLOSED:
            self._limit(event.scope).recovered_at = event.at_s

    def on_limit(self, seq: int, event: LimitSet) -> Violation | None:
        """The limit was cut, or starts anew."""
        endpoint, limit = event.endpoint, self._limit(event.endpoint)
        before, sure = limit.value, limit.sure
        if limit.recovered_at == event.at_s:
            limit.recovered_at = -math.inf
            wanted = min(before, float(self.rules.slots_of(endpoint)))
            limit.threshold = before if sure else math.inf
        else:
            wanted = max(float(self.rules.slot_bounds_of(endpoint)[0]), before * _CUT)
            began = [at for at, _, request in limit.taken.values() if request == event.request]
            if event.request and began and max(began) < limit.cut_at:
                said = f"{event.request} began at {endpoint} before its last cut, and cut it again"
                return self.broken("one epoch", said, (seq, event))
            limit.threshold, limit.cut_at, limit.sure = event.limit, event.at_s, True
        limit.value = event.limit
        if not sure or abs(event.limit - wanted) <= _ROUNDING:
            return None
        said = f"the limit of {endpoint} went from {before:.2f} to {event.limit:.2f}"
        return self.broken("limit", f"{said}, not to {wanted:.2f}", (seq, event))

    def _on_taken_over(self, seq: int, event: LimitTaken) -> None:  # noqa: ARG002
        limit = self._limit(event.endpoint)
        limit.value = event.limit
        limit.threshold = math.inf if event.threshold is None else event.threshold

    def _on_restarted(self, seq: int, event: ActorCrashed | ActorRestarted) -> None:  # noqa: ARG002
        """What was not saved is forgotten: the limit may be the one that it started from. Who came
        back begins with the attempts that still run, whatever it has to hear of those that do not.
        """
        name = event.actor.removeprefix(ACTOR)
        if name == "dispatcher":  # whoever it had woken holds nothing any more
            for limit in self._limits.values():
                limit.kept.clear()
        for endpoint, limit in self._limits.items():
            if provider_of(endpoint) == name:
                limit.value = max(limit.value, float(self.rules.slots_of(endpoint)))
                limit.threshold, limit.sure, limit.cut_at = math.inf, False, -math.inf
                if isinstance(event, ActorRestarted):
                    limit.in_flight = len(limit.taken.keys() - limit.over)
