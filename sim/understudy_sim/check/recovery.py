"""The world gets well after the last fault: breakers close, and as much succeeds as before."""

from __future__ import annotations

import math
from typing import Final

from understudy.routing.purse import UNPAID
from understudy_actors.domain.events import (
    ActorCrashed,
    ActorGaveUp,
    ActorRestarted,
    ActorStopped,
    AttemptEnded,
    AttemptRefused,
    BreakerCounted,
    BreakerMoved,
    Decided,
    Event,
    HoldCleared,
    HoldSet,
    PermitReleased,
    PermitTaken,
    RequestAccepted,
    RequestOutcome,
)
from understudy_actors.domain.outcome import ErrorClass, HoldKind, Verdict
from understudy_sim.check.agenda import Agenda
from understudy_sim.check.gates import ACTOR, Down
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Violation, Watch, Witness
from understudy_sim.world_events import FaultBegan, Quiet

_FAIL: Final = Verdict.FAIL.value
_NEUTRAL: Final = Verdict.NEUTRAL.value
_THROTTLE: Final = Verdict.THROTTLE.value
_OWN_BACKOFF: Final = frozenset({HoldKind.RATE.value, HoldKind.BUSY.value})
_CUT_SHORT: Final = frozenset({ErrorClass.SILENT.value, ErrorClass.CANCELLED.value})

PREFERRED: Final = 5
"""So many requests must have preferred a breaker's endpoint before it must have closed."""
SETTLE_S: Final = 300.0
"""After the last fault the world gets so long to settle."""
MEASURE_S: Final = 120.0
"""Goodput is measured over this."""
GOODPUT: Final = 0.95
LEAST: Final = 20
"""Fewer outcomes than this say nothing about goodput."""
CHANCE: Final = 1e-6
"""Both shares are samples: a drop that chance brings more often than this proves nothing."""


class _Healing:
    """One breaker that has to close."""

    __slots__ = ("asked", "moved")

    def __init__(self, moved: tuple[int, BreakerMoved]) -> None:
        self.moved = moved
        self.asked = 0  # requests that preferred it since it would let one through


class Heals(Watch):
    """L3. It promises something about endpoints that answer the probes they get.

    So a probe lent after the last fault starts the wait anew if the world or its caller kept it
    from succeeding: it failed, it was told to come back later, or its caller left or had too little
    time for an answer. One that said nothing for any other reason is no excuse.
    """

    name = "L3"
    claim = "after the last fault every breaker closes in time, if requests prefer its endpoint"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._moved: dict[str, tuple[int, BreakerMoved]] = {}
        self._quiet: Witness | None = None
        self._waits: Agenda[_Healing] = Agenda(rules.late_s)
        self._probes: set[tuple[str, int]] = set()  # lent after the last fault
        self._silent: dict[str, list[str]] = {}  # scopes whose probe said nothing, by request
        self._down = Down()
        self.hears = {
            BreakerMoved: self._on_moved,
            Quiet: self._on_quiet,
            PermitTaken: self._on_taken,
            BreakerCounted: self._on_counted,
            PermitReleased: self._on_released,
            AttemptEnded: self._on_ended,
            Decided: self._on_decided,
            AttemptRefused: self._on_refused,
            FaultBegan: self._on_fault,
            ActorCrashed: self._down.fell,
            ActorGaveUp: self._down.fell,
            ActorStopped: self._down.fell,
            ActorRestarted: self._on_restarted,
        }

    def _on_restarted(self, seq: int, event: ActorRestarted) -> None:
        """Nobody could ask its breakers meanwhile, and they are as they were when it fell."""
        self._down.rose(seq, event)
        name = event.actor.removeprefix(ACTOR)
        for scope in self._moved:
            if provider_of(scope) == name:
                self._start_anew(scope, event.at_s)

    def _on_fault(self, seq: int, event: FaultBegan) -> None:  # noqa: ARG002
        self._quiet = None
        self._probes.clear()
        self._silent.clear()
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
            self._probes.add((event.scope, event.permit))

    def _on_counted(self, seq: int, event: BreakerCounted) -> None:  # noqa: ARG002
        """Permit 0 is a report or a check; neither needed one."""
        if event.verdict == _FAIL and self._quiet is not None:
            probe = event.scope, event.permit
            if event.permit == 0 or probe in self._probes:
                self._start_anew(event.scope, event.at_s)

    def _on_released(self, seq: int, event: PermitReleased) -> None:  # noqa: ARG002
        probe = event.scope, event.permit
        if not self._probes or probe not in self._probes:
            return
        self._probes.discard(probe)
        if event.verdict == _THROTTLE:
            self._start_anew(event.scope, event.at_s)
        elif event.verdict == _NEUTRAL and event.request is not None:
            self._silent.setdefault(event.request, []).append(event.scope)

    def _on_ended(self, seq: int, event: AttemptEnded) -> None:  # noqa: ARG002
        """Follows the permits of its attempt, and tells why they came back as they did."""
        for scope in self._silent.pop(event.request, ()) if self._silent else ():
            if event.error in _CUT_SHORT:
                self._start_anew(scope, event.at_s)

    def _start_anew(self, scope: str, now: float) -> None:
        if scope in self._waits:
            self._expect(scope, now)

    def _on_decided(self, seq: int, event: Decided) -> None:  # noqa: ARG002
        if len(self._waits) and event.ranked:
            waiting = self._waits.get(event.ranked[0])
            if waiting is not None and waiting.moved[1].target == "half-open":
                waiting.asked += 1

    def _on_refused(self, seq: int, event: AttemptRefused) -> None:  # noqa: ARG002
        """Who could not be paid for did not knock."""
        if len(self._waits) and event.reason.startswith(UNPAID):
            waiting = self._waits.get(event.endpoint)
            if waiting is not None and waiting.asked:
                waiting.asked -= 1

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
    """L7. It compares two samples, and blames nobody for a drop that chance explains.

    A fault lasts as long as the waits that it left behind, if those are not our own back-off: a
    provider that named a time is clear from then on, and so is an account whose hold awaits people.
    """

    name = "L7"
    claim = "five minutes after the last fault as large a share succeeds as before the first"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._began: Witness | None = None
        self._quiet: Witness | None = None
        self._clear_at = math.inf
        self._before = [0, 0]
        self._after = [0, 0]
        self._held: dict[tuple[str, str], float] = {}
        self._running: set[str] = set()
        self._caught: set[str] = set()  # requests that the last fault's end found under way
        self.hears = {
            FaultBegan: self._on_fault,
            Quiet: self._on_quiet,
            HoldSet: self._on_held,
            HoldCleared: self._on_cleared,
            RequestAccepted: self._on_accepted,
            RequestOutcome: self._on_outcome,
        }

    def _on_fault(self, seq: int, event: FaultBegan) -> None:
        self._began = self._began or (seq, event)
        self._quiet = None
        self._after = [0, 0]
        self._clear_at = self.due = math.inf

    def _on_quiet(self, seq: int, event: Quiet) -> None:
        self._quiet = seq, event
        self._caught = set(self._running)
        self._measure_from(max((event.at_s, *self._held.values())))

    def _measure_from(self, clear_at: float) -> None:
        self._clear_at = clear_at
        self.due = clear_at + SETTLE_S + MEASURE_S

    def _on_held(self, seq: int, event: HoldSet) -> None:  # noqa: ARG002
        if event.why in _OWN_BACKOFF and not event.stated:
            return
        self._held[event.scope, event.why] = event.until
        if event.request in self._caught and event.until > self._clear_at:
            self._measure_from(event.until)

    def _on_cleared(self, seq: int, event: HoldCleared) -> None:  # noqa: ARG002
        self._held.pop((event.scope, event.why.rpartition(": ")[0]), None)

    def _on_accepted(self, seq: int, event: RequestAccepted) -> None:  # noqa: ARG002
        self._running.add(event.request)

    def _on_outcome(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        self._running.discard(event.request)
        self._caught.discard(event.request)
        if event.status == "cancelled":
            return
        counts = self._before
        if self._began is not None:
            if not 0.0 <= event.at_s - self._clear_at - SETTLE_S <= MEASURE_S:
                return
            counts = self._after
        counts[0] += 1
        counts[1] += event.status == "ok"

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
        if chance_of_as_few(again, m, ok, n) >= CHANCE:
            return None
        said = f"{again / m:.0%} succeed long after the last fault, before the first {ok / n:.0%}"
        return self.broken("goodput", said, self._began, self._quiet, here)


def chance_of_as_few(few: int, of: int, others: int, among: int) -> float:
    """How likely at most `few` of `of` are successes, if they are as likely as `others` of `among`.

    Fisher's exact test, one-sided: every way to spread the same successes over both samples is
    equally likely, so those in the first follow the hypergeometric distribution.
    """
    total = few + others
    ways = _log_ways(of + among, total)
    return sum(
        math.exp(_log_ways(of, k) + _log_ways(among, total - k) - ways)
        for k in range(max(0, total - among), few + 1)
    )


def _log_ways(n: int, k: int) -> float:
    """The logarithm of the binomial coefficient."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
