"""Laws of what a provider states: its delays are floors, and the pauses of retries fit them."""

from __future__ import annotations

import math
from typing import Final

from understudy_actors.domain.events import (
    AttemptEnded,
    RequestOutcome,
    RetryScheduled,
)
from understudy_actors.domain.outcome import POLICY, HoldKind
from understudy_sim.check.gates import Gates
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Violation, Watch

_ROUNDING_S: Final = 1e-6
_ACCOUNT: Final = frozenset({HoldKind.CREDIT, HoldKind.AUTH})
_HOLDS: Final = {kind.value: policy.hold for kind, policy in POLICY.items() if policy.hold}


class StatedDelays(Watch):
    """S40. A later call's answer may shorten a hold; at the end of an attempt its own word counts.

    An end so far ahead that it is not believed is cut to what is.
    """

    name = "S40"
    claim = "a stated delay is a floor for the hold that follows and for a retry, and is passed on"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._gates = Gates()
        self._ended: dict[str, tuple[int, AttemptEnded]] = {}
        self.hears = {
            **self._gates.hears(),
            AttemptEnded: self._attempt_ended,
            RetryScheduled: self._scheduled,
            RequestOutcome: self._outcome,
        }

    def _attempt_ended(self, seq: int, event: AttemptEnded) -> Violation | None:
        stated_s = event.retry_after_s
        if not stated_s:
            self._ended.pop(event.request, None)
            return None
        self._ended[event.request] = here = seq, event
        kind, provider = _HOLDS.get(event.error or ""), provider_of(event.endpoint)
        if kind is None or provider in self._gates.down:
            return None
        until = event.at_s + min(stated_s, self.rules.hold_of(provider).stated_cap_s)
        scope = provider if kind in _ACCOUNT else event.endpoint
        held = self._gates.holds.get(scope, {}).get(kind.value)
        end = -math.inf if held is None else held[1].until
        if end >= until - _ROUNDING_S:
            return None
        said = f"{event.endpoint} said to wait {stated_s:g} s ({event.error}), and is not held"
        return self.broken("hold", f"{said} for so long", held, here)

    def _scheduled(self, seq: int, event: RetryScheduled) -> Violation | None:
        if event.why != "retry" or (ended := self._ended.get(event.request)) is None:
            return None
        stated_s = ended[1].retry_after_s or 0.0
        if ended[1].endpoint != event.endpoint or event.wait_s >= stated_s - _ROUNDING_S:
            return None
        said = (
            f"{event.request} waits {event.wait_s:.3f} s for {event.endpoint}, "
            f"which said {stated_s:g} s"
        )
        return self.broken("retry", said, ended, (seq, event))

    def _outcome(self, seq: int, event: RequestOutcome) -> Violation | None:
        ended = self._ended.pop(event.request, None) if self._ended else None
        if ended is None or event.status != "AllAttemptsFailed" or event.retry_at is not None:
            return None
        said = f"{event.request} is not told that {ended[1].endpoint} stated a delay"
        return self.broken("untold", said, ended, (seq, event))


class Pauses(Watch):
    """S34. Full jitter draws from zero on, so only a rule without it has a least pause."""

    name = "S34"
    claim = "a retry pauses as long as its provider's rule, its gates or its own delay say"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._gates = Gates()
        self._ended: dict[str, dict[str, tuple[int, AttemptEnded]]] = {}
        self._retries: dict[str, tuple[str, int]] = {}
        self.hears = {
            **self._gates.hears(),
            AttemptEnded: self._attempt_ended,
            RetryScheduled: self._scheduled,
            RequestOutcome: self._outcome,
        }

    def _attempt_ended(self, seq: int, event: AttemptEnded) -> None:
        self._ended.setdefault(event.request, {})[event.endpoint] = seq, event

    def _scheduled(self, seq: int, event: RetryScheduled) -> Violation | None:
        if event.why != "retry":
            return None
        endpoint, here = event.endpoint, (seq, event)
        before, count = self._retries.get(event.request, (endpoint, 0))
        number = count + 1 if before == endpoint else 1
        self._retries[event.request] = endpoint, number
        backoff = self.rules.retry_of(endpoint).backoff
        ceiling_s = backoff.ceiling_s(number)
        said = f"{event.request} waits {event.wait_s:.3f} s before retry {number} at {endpoint}"
        ended = self._ended.get(event.request, {}).get(endpoint)
        if not backoff.jitter and event.wait_s < ceiling_s - _ROUNDING_S:
            return self.broken("short", f"{said}, not {ceiling_s:g} s", ended, here)
        stated_s = 0.0 if ended is None else ended[1].retry_after_s or 0.0
        if event.wait_s <= max(ceiling_s, stated_s) + _ROUNDING_S or self._shut(endpoint, here):
            return None
        return self.broken("long", f"{said}: {ceiling_s:g} s is the most", ended, here)

    def _shut(self, endpoint: str, here: tuple[int, RetryScheduled]) -> bool:
        """Does a gate explain the pause, or may one whose end is not told?"""
        now, wait_s = here[1].at_s, here[1].wait_s
        gates, provider = self._gates, provider_of(endpoint)
        if provider in gates.down or not gates.proving.isdisjoint((endpoint, provider)):
            return True
        scopes = gates.scopes(endpoint)
        if any(s in gates.breakers and gates.breakers[s][1].target == "half-open" for s in scopes):
            return True
        end = gates.ends(endpoint, now)
        return end is not None and now + wait_s <= end + _ROUNDING_S

    def _outcome(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        self._ended.pop(event.request, None)
        if self._retries:
            self._retries.pop(event.request, None)
