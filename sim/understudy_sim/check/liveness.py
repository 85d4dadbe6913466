"""Bounded liveness: probes come back, and waits end when they said."""

from __future__ import annotations

from understudy_actors.domain.events import (
    ActorCrashed,
    ActorGaveUp,
    ActorRestarted,
    ActorStopped,
    BreakerMoved,
    Event,
    HoldCleared,
    HoldSet,
    PermitReleased,
    PermitTaken,
)
from understudy_sim.check.agenda import Agenda
from understudy_sim.check.gates import ACTOR, Down
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Violation, Watch


class Leases(Watch):
    """L1. An attempt's own timeout is not told; the longest of its provider bounds it."""

    name = "L1"
    claim = "a probe is back, or its half-open time over, when its lease ends"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._out: Agenda[tuple[int, PermitTaken]] = Agenda(rules.late_s)
        self._down = Down()
        self.hears = {
            BreakerMoved: self._moved,
            PermitTaken: self._taken,
            PermitReleased: self._released,
            ActorCrashed: self._down.fell,
            ActorGaveUp: self._down.fell,
            ActorStopped: self._down.fell,
            ActorRestarted: self._down.rose,
        }

    def _moved(self, seq: int, event: BreakerMoved) -> None:  # noqa: ARG002
        for _, taken in self._out.things():
            if taken.scope == event.scope:
                self._out.drop((taken.scope, taken.permit))

    def _taken(self, seq: int, event: PermitTaken) -> None:
        if event.probe:
            scope = event.scope
            lease_s = self.rules.timeout_of(scope) + self.rules.breaker_of(scope).lease_grace_s
            self._out.add((scope, event.permit), event.at_s + lease_s, (seq, event))
            self.due = self._out.due

    def _released(self, seq: int, event: PermitReleased) -> None:  # noqa: ARG002
        if event.probe:
            self._out.drop((event.scope, event.permit))

    def late(self, seq: int, event: Event) -> Violation | None:
        """A lease is over."""
        late = self._out.overdue(event.at_s)
        found = None
        for key, taken in late:
            if provider_of(taken[1].scope) in self._down.names:
                self._out.add(key, event.at_s, taken)
            else:
                said = f"{taken[1].scope} waits for probe {taken[1].permit} beyond its lease"
                found = found or self.broken("lease", said, taken, (seq, event))
        self.due = self._out.due
        return found


class StatedEnds(Watch):
    """L4."""

    name = "L4"
    claim = "every hold and every cooldown ends at the time it named, traffic or not"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._waits: Agenda[tuple[int, HoldSet | BreakerMoved]] = Agenda(rules.late_s)
        self._down = Down()
        self.hears = {
            HoldSet: self._held,
            HoldCleared: self._cleared,
            BreakerMoved: self._moved,
            ActorCrashed: self._down.fell,
            ActorGaveUp: self._down.fell,
            ActorRestarted: self._down.rose,
            ActorStopped: self._stopped,
        }

    def _held(self, seq: int, event: HoldSet) -> None:
        self._waits.add((event.scope, event.why), event.until, (seq, event))
        self.due = self._waits.due

    def _cleared(self, seq: int, event: HoldCleared) -> Violation | None:
        why, _, how = event.why.rpartition(": ")
        held = self._waits.drop((event.scope, why))
        until = getattr(held[1], "until", None) if held is not None else None
        if how != "over" or until is None or event.at_s >= until - 1e-6:
            return None
        said = f"the hold of {event.scope} ended {until - event.at_s:.3f} s before its time"
        return self.broken("early", said, held, (seq, event))

    def _moved(self, seq: int, event: BreakerMoved) -> None:
        if event.target == "open" and event.until is not None:
            self._waits.add(event.scope, event.until, (seq, event))
            self.due = self._waits.due
        else:
            self._waits.drop(event.scope)

    def _stopped(self, seq: int, event: ActorStopped) -> None:  # noqa: ARG002
        name = event.actor.removeprefix(ACTOR)
        for _, each in self._waits.things():
            if provider_of(each.scope) == name:
                self._waits.drop((each.scope, each.why) if type(each) is HoldSet else each.scope)

    def late(self, seq: int, event: Event) -> Violation | None:
        """A hold or a cooldown is over, and nobody said so."""
        late = self._waits.overdue(event.at_s)
        found = None
        for key, wait in late:
            scope = wait[1].scope
            if provider_of(scope) in self._down.names:
                self._waits.add(key, event.at_s, wait)
                continue
            what = "hold" if type(wait[1]) is HoldSet else "cooldown"
            said = f"the {what} of {scope} has not ended although its time has come"
            found = found or self.broken(what, said, wait, (seq, event))
        self.due = self._waits.due
        return found
