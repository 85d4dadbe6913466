"""The dispatcher's readings of gates, held against the gates themselves."""

from __future__ import annotations

from typing import Final

from understudy_actors.domain.events import (
    AttemptAdmitted,
    Decided,
    RequestOutcome,
    RetryScheduled,
)
from understudy_actors.domain.outcome import HoldKind
from understudy_sim.check import Rules, Violation, Watch
from understudy_sim.check.gates import Gates
from understudy_sim.check.rules import DEFAULT, provider_of
from understudy_sim.check.violation import Witness

_RATE: Final = HoldKind.RATE.value
"""Why a provider's hold keeps everybody out, and why its limits a minute do."""
_STATES: Final = {"open": "open", "probing": "half-open", "isolated": "isolated"}
_GATES: Final = frozenset({*_STATES, *(kind.value for kind in HoldKind)})


class Doors(Watch):
    """Whoever watches from the start knows every gate, so each word of the dispatcher counts.

    A retry goes back to its endpoint whatever the dispatcher reads.
    """

    name = "R8"
    claim = "an endpoint is ranked if its gates let it, and left out by a gate only if one is shut"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._gates = Gates()
        self._retries: set[str] = set()
        self.hears = {
            **self._gates.hears(),
            RetryScheduled: self._on_scheduled,
            AttemptAdmitted: self._on_settled,
            RequestOutcome: self._on_settled,
            Decided: self._on_decided,
        }

    def _on_scheduled(self, seq: int, event: RetryScheduled) -> None:  # noqa: ARG002
        if event.why == "retry":
            self._retries.add(event.request)

    def _on_settled(self, seq: int, event: AttemptAdmitted | RequestOutcome) -> None:  # noqa: ARG002
        if self._retries:
            self._retries.discard(event.request)

    def _on_decided(self, seq: int, event: Decided) -> Violation | None:
        if event.request in self._retries:
            return None
        for endpoint in event.ranked:
            shut = self._shut(endpoint, event.at_s)
            if shut is not None and provider_of(endpoint) not in self._gates.down:
                said = f"{event.request} may be sent to {endpoint}, whose gate is shut"
                return self.broken("ranked", said, shut, (seq, event))
        for endpoint, why in event.left_out.items():
            if why in _GATES and not self._explained(endpoint, why, event.at_s):
                said = f"{event.request} is kept from {endpoint} ({why}), whose gates are open"
                return self.broken("left out", said, (seq, event))
        return None

    def _shut(self, endpoint: str, now: float) -> Witness | None:
        """What certainly keeps everybody out: an open breaker, or a hold."""
        moved = self._gates.breaker_against(endpoint)
        if moved is not None and (moved[1].until is None or moved[1].until > now):
            return moved
        return self._gates.hold_against(endpoint, now)

    def _explained(self, endpoint: str, why: str, now: float) -> bool:
        gates, provider = self._gates, provider_of(endpoint)
        if provider in gates.down or not gates.proving.isdisjoint((endpoint, provider)):
            return True
        if why in _STATES:
            last = [gates.breakers.get(scope) for scope in gates.scopes(endpoint)]
            return any(each is not None and each[1].target == _STATES[why] for each in last)
        scopes = (endpoint, provider)
        if why == _RATE and any(gates.limits.get(scope, now) > now for scope in scopes):
            return True
        held = [each for scope in scopes for each in gates.holds.get(scope, {}).values()]
        return any(each.why == why and each.until > now for _, each in held)
