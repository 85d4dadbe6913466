"""Nobody fails, or waits, while somebody could serve them."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import attrs

from understudy_actors.domain.candidate import NO_SLOT
from understudy_actors.domain.events import (
    ActorCrashed,
    ActorRestarted,
    AttemptAdmitted,
    AttemptEnded,
    AttemptRefused,
    BreakerMoved,
    Decided,
    Event,
    LimitSet,
    RequestAccepted,
    RequestOutcome,
    RetryScheduled,
    ScoreSet,
    SlotFreed,
    SlotTaken,
)
from understudy_actors.domain.outcome import POLICY, ErrorClass, Verdict
from understudy_actors.domain.store_events import LimitTaken
from understudy_sim.check.agenda import Agenda
from understudy_sim.check.budget import Guards
from understudy_sim.check.bulkheads import Members
from understudy_sim.check.gates import ACTOR, Gates
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Hears, Violation, Watch, Witness
from understudy_sim.world_events import FaultBegan, FaultEnded

_OK: Final = Verdict.OK.value
_UNSERVED: Final = frozenset({"NoCandidate", "AllAttemptsFailed"})
_HERE_ONLY: Final = frozenset(
    {each.value for each, policy in POLICY.items() if not policy.elsewhere}
    | {ErrorClass.CONTEXT_LENGTH.value}  # another one may have no larger window
)
STARVED_S: Final = 1.0
"""A slot that is free for so long has not been given to anybody."""


@attrs.define(slots=True, eq=False)
class Slots:
    """Lower bounds of every endpoint's free slots: a limit grows in silence, a cut is told."""

    rules: Rules
    _in_flight: dict[str, int] = attrs.Factory(dict)
    _limit: dict[str, int] = attrs.Factory(dict)
    _free_since: dict[str, float] = attrs.Factory(dict)

    def hears(self) -> Hears:
        """What it needs to hear."""
        return {
            SlotTaken: self.moved,
            SlotFreed: self.moved,
            LimitSet: self.limited,
            LimitTaken: self.limited,
        }

    def moved(self, seq: int, event: SlotTaken | SlotFreed) -> None:  # noqa: ARG002
        """A slot was taken or freed."""
        self._in_flight[event.endpoint] = event.in_flight
        if event.in_flight + 1 >= self._limit_of(event.endpoint):
            self._note(event.endpoint, event.at_s)

    def limited(self, seq: int, event: LimitSet | LimitTaken) -> None:  # noqa: ARG002
        """A limit was cut, or restarted, or is what an earlier process left."""
        self._limit[event.endpoint] = int(event.limit)
        self._note(event.endpoint, event.at_s)

    def free_since(self, endpoint: str) -> float | None:
        """Since when it has had a free slot; None if it may have none."""
        return self._free_since.get(endpoint, -math.inf)

    def _limit_of(self, endpoint: str) -> int:
        limit = self._limit.get(endpoint)
        if limit is None:
            limit = self._limit[endpoint] = self.rules.slots_of(endpoint)
        return limit

    def _note(self, endpoint: str, now: float) -> None:
        if self._in_flight.get(endpoint, 0) >= self._limit_of(endpoint):
            self._free_since[endpoint] = math.inf
        elif self._free_since.get(endpoint) == math.inf:
            self._free_since[endpoint] = now


class _Flight:
    """What is known of one request."""

    __slots__ = ("accepted", "count", "ended", "here", "ranked", "refused", "strategy", "tried")

    def __init__(self, accepted: tuple[int, RequestAccepted]) -> None:
        self.accepted = accepted
        self.strategy = ""
        self.ranked: tuple[str, ...] = ()
        self.tried: set[str] = set()
        self.refused: set[str] = set()
        self.count = 0
        self.here = 0
        self.ended: tuple[int, AttemptEnded] | None = None


class Failover(Watch):
    """F1. An endpoint counts only if all of its gates were open for the request's whole life."""

    name = "F1"
    claim = "a request fails, or stays, only if nobody who could serve it is left"
    learned: ClassVar[bool] = True

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._gates, self._guards, self._slots = Gates(), Guards(rules.guard), Slots(rules)
        self._live: dict[str, _Flight] = {}
        self._waiting: set[str] = set()
        self.hears = {
            **self._gates.hears(),
            **self._slots.hears(),
            ScoreSet: self._guards.scored,
            BreakerMoved: self._moved,
            ActorRestarted: self._restarted,
            RequestAccepted: self._accepted,
            Decided: self._decided,
            AttemptRefused: self._refused,
            AttemptAdmitted: self._admitted,
            AttemptEnded: self._attempt_ended,
            RetryScheduled: self._scheduled,
            RequestOutcome: self._outcome,
        }

    def _moved(self, seq: int, event: BreakerMoved) -> None:
        self._gates.moved(seq, event)
        self._guards.moved(seq, event)

    def _restarted(self, seq: int, event: ActorRestarted) -> None:
        self._gates.rose(seq, event)
        self._guards.restarted(seq, event)

    def _accepted(self, seq: int, event: RequestAccepted) -> None:
        self._live[event.request] = _Flight((seq, event))

    def _decided(self, seq: int, event: Decided) -> None:  # noqa: ARG002
        if self._waiting:
            self._waiting.discard(event.request)
        flight = self._live.get(event.request)
        if flight is not None:
            flight.strategy = event.strategy
            if not flight.ranked:
                flight.ranked = event.ranked
            else:
                more = [each for each in event.ranked if each not in flight.ranked]
                flight.ranked = (*flight.ranked, *more)

    def _refused(self, seq: int, event: AttemptRefused) -> None:  # noqa: ARG002
        if (flight := self._live.get(event.request)) is not None:
            flight.refused.add(event.endpoint)

    def _admitted(self, seq: int, event: AttemptAdmitted) -> None:  # noqa: ARG002
        flight = self._live.get(event.request)
        if flight is not None:
            flight.count += 1
            flight.here = flight.here + 1 if event.endpoint in flight.tried else 0
            flight.tried.add(event.endpoint)

    def _attempt_ended(self, seq: int, event: AttemptEnded) -> None:
        if event.verdict != _OK and (flight := self._live.get(event.request)) is not None:
            flight.ended = seq, event

    def _scheduled(self, seq: int, event: RetryScheduled) -> Violation | None:
        flight = self._live.get(event.request)
        if event.why != "retry":
            self._waiting.add(event.request)
            return None
        if flight is None or (flight.strategy == "priority" and not flight.here):
            return None
        spare = self._spare(flight, event.at_s)
        if spare is None:
            return None
        said = f"{event.request} waits to ask {event.endpoint} again, and {spare} is free"
        return self.broken("stays", said, flight.accepted, flight.ended, (seq, event))

    def _outcome(self, seq: int, event: RequestOutcome) -> Violation | None:
        flight = self._live.pop(event.request, None)
        if self._waiting:
            self._waiting.discard(event.request)
        status = event.status
        if flight is None or status == "ok":
            return None
        if status not in _UNSERVED and not (status == "degraded" and event.provider == "fallback"):
            return None
        spare = self._spare(flight, event.at_s)
        if spare is None:
            return None
        said = f"{event.request} failed, and nobody asked {spare}, which was free all the time"
        return self.broken("failed", said, flight.accepted, flight.ended, (seq, event))

    def _spare(self, flight: _Flight, now: float) -> str | None:
        """Somebody who could serve it, was ranked, and was not asked."""
        accepted = flight.accepted[1]
        most = accepted.max_attempts or self.rules.max_attempts
        if self._waiting or flight.count >= most or now >= accepted.deadline - self.rules.late_s:
            return None
        if flight.count and not accepted.fallback:
            return None
        if flight.ended is not None and flight.ended[1].error in _HERE_ONLY:
            return None
        for each in flight.ranked:
            if each in flight.tried or each in flight.refused:
                continue
            if flight.tried and not self._guards.lets_pass(each):
                continue
            since = self._gates.closed_since(each, now)
            free = self._slots.free_since(each)
            if since is not None and since <= accepted.at_s and free is not None and free <= now:
                return each
        return None


class WakeUps(Watch):
    """F2. Of those who belong to no compartment, whose share may be in use."""

    name = "F2"
    claim = "nobody waits for a slot while a candidate has one to spare"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._gates, self._slots = Gates(), Slots(rules)
        self._wanted: dict[str, list[str]] = {}
        self._waits: Agenda[tuple[int, RetryScheduled]] = Agenda(rules.late_s)
        self._dispatcher_up_since: float = -math.inf
        self._members = Members(rules)
        self.hears = {
            **self._members.hears(),
            **self._gates.hears(),
            **self._slots.hears(),
            ActorCrashed: self._crashed,
            ActorRestarted: self._restarted,
            Decided: self._decided,
            AttemptRefused: self._refused,
            RetryScheduled: self._scheduled,
            RequestOutcome: self._outcome,
            FaultBegan: self._fault_began,
            FaultEnded: self._fault_ended,
        }

    def _fault_began(self, seq: int, event: FaultBegan) -> None:  # noqa: ARG002
        if event.fault_kind == "pause":  # the whole process stands still
            self._dispatcher_up_since = math.inf

    def _fault_ended(self, seq: int, event: FaultEnded) -> None:  # noqa: ARG002
        if event.fault_kind == "pause":
            self._dispatcher_up_since = event.at_s

    def _crashed(self, seq: int, event: ActorCrashed) -> None:
        self._gates.fell(seq, event)
        if event.actor == "dispatcher":
            self._dispatcher_up_since = math.inf

    def _restarted(self, seq: int, event: ActorRestarted) -> None:
        self._gates.rose(seq, event)
        if event.actor == "dispatcher":
            self._dispatcher_up_since = event.at_s

    def _decided(self, seq: int, event: Decided) -> None:  # noqa: ARG002
        if len(self._waits):
            self._waits.drop(event.request)
        if event.left_out and NO_SLOT in event.left_out.values():
            wanted = [name for name, why in event.left_out.items() if why == NO_SLOT]
            self._wanted[event.request] = wanted
        elif self._wanted:
            self._wanted.pop(event.request, None)

    def _refused(self, seq: int, event: AttemptRefused) -> None:  # noqa: ARG002
        if event.reason == NO_SLOT:
            self._wanted.setdefault(event.request, []).append(event.endpoint)

    def _scheduled(self, seq: int, event: RetryScheduled) -> None:
        if event.why == "slot" and not self._members.of(event.request):
            self._waits.add(event.request, event.at_s + STARVED_S, (seq, event))
            self.due = self._waits.due

    def _outcome(self, seq: int, event: RequestOutcome) -> None:
        self._members.over(seq, event)
        if self._wanted:
            self._wanted.pop(event.request, None)
            self._waits.drop(event.request)

    def late(self, seq: int, event: Event) -> Violation | None:
        """Some have waited for a while: is there anything to wait for?"""
        now, found = event.at_s, None
        for request, wait in self._waits.overdue(now):
            spare = self._spare(self._wanted.get(str(request), ()), now - STARVED_S)
            if spare is None:
                self._waits.add(request, now + STARVED_S, wait)
            else:
                said = f"{request} waits for a slot, and {spare} has had a free one for long"
                found = found or self.broken("starved", said, wait, (seq, event))
        self.due = self._waits.due
        return found

    def _spare(self, wanted: list[str] | tuple[()], by: float) -> str | None:
        if self._dispatcher_up_since > by:
            return None
        for each in wanted:
            since = self._gates.closed_since(each, by)
            free = self._slots.free_since(each)
            if since is not None and since <= by and free is not None and free <= by:
                return each
        return None


class NothingLeft(Watch):
    """F3."""

    name = "F3"
    claim = "at the end nobody waits for a slot or a pause, and nothing is in flight"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._pausing: dict[str, Witness] = {}
        self._taken: dict[str, Witness] = {}
        self._crashed: set[str] = set()
        self.hears = {
            RetryScheduled: self._scheduled,
            Decided: self._went_on,
            AttemptAdmitted: self._went_on,
            RequestOutcome: self._went_on,
            SlotTaken: self._slot_taken,
            SlotFreed: self._slot_freed,
            ActorCrashed: self._fell,
        }

    def _scheduled(self, seq: int, event: RetryScheduled) -> None:
        self._pausing[event.request] = seq, event

    def _went_on(self, seq: int, event: Decided | AttemptAdmitted | RequestOutcome) -> None:  # noqa: ARG002
        if self._pausing:
            self._pausing.pop(event.request, None)

    def _slot_taken(self, seq: int, event: SlotTaken) -> None:
        self._taken[event.endpoint] = seq, event

    def _slot_freed(self, seq: int, event: SlotFreed) -> None:  # noqa: ARG002
        if not event.in_flight:
            self._taken.pop(event.endpoint, None)

    def _fell(self, seq: int, event: ActorCrashed) -> None:  # noqa: ARG002
        self._crashed.add(event.actor.removeprefix(ACTOR))

    def end(self) -> Violation | None:
        """Everything is at rest; whoever crashed forgot what was in flight."""
        for request, wait in self._pausing.items():
            return self.broken("waits", f"{request} still waits at the end", wait)
        for endpoint, taken in self._taken.items():
            if provider_of(endpoint) not in self._crashed:
                said = f"slots of {endpoint} are still taken at the end"
                return self.broken("slots", said, taken)
        return None
