"""Laws of retries and failovers in bulk: budgets bound them, and failures never look good."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import attrs

from understudy_actors.dispatcher.retry import GuardRule
from understudy_actors.domain.events import (
    ActorRestarted,
    AttemptEnded,
    BreakerMoved,
    Decided,
    RequestAccepted,
    RequestOutcome,
    RetryScheduled,
    RetryToken,
    ScoreSet,
)
from understudy_actors.domain.outcome import Verdict
from understudy_sim.check.gates import ACTOR
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Hears, Violation, Watch, Witness

_OK: Final = Verdict.OK.value
_FAIL: Final = Verdict.FAIL.value
_ROUNDING: Final = 1e-6


class RetryTokens(Watch):
    """Part of S12. A bucket that starts full, and then holds what was told to be left of it.

    A request pays in with its first decision. That is told a little later, or much later if it
    waited for the dispatcher meanwhile: whoever is undecided may have paid in already.
    """

    name = "S12"
    claim = "retries on the same endpoint stay within 20 + 0.2 · accepted + 0.2 · seconds"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._tokens = rules.budget_cap
        self._as_of: float | None = None
        self._paid: dict[str, int] = {}
        self._undecided: set[str] = set()
        self.hears = {
            RequestAccepted: self._accepted,
            Decided: self._decided,
            RetryToken: self._token,
            RetryScheduled: self._scheduled,
            RequestOutcome: self._ended,
            ActorRestarted: self._restarted,
        }

    def _accepted(self, seq: int, event: RequestAccepted) -> None:  # noqa: ARG002
        self._undecided.add(event.request)

    def _decided(self, seq: int, event: Decided) -> None:  # noqa: ARG002
        self._pays_in(event.request)

    def _pays_in(self, request: str) -> None:
        if request in self._undecided:
            self._undecided.discard(request)
            self._tokens = min(self.rules.budget_cap, self._tokens + self.rules.budget_ratio)

    def _token(self, seq: int, event: RetryToken) -> Violation | None:
        rules, now = self.rules, event.at_s
        if self._as_of is not None:
            gained = max(0.0, now - self._as_of) * rules.budget_per_second
            self._tokens = min(rules.budget_cap, self._tokens + gained)
        self._as_of = now
        self._paid[event.request] = self._paid.get(event.request, 0) + 1
        self._tokens -= 1.0
        pending = len(self._undecided) * rules.budget_ratio
        if -_ROUNDING <= event.left <= self._tokens + pending + _ROUNDING:
            self._tokens = event.left
            return None
        self._tokens = 0.0
        said = f"{event.request} took a retry token from a budget that must have been empty"
        return self.broken("overdrawn", said, (seq, event))

    def _scheduled(self, seq: int, event: RetryScheduled) -> Violation | None:
        if event.why != "retry":
            return None
        paid = self._paid.pop(event.request, 0)
        if paid > 1:
            self._paid[event.request] = paid - 1
        if paid:
            return None
        said = f"{event.request} retries {event.endpoint} without a token of the budget"
        return self.broken("unpaid", said, (seq, event))

    def _ended(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        self._pays_in(event.request)  # it may have, before its caller left
        if self._paid:
            self._paid.pop(event.request, None)

    def _restarted(self, seq: int, event: ActorRestarted) -> None:  # noqa: ARG002
        if event.actor == "dispatcher":  # a fresh budget
            self._tokens = self.rules.budget_cap


@attrs.define(slots=True, eq=False)
class Guards:
    """Upper bounds of the failover guard's buckets, from the verdicts that reached them.

    An endpoint that is isolated or disabled may be reset without a word: nothing is known of it
    until it is back.
    """

    rule: GuardRule | None
    _tokens: dict[str, float] = attrs.Factory(dict)
    _fell: dict[str, Witness] = attrs.Factory(dict)
    _unsure: set[str] = attrs.Factory(set)

    def hears(self) -> Hears:
        """What it needs to hear."""
        return {ScoreSet: self.scored, BreakerMoved: self.moved, ActorRestarted: self.restarted}

    def scored(self, seq: int, event: ScoreSet) -> None:
        """A verdict reached a bucket."""
        rule = self.rule
        if rule is None:
            return
        endpoint, cause = event.endpoint, event.cause
        if cause == _FAIL:
            tokens = self._tokens.get(endpoint, rule.cap)
            self._tokens[endpoint] = after = max(0.0, tokens - rule.fail)
            if after <= rule.floor < tokens:
                self._fell[endpoint] = seq, event
        elif cause == _OK and endpoint in self._tokens:
            self._tokens[endpoint] = after = self._tokens[endpoint] + rule.ok
            if after > rule.floor:
                self._fell.pop(endpoint, None)
            if after >= rule.cap:
                del self._tokens[endpoint]

    def moved(self, seq: int, event: BreakerMoved) -> None:  # noqa: ARG002
        """A reset fills the bucket; it leaves no trace while a breaker is isolated or disabled."""
        if event.why == "reset":
            self._forget(event.scope)
            self._unsure.discard(event.scope)
        elif event.why in ("enabled", "isolated", "disabled"):
            self._forget(event.scope)
            self._unsure.add(event.scope)

    def restarted(self, seq: int, event: ActorRestarted) -> None:  # noqa: ARG002
        """Its last second is forgotten."""
        name = event.actor.removeprefix(ACTOR)
        for endpoint in [each for each in self._tokens if provider_of(each) == name]:
            self._forget(endpoint)
            self._unsure.add(endpoint)

    def _forget(self, endpoint: str) -> None:
        self._tokens.pop(endpoint, None)
        self._fell.pop(endpoint, None)

    def low_since(self, endpoint: str) -> Witness | None:
        """What took its bucket to the floor, if it is certainly there."""
        return self._fell.get(endpoint) if self._fell else None

    def lets_pass(self, endpoint: str) -> bool:
        """Is its bucket certainly above the floor?"""
        return endpoint not in self._fell and endpoint not in self._unsure


class FailoverGuard(Watch):
    """Part of S12."""

    name = "S12"
    claim = "nobody fails over onto an endpoint that fails too often"
    learned: ClassVar[bool] = True

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._guards = Guards(rules.guard)
        self._tried: dict[str, set[str]] = {}
        self._disabled: set[str] = set()
        self.hears = {
            **self._guards.hears(),
            BreakerMoved: self._moved,
            AttemptEnded: self._attempt_ended,
            RequestOutcome: self._ended,
            Decided: self._decided,
        }

    def _moved(self, seq: int, event: BreakerMoved) -> None:
        self._guards.moved(seq, event)
        if event.target == "disabled":
            self._disabled.add(event.scope)
        else:
            self._disabled.discard(event.scope)

    def _attempt_ended(self, seq: int, event: AttemptEnded) -> None:  # noqa: ARG002
        if event.verdict != _OK:
            self._tried.setdefault(event.request, set()).add(event.endpoint)

    def _ended(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        if self._tried:
            self._tried.pop(event.request, None)

    def _decided(self, seq: int, event: Decided) -> Violation | None:
        tried = self._tried.get(event.request) if self._tried else None
        if tried is None:
            return None
        for endpoint in event.ranked:
            fell = self._guards.low_since(endpoint)
            if fell is None or endpoint in tried or endpoint in self._disabled:
                continue
            # A verdict of the same moment may have come after the decision, which is told late.
            if fell[1].at_s < event.at_s:
                said = f"{event.request} may fail over onto {endpoint}, which fails too often"
                return self.broken("guard", said, fell, (seq, event))
        return None


class Scores(Watch):
    """S28."""

    name = "S28"
    claim = "a failure never makes an endpoint look better"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self.hears = {ScoreSet: self._scored}

    def _scored(self, seq: int, event: ScoreSet) -> Violation | None:
        if event.cause == _OK:
            return None
        success, latency = event.success_before, event.latency_before_s
        if success is not None and event.success > success + _ROUNDING:
            said = f"{event.endpoint} looks more reliable after {event.cause}"
            return self.broken("success", said, (seq, event))
        if latency is not None and event.latency_s < latency * (1 - _ROUNDING) - _ROUNDING:
            said = f"{event.endpoint} looks faster after {event.cause}"
            return self.broken("latency", said, (seq, event))
        if not (math.isfinite(event.success) and math.isfinite(event.latency_s)):
            return self.broken(
                "number", f"the score of {event.endpoint} is no number", (seq, event)
            )
        return None
