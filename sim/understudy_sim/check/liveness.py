"""Bounded liveness: probes come back, waits end when they said, and the world gets well."""

from __future__ import annotations

import math
from typing import Final

from understudy_actors.domain.events import (
    ActorCrashed,
    ActorGaveUp,
    ActorRestarted,
    ActorStopped,
    BreakerCounted,
    BreakerMoved,
    Decided,
    Event,
    HoldCleared,
    HoldSet,
    PermitReleased,
    PermitTaken,
    RequestOutcome,
)
from understudy_actors.domain.outcome import Verdict
from understudy_sim.check.agenda import Agenda
from understudy_sim.check.gates import ACTOR
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Violation, Watch, Witness
from understudy_sim.world_events import FaultBegan, Quiet

_FAIL: Final = Verdict.FAIL.value

PREFERRED: Final = 5
"""So many requests must have preferred a breaker's endpoint before it must have closed."""
SETTLE_S: Final = 300.0
"""After the last fault the world gets so long to settle."""
MEASURE_S: Final = 120.0
"""Goodput is measured over this."""
GOODPUT: Final = 0.95
LEAST: Final = 20
"""Fewer outcomes than this say nothing about goodput."""


class _Down:
    """Which providers' actors are down: they keep no time."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: set[str] = set()

    def fell(self, seq: int, event: ActorCrashed | ActorGaveUp | ActorStopped) -> None:  # noqa: ARG002
        self.names.add(event.actor.removeprefix(ACTOR))

    def rose(self, seq: int, event: ActorRestarted) -> None:  # noqa: ARG002
        self.names.discard(event.actor.removeprefix(ACTOR))


class Leases(Watch):
    """L1. An attempt's own timeout is not told; the longest of its provider bounds it."""

    name = "L1"
    claim = "a probe is back, or its half-open time over, when its lease ends"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._out: Agenda[tuple[int, PermitTaken]] = Agenda(rules.late_s)
        self._down = _Down()
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
        self._down = _Down()
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


class _Healing:
    """One breaker that has to close."""

    __slots__ = ("asked", "moved")

    def __init__(self, moved: tuple[int, BreakerMoved]) -> None:
        self.moved = moved
        self.asked = 0  # requests that preferred it since it would let one through


class Heals(Watch):
    """L3. A failure that was admitted after the last fault is the world's, and starts it anew."""

    name = "L3"
    claim = "after the last fault every breaker closes in time, if requests prefer its endpoint"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._moved: dict[str, tuple[int, BreakerMoved]] = {}
        self._quiet: Witness | None = None
        self._waits: Agenda[_Healing] = Agenda(rules.late_s)
        self._admitted: dict[int, float] = {}
        self._down = _Down()
        self.hears = {
            BreakerMoved: self._on_moved,
            Quiet: self._on_quiet,
            PermitTaken: self._on_taken,
            BreakerCounted: self._on_counted,
            PermitReleased: self._on_released,
            Decided: self._on_decided,
            FaultBegan: self._on_fault,
            ActorCrashed: self._down.fell,
            ActorGaveUp: self._down.fell,
            ActorStopped: self._down.fell,
            ActorRestarted: self._down.rose,
        }

    def _on_fault(self, seq: int, event: FaultBegan) -> None:  # noqa: ARG002
        self._quiet = None
        for scope in self._moved:
            self._waits.drop(scope)

    def _on_quiet(self, seq: int, event: Quiet) -> None:
        self._quiet = seq, event
        for scope in self._moved:
            self._expect(scope, event.at_s)

    def _on_moved(self, seq: int, event: BreakerMoved) -> None:
        scope = event.scope
        if event.target in ("open", "half-open"):
            self._moved[scope] = seq, event
            waiting = self._waits.get(scope)
            if waiting is not None:
                waiting.moved = seq, event
            elif self._quiet is not None:
                self._expect(scope, event.at_s)
        else:
            self._moved.pop(scope, None)
            self._waits.drop(scope)

    def _expect(self, scope: str, now: float) -> None:
        """The remaining cooldown, one more (a probe may fail already), and two probes."""
        moved = self._moved[scope]
        policy, timeout_s = self.rules.breaker_of(scope), self.rules.timeout_of(scope)
        slow_s = min(2 * timeout_s, policy.slow_probe_cap_s)
        until = moved[1].until if moved[1].until is not None else now
        bound = max(now, until) + max(policy.cap_s, slow_s) + policy.lease_grace_s
        bound += (2 + policy.close_after) * timeout_s
        self._waits.add(scope, bound, _Healing(moved))
        self.due = self._waits.due

    def _on_taken(self, seq: int, event: PermitTaken) -> None:  # noqa: ARG002
        if event.probe and self._quiet is not None:
            self._admitted[event.permit] = event.at_s

    def _on_released(self, seq: int, event: PermitReleased) -> None:  # noqa: ARG002
        if self._admitted:
            self._admitted.pop(event.permit, None)

    def _on_counted(self, seq: int, event: BreakerCounted) -> None:  # noqa: ARG002
        """A probe that was admitted in quiet times and failed: no fault of the breaker's."""
        if event.verdict == _FAIL and event.scope in self._waits and self._quiet is not None:
            taken = self._admitted.get(event.permit)
            if event.permit == 0 or (taken is not None and taken >= self._quiet[1].at_s):
                self._expect(event.scope, event.at_s)

    def _on_decided(self, seq: int, event: Decided) -> None:  # noqa: ARG002
        if len(self._waits) and event.ranked:
            waiting = self._waits.get(event.ranked[0])
            if waiting is not None and waiting.moved[1].target == "half-open":
                waiting.asked += 1

    def late(self, seq: int, event: Event) -> Violation | None:
        """A breaker had its time to close."""
        late = self._waits.overdue(event.at_s)
        found = None
        for key, waiting in late:
            scope = waiting.moved[1].scope
            if waiting.asked < PREFERRED or provider_of(scope) in self._down.names:
                self._waits.add(key, event.at_s, waiting)
                continue
            said = f"{scope} is still {waiting.moved[1].target}, long after the last fault"
            why = self._quiet, waiting.moved, (seq, event)
            found = found or self.broken("not closed", said, *why)
        self.due = self._waits.due
        return found


class Goodput(Watch):
    """L7."""

    name = "L7"
    claim = "five minutes after the last fault as large a share succeeds as before the first"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._began: Witness | None = None
        self._quiet: Witness | None = None
        self._before = [0, 0]
        self._after = [0, 0]
        self.hears = {
            FaultBegan: self._on_fault,
            Quiet: self._on_quiet,
            RequestOutcome: self._on_outcome,
        }

    def _on_fault(self, seq: int, event: FaultBegan) -> None:
        self._began = self._began or (seq, event)
        self._quiet = None
        self._after = [0, 0]
        self.due = math.inf

    def _on_quiet(self, seq: int, event: Quiet) -> None:
        self._quiet = seq, event
        self.due = event.at_s + SETTLE_S + MEASURE_S

    def _on_outcome(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        if event.status == "cancelled":
            return
        counts = self._before
        if self._began is not None:
            if self._quiet is None or not 0.0 <= self._in_window(event.at_s) <= MEASURE_S:
                return
            counts = self._after
        counts[0] += 1
        counts[1] += event.status == "ok"

    def _in_window(self, at_s: float) -> float:
        assert self._quiet is not None
        return at_s - self._quiet[1].at_s - SETTLE_S

    def late(self, seq: int, event: Event) -> Violation | None:
        """The second measurement is over."""
        self.due = math.inf
        return self._compare((seq, event))

    def end(self) -> Violation | None:
        """The trace ended within the second measurement: what there is of it counts."""
        return self._compare(None) if self.due < math.inf else None

    def _compare(self, here: Witness | None) -> Violation | None:
        (n, ok), (m, again) = self._before, self._after
        if n < LEAST or m < LEAST or again / m >= GOODPUT * ok / n:
            return None
        said = f"{again / m:.0%} succeed long after the last fault, before the first {ok / n:.0%}"
        return self.broken("goodput", said, self._began, self._quiet, here)
