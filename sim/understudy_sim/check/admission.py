"""Laws of admission: nobody passes a shut gate, and no gate refuses without a reason."""

from __future__ import annotations

import math
from typing import Final

from understudy_actors.domain.candidate import ONLY_BUSY
from understudy_actors.domain.events import (
    AttemptAdmitted,
    AttemptDispatched,
    AttemptEnded,
    AttemptRefused,
    BreakerMoved,
    Decided,
    HoldCleared,
    HoldSet,
    PermitReleased,
    PermitTaken,
    RequestOutcome,
    RetryScheduled,
)
from understudy_actors.domain.outcome import POLICY, HoldKind
from understudy_sim.check.gates import Gates
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Violation, Watch, Witness

DISPATCH_S: Final = 1.0
"""An admission must be used within this; later, the world it was given for is gone."""
_ACCOUNT: Final = {HoldKind.CREDIT.value, HoldKind.AUTH.value}
_TERMINAL: Final = frozenset(
    kind.value for kind, policy in POLICY.items() if policy.hold in (HoldKind.CREDIT, HoldKind.AUTH)
)


class NoPassing(Watch):
    """S1."""

    name = "S1"
    claim = "nobody is admitted through a breaker that is open or isolated, nor through a hold"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._gates = Gates()
        self._admitted: dict[int, tuple[int, AttemptAdmitted]] = {}
        self.hears = {
            **self._gates.hears(),
            AttemptAdmitted: self._on_admitted,
            AttemptDispatched: self._on_dispatched,
            AttemptEnded: self._on_ended,
        }

    def _on_admitted(self, seq: int, event: AttemptAdmitted) -> Violation | None:
        self._admitted[event.attempt] = here = seq, event
        gates, endpoint = self._gates, event.endpoint
        if gates.breakers and (moved := gates.breaker_against(endpoint)) is not None:
            state = moved[1].target
            said = f"attempt {event.attempt} was admitted at {endpoint}, whose breaker is {state}"
            return self.broken(state, said, moved, here)
        if gates.holds and (hold := gates.hold_against(endpoint, event.at_s)) is not None:
            why = hold[1].why
            said = f"attempt {event.attempt} was admitted at {endpoint}, which is held: {why}"
            return self.broken("held", said, hold, here)
        return None

    def _on_dispatched(self, seq: int, event: AttemptDispatched) -> Violation | None:
        admitted = self._admitted.pop(event.attempt, None)
        if admitted is None or event.at_s <= admitted[1].at_s + DISPATCH_S:
            return None
        waited = event.at_s - admitted[1].at_s
        said = f"attempt {event.attempt} was dispatched {waited:.3f} s after its admission"
        return self.broken("old permit", said, admitted, (seq, event))

    def _on_ended(self, seq: int, event: AttemptEnded) -> None:  # noqa: ARG002
        self._admitted.pop(event.attempt, None)


class Accounts(Watch):
    """S18."""

    name = "S18"
    claim = "an account that said it cannot pay or is not known gets nothing until its hold ends"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._gates = Gates()
        self._held: dict[str, dict[str, tuple[int, HoldSet]]] = {}
        self.hears = {
            **self._gates.hears(),
            HoldSet: self._on_held,
            HoldCleared: self._on_cleared,
            AttemptEnded: self._on_ended,
            AttemptDispatched: self._on_dispatched,
        }

    def _on_held(self, seq: int, event: HoldSet) -> None:
        if event.why in _ACCOUNT:
            self._held.setdefault(event.scope, {})[event.why] = seq, event

    def _on_cleared(self, seq: int, event: HoldCleared) -> None:  # noqa: ARG002
        holds = self._held.get(event.scope)
        if holds is not None:
            holds.pop(event.why.rpartition(": ")[0], None)
            if not holds:
                del self._held[event.scope]

    def _on_ended(self, seq: int, event: AttemptEnded) -> Violation | None:
        if event.error not in _TERMINAL:
            return None
        provider = provider_of(event.endpoint)
        if provider in self._held or provider in self._gates.down:
            return None
        said = f"{event.endpoint} answered {event.error}, and account {provider} is not held"
        return self.broken("not held", said, (seq, event))

    def _on_dispatched(self, seq: int, event: AttemptDispatched) -> Violation | None:
        holds = self._held.get(provider_of(event.endpoint)) if self._held else None
        for hold in holds.values() if holds else ():
            if hold[1].until > event.at_s:
                said = f"attempt {event.attempt} went to {event.endpoint} while its account is held"
                return self.broken("dispatched", said, hold, (seq, event))
        return None


class NoPretext(Watch):
    """L2."""

    name = "L2"
    claim = "a breaker whose cooldown is over, and that has a probe to lend, refuses nobody"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._gates = Gates()
        self._probes: dict[str, set[int]] = {}
        self.hears = {
            **self._gates.hears(),
            BreakerMoved: self._on_moved,
            PermitTaken: self._on_taken,
            PermitReleased: self._on_released,
            Decided: self._on_decided,
            AttemptRefused: self._on_refused,
        }

    def _on_moved(self, seq: int, event: BreakerMoved) -> None:
        self._gates.moved(seq, event)
        self._probes.pop(event.scope, None)

    def _on_taken(self, seq: int, event: PermitTaken) -> None:  # noqa: ARG002
        if event.probe:
            self._probes.setdefault(event.scope, set()).add(event.permit)

    def _on_released(self, seq: int, event: PermitReleased) -> None:  # noqa: ARG002
        if self._probes and (probes := self._probes.get(event.scope)) is not None:
            probes.discard(event.permit)

    def _on_decided(self, seq: int, event: Decided) -> Violation | None:
        if not event.left_out or not self._gates.breakers:
            return None
        for endpoint, why in event.left_out.items():
            if why in ("open", "probing"):
                cause = self._pretext(endpoint, event.at_s)
                if cause is not None:
                    said = f"{event.request} was kept from {endpoint} ({why}) without a reason"
                    return self.broken(why, said, cause, (seq, event))
        return None

    def _on_refused(self, seq: int, event: AttemptRefused) -> Violation | None:
        if event.reason not in ("open", "probing"):
            return None
        cause = self._pretext(event.endpoint, event.at_s)
        if cause is None:
            return None
        said = f"{event.endpoint} refused {event.request} ({event.reason}) without a reason"
        return self.broken(event.reason, said, cause, (seq, event))

    def _pretext(self, endpoint: str, now: float) -> Witness | None:
        """The last move of a breaker that does not explain a refusal; None if another does."""
        gates, provider = self._gates, provider_of(endpoint)
        if provider in gates.down or not gates.proving.isdisjoint((endpoint, provider)):
            return None  # readings of one that is down are old; a hold may be probing
        last: Witness | None = None
        for scope in gates.scopes(endpoint):
            moved = gates.breakers.get(scope)
            if moved is None:
                continue
            event = moved[1]
            if event.target == "isolated":
                return None
            if event.target == "open":
                until = math.inf if event.until is None else event.until
                if now < until + self.rules.late_s:
                    return None
            elif event.target == "half-open":
                most = self.rules.breaker_of(scope).max_probes
                if len(self._probes.get(scope, ())) >= most:
                    return None
            if last is None or moved[0] > last[0]:
                last = moved
        return last


class RetryTimes(Watch):
    """S32. Decidable for the gates whose end the trace tells; a probe's lease it does not."""

    name = "S32"
    claim = "NoCandidate says when the first gate that refused ends"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._gates = Gates()
        self._decided: dict[str, tuple[int, Decided]] = {}
        self._refused: dict[str, dict[str, tuple[int, AttemptRefused]]] = {}
        self._waited: set[str] = set()  # in line, since the last decision
        self.hears = {
            **self._gates.hears(),
            Decided: self._on_decided,
            AttemptRefused: self._on_refused,
            RetryScheduled: self._on_waits,
            RequestOutcome: self._on_outcome,
        }

    def _on_decided(self, seq: int, event: Decided) -> None:
        if event.left_out:
            self._decided[event.request] = seq, event
        elif self._decided:
            self._decided.pop(event.request, None)
        if self._refused:
            self._refused.pop(event.request, None)
        if self._waited:
            self._waited.discard(event.request)

    def _on_waits(self, seq: int, event: RetryScheduled) -> None:  # noqa: ARG002
        self._waited.add(event.request)

    def _on_refused(self, seq: int, event: AttemptRefused) -> None:
        self._refused.setdefault(event.request, {})[event.endpoint] = seq, event

    def _on_outcome(self, seq: int, event: RequestOutcome) -> Violation | None:
        decided = self._decided.pop(event.request, None) if self._decided else None
        refused = self._refused.pop(event.request, None) if self._refused else None
        waited = event.request in self._waited
        self._waited.discard(event.request)
        if event.status != "NoCandidate":
            return None
        here: Witness = (seq, event)
        at = event.retry_at
        if at is not None and at < event.at_s - self.rules.late_s:
            said = f"{event.request} is told to try again at a time that has passed"
            return self.broken("past", said, decided, here)
        told = self._told(refused or {}, event.at_s, waited=waited)
        left_out = dict(decided[1].left_out) if decided is not None else {}
        left_out |= {name: each.reason for name, (_, each) in (refused or {}).items()}
        ends, sure = self._ends(left_out, event.at_s, told)
        first = min(ends, default=math.inf)
        if first == math.inf:
            return self._untold(decided, left_out, here) if at is None else None
        if at is None or at > first + self.rules.late_s:
            said = f"{event.request} is not told that a gate ends at {first:.3f} s"
            return self.broken("missing", said, decided, here)
        if sure and at < first - self.rules.late_s:
            said = f"{event.request} is told to try again before any gate ends"
            return self.broken("early", said, decided, here)
        return None

    def _told(
        self, refused: dict[str, tuple[int, AttemptRefused]], now: float, *, waited: bool
    ) -> dict[str, float]:
        """The ends that refusals told and that hold still.

        Somebody who is down stays down until then. Any other gate may have moved while the request
        `waited`: then only what the trace says of it counts.
        """
        return {
            endpoint: each.retry_at
            for endpoint, (_, each) in refused.items()
            if each.retry_at is not None
            and each.retry_at > now
            and (self._is_down(endpoint) if each.reason.startswith(_DOWN) else not waited)
        }

    def _untold(
        self, decided: tuple[int, Decided] | None, left_out: dict[str, str], here: Witness
    ) -> Violation | None:
        """Is somebody left out for a probe's sake, whose lease must have an end?"""
        if decided is None or decided[1].at_s != here[1].at_s:
            return None
        for endpoint, why in left_out.items():
            if why == "probing" and provider_of(endpoint) not in self._gates.down:
                said = f"nobody is told when the lease of the probe at {endpoint} ends"
                return self.broken("lease", said, decided, here)
        return None

    def _ends(
        self, left_out: dict[str, str], now: float, told: dict[str, float]
    ) -> tuple[list[float], bool]:
        """When the gates that left endpoints out end, and whether that is all of them."""
        ends = list(told.values())
        sure = True
        for endpoint, why in left_out.items():
            if endpoint in told:
                continue
            if why == "probing" or why.startswith(_DOWN) or self._hides_its_end(endpoint):
                sure = False
                continue
            if why not in _TIMED:
                continue
            end = self._gates.ends(endpoint, now)
            if end is None:
                sure = False  # it ended between the decision and the outcome, or was full
            elif end != math.inf:
                ends.append(end)
        return ends, sure

    def _hides_its_end(self, endpoint: str) -> bool:
        """Is it down, or may a lone probe have to prove that a hold is over?"""
        proving = self._gates.proving
        return self._is_down(endpoint) or not proving.isdisjoint((endpoint, provider_of(endpoint)))

    def _is_down(self, endpoint: str) -> bool:
        return provider_of(endpoint) in self._gates.down


_DOWN: Final = "its actor"
_TIMED: Final = {*ONLY_BUSY, "open", "isolated", *(kind.value for kind in HoldKind)}
