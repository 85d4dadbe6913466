"""The law of a minute: the engine keeps a provider's limits before that has to refuse."""

from __future__ import annotations

from collections import deque

import attrs

from understudy_actors.domain.events import AttemptDispatched, AttemptEnded
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.rates import RateRule
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Violation, Watch, Witness
from understudy_sim.world_events import Counted

SPAN_S = 60.0
_NOT_TAKEN = frozenset({ErrorClass.CONNECT.value, ErrorClass.RATE_LIMIT.value})


@attrs.define(eq=False, slots=True)
class _Minute:
    """What a scope saw within the last minute, oldest first."""

    seen: deque[tuple[int, Witness]] = attrs.Factory(deque)
    total: int = 0

    def add(self, amount: int, here: Witness) -> Witness:
        """Count it; returns the oldest that still counts."""
        self.seen.append((amount, here))
        self.total += amount
        while self.seen[0][1][1].at_s <= here[1].at_s - SPAN_S:
            self.total -= self.seen.popleft()[0]
        return self.seen[0][1]

    def forget(self, attempt: int) -> None:
        """An attempt does not count after all."""
        kept = [w for w in self.seen if getattr(w[1][1], "attempt", None) != attempt]
        self.seen, self.total = deque(kept), sum(amount for amount, _ in kept)


class Minutes(Watch):
    """S16: requests by what the engine sends, and everything by what the provider itself counts.

    An attempt that could not connect, or that was refused for its rate, does not count. Tokens are
    judged where an answer has a bound: see `Rules.minutes`.
    """

    name = "S16"
    claim = "no span of 60 s holds more requests or tokens than a provider's or a model's limit"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._minutes: dict[tuple[str, str], _Minute] = {}
        self.hears = {
            AttemptDispatched: self._dispatched,
            AttemptEnded: self._ended,
            Counted: self._counted,
        }

    def _dispatched(self, seq: int, event: AttemptDispatched) -> Violation | None:
        for scope, rule in self._rules(event.endpoint):
            found = self._add(scope, "sent", 1, rule.requests, (seq, event))
            if found is not None:
                return found
        return None

    def _ended(self, seq: int, event: AttemptEnded) -> None:  # noqa: ARG002
        if event.error in _NOT_TAKEN:
            for scope, _ in self._rules(event.endpoint):
                if (minute := self._minutes.get((scope, "sent"))) is not None:
                    minute.forget(event.attempt)

    def _counted(self, seq: int, event: Counted) -> Violation | None:
        here = seq, event
        for scope, rule in self._rules(f"{event.provider}/{event.model}"):
            total = event.input_tokens + event.output_tokens
            amounts = (
                ("requests", 1, rule.requests),
                ("tokens", total, rule.tokens),
                ("input tokens", event.input_tokens, rule.input_tokens),
                ("output tokens", event.output_tokens, rule.output_tokens),
            )
            for what, amount, most in amounts:
                if (found := self._add(scope, what, amount, most, here)) is not None:
                    return found
        return None

    def _rules(self, endpoint: str) -> list[tuple[str, RateRule]]:
        rules = self.rules.minutes
        scopes = (provider_of(endpoint), endpoint) if rules else ()
        return [(scope, rules[scope]) for scope in scopes if scope in rules]

    def _add(
        self, scope: str, what: str, amount: int, most: int | None, here: Witness
    ) -> Violation | None:
        if most is None:
            return None
        minute = self._minutes.setdefault((scope, what), _Minute())
        first = minute.add(amount, here)
        if minute.total <= most:
            return None
        if what == "sent":
            said = f"{scope} was sent {minute.total} requests within a minute"
            return self.broken("requests", f"{said}, and {most} are allowed", first, here)
        said = f"{scope} counted {minute.total} {what} within a minute, and {most} are allowed"
        return self.broken(what, said, first, here)
