"""Checkers beside the monitors of the trace: what only a simulated run can be held to."""

from __future__ import annotations

from collections import Counter

from understudy_actors.domain.events import (
    ActorCrashed,
    BreakerCounted,
    BreakerMoved,
    Contained,
    PermitTaken,
)
from understudy_sim.check import Rules, Violation, Watch
from understudy_sim.check.rules import DEFAULT
from understudy_sim.check.violation import Witness
from understudy_sim.world_events import RunEnded

_PLANTED = "Poison"  # what a `crash` fault of the scenario makes an actor choke on
_HALF_OPEN, _CLOSED, _OK = "half-open", "closed", "ok"


class OwnCrashes(Watch):
    """Nothing of the engine raises unless a fault of the scenario makes it."""

    name = "R1"
    claim = "no actor crashes, and no adapter, strategy or timer raises, by itself"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self.hears = {ActorCrashed: self._on_crash, Contained: self._on_contained}

    def _on_crash(self, seq: int, event: ActorCrashed) -> Violation | None:
        if event.message_kind.startswith(_PLANTED):
            return None
        said = f"{event.actor} crashed with {event.error} over {event.message_kind}"
        return self.broken(f"crash/{event.error}", said, (seq, event))

    def _on_contained(self, seq: int, event: Contained) -> Violation | None:
        if event.where == "actor":  # its crash was told already
            return None
        said = f"{event.where} {event.who} raised {event.error} ({event.line}): {event.note}"
        return self.broken(f"{event.where}/{event.error}", said, (seq, event))


class Progress(Watch):
    """The run came to its end by itself."""

    name = "R2"
    claim = "a run ends: no deadlock, no livelock, nobody left waiting for hours"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self.hears = {RunEnded: self._on_end}

    def _on_end(self, seq: int, event: RunEnded) -> Violation | None:
        if event.progress == "done":
            return None
        return self.broken(event.progress, f"the run ended in a {event.progress}", (seq, event))


class Closing(Watch):
    """Probes that say nothing prove nothing."""

    name = "R3"
    claim = "a half-open breaker closes after as many successful probes as configured, no others"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._proofs = Counter[str]()
        self._half_open: set[str] = set()
        self._due: dict[str, Witness] = {}
        self.hears = {
            BreakerMoved: self._on_moved,
            BreakerCounted: self._on_counted,
            PermitTaken: self._on_taken,
        }

    def _on_counted(self, seq: int, event: BreakerCounted) -> Violation | None:
        scope, found = event.scope, self._overdue(event.scope, (seq, event))
        self._proofs[scope] += event.verdict == _OK
        enough = self._proofs[scope] >= self.rules.breaker_of(scope).close_after
        if enough and scope in self._half_open:
            self._due[scope] = seq, event
        return found

    def _on_taken(self, seq: int, event: PermitTaken) -> Violation | None:
        return self._overdue(event.scope, (seq, event)) if self._due else None

    def _overdue(self, scope: str, here: Witness) -> Violation | None:
        """The move follows in the same turn; whatever comes first shows that there is none."""
        due = self._due.pop(scope, None) if self._due else None
        if due is None:
            return None
        said = f"{scope} is half-open after {self._proofs[scope]} successful probes"
        return self.broken("too late", said, due, here)

    def _on_moved(self, seq: int, event: BreakerMoved) -> Violation | None:
        self._due.pop(event.scope, None)
        if event.target == _HALF_OPEN:
            self._half_open.add(event.scope)
        else:
            self._half_open.discard(event.scope)
        if event.source == event.target:
            return None  # restored: what was proven stays so
        proofs, self._proofs[event.scope] = self._proofs[event.scope], 0
        wanted = self.rules.breaker_of(event.scope).close_after
        by_hand = event.why in ("reset", "enabled")
        if event.source != _HALF_OPEN or event.target != _CLOSED or by_hand or proofs >= wanted:
            return None
        said = f"{event.scope} closed after {proofs} successful probes instead of {wanted}"
        return self.broken("too early", said, (seq, event))
