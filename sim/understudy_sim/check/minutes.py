"""The law of an account's minute: the engine keeps a provider's limit before that has to refuse."""

from __future__ import annotations

from collections import deque

from understudy_actors.domain.events import AttemptDispatched, AttemptEnded
from understudy_actors.domain.outcome import ErrorClass
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Violation, Watch, Witness

SPAN_S = 60.0
_NOT_TAKEN = frozenset({ErrorClass.CONNECT.value, ErrorClass.RATE_LIMIT.value})


class Minutes(Watch):
    """S16, for requests; tokens are estimates until an answer is there.

    An attempt that could not connect, or that was refused for its rate, does not count.
    """

    name = "S16"
    claim = "no span of 60 s holds more requests to a provider than its configured limit"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._sent: dict[str, deque[Witness]] = {}
        self.hears = {AttemptDispatched: self._dispatched, AttemptEnded: self._ended}

    def _dispatched(self, seq: int, event: AttemptDispatched) -> Violation | None:
        provider = provider_of(event.endpoint)
        limit = self.rules.minutes.get(provider)
        if limit is None:
            return None
        sent = self._sent.setdefault(provider, deque())
        while sent and sent[0][1].at_s <= event.at_s - SPAN_S:
            sent.popleft()
        sent.append((seq, event))
        if len(sent) <= limit:
            return None
        said = f"{provider} was sent {len(sent)} requests within a minute, and {limit} are allowed"
        return self.broken("requests", said, sent[0], sent[-1])

    def _ended(self, seq: int, event: AttemptEnded) -> None:  # noqa: ARG002
        sent = self._sent.get(provider_of(event.endpoint))
        if sent and event.error in _NOT_TAKEN:
            reached = (w for w in sent if getattr(w[1], "attempt", None) != event.attempt)
            self._sent[provider_of(event.endpoint)] = deque(reached)
