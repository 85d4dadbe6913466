"""Laws of second copies: few, elsewhere, and never won by an error.

A whole answer wins by its end, a stream by its beginning: then it is still running, and its end may
be bad without anybody having lost an answer.
"""

from __future__ import annotations

from typing import Final

import attrs

from understudy_actors.dispatcher.hedge import HedgeRule
from understudy_actors.domain.candidate import FirstTokenRule
from understudy_actors.domain.events import (
    ActorCrashed,
    ActorRestarted,
    AttemptAdmitted,
    AttemptEnded,
    RequestAccepted,
    RequestOutcome,
    RetryToken,
)
from understudy_actors.domain.hedge_events import HedgeLaunched, HedgeWon
from understudy_actors.domain.outcome import Verdict
from understudy_actors.domain.stream_events import AttemptCommitted
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Violation, Watch, Witness

_OK: Final = Verdict.OK.value
_ANSWERED: Final = frozenset({"ok", "degraded"})
_GONE: Final = frozenset({"cancelled", "ShuttingDown"})
_ROUNDING: Final = 1e-6
_FIRST_TOKEN: Final = FirstTokenRule()


@attrs.define(slots=True, eq=False)
class _Copies:
    """Attempts of one request: those in flight, the hedge, and who answered or won."""

    running: dict[int, tuple[int, AttemptAdmitted]] = attrs.Factory(dict)
    second: int | None = None  # admitted beside another one, not yet said to be a copy
    launched: tuple[int, HedgeLaunched] | None = None
    answered: dict[int, Witness] = attrs.Factory(dict)
    called_off: Witness | None = None
    streams: bool = False
    committed: Witness | None = None
    won: tuple[int, HedgeWon] | None = None


class Hedges(Watch):
    """S21."""

    name = "S21"
    claim = "one copy at most, elsewhere, while the first is silent; only an answer wins; all end"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._live: dict[str, _Copies] = {}
        self.hears = {
            RequestAccepted: self._accepted,
            AttemptAdmitted: self._admitted,
            HedgeLaunched: self._launched,
            AttemptCommitted: self._committed,
            AttemptEnded: self._attempt_ended,
            HedgeWon: self._won,
            RequestOutcome: self._outcome,
        }

    def _accepted(self, seq: int, event: RequestAccepted) -> None:  # noqa: ARG002
        if event.streams:
            self._live[event.request] = _Copies(streams=True)

    def _admitted(self, seq: int, event: AttemptAdmitted) -> None:
        copies = self._live.get(event.request)
        if copies is None:
            copies = self._live[event.request] = _Copies()
        elif copies.running:
            copies.second = event.attempt
        copies.running[event.attempt] = seq, event

    def _launched(self, seq: int, event: HedgeLaunched) -> Violation | None:
        copies, here = self._live.get(event.request), (seq, event)
        if copies is None or event.attempt not in copies.running:
            return self.broken("unknown", f"{event.request} hedges by no attempt of its own", here)
        before, copies.launched, copies.second = copies.launched, here, None
        who = f"the second copy of {event.request}"
        if before is not None:
            return self.broken("twice", f"{event.request} was hedged twice", before, here)
        answer = next(iter(copies.answered.values()), copies.committed)
        if answer is not None:
            return self.broken("late", f"{who} went out after an answer", answer, here)
        first = next((each for n, each in copies.running.items() if n != event.attempt), None)
        if first is None:
            return self.broken("alone", f"{who} races nobody", here)
        if provider_of(first[1].endpoint) == provider_of(event.endpoint):
            said = f"{who} went to {event.endpoint}, where the first is"
            return self.broken("together", said, first, here)
        domain = self._domain(event.endpoint)
        if domain is not None and domain == self._domain(first[1].endpoint):
            return self.broken("together", f"{who} fails with the first: {domain}", first, here)
        rule = self._rule(first[1].endpoint, streams=copies.streams)
        silent_s = event.at_s - first[1].at_s
        if silent_s < event.after_s - _ROUNDING or event.after_s < rule.floor_s - _ROUNDING:
            return self.broken("early", f"{who} went out after {silent_s:.3f} s", first, here)
        if event.after_s > rule.ceiling_s + _ROUNDING:
            return self.broken("slow", f"{who} waited {event.after_s:.3f} s", first, here)
        return None

    def _domain(self, endpoint: str) -> str | None:
        found = (each.failure_domain for each in self.rules.fleet if each.name == endpoint)
        return next(found, None)

    def _rule(self, endpoint: str, *, streams: bool) -> HedgeRule | FirstTokenRule:
        if not streams:
            return self.rules.hedge
        found = (each.stream.hedge for each in self.rules.fleet if each.name == endpoint)
        return next(found, _FIRST_TOKEN)

    def _committed(self, seq: int, event: AttemptCommitted) -> Violation | None:
        copies = self._live.get(event.request)
        if copies is None or event.delivered_chars:
            return None
        here = copies.committed = seq, event
        if copies.launched is None:
            return None
        if copies.won is None:
            if len(copies.running) > 1:
                said = f"{event.endpoint} is delivered to {event.request} while its copy runs"
                return self.broken("undecided", said, copies.launched, here)
            return None
        if copies.won[1].attempt != event.attempt:
            said = f"{event.endpoint} is delivered to {event.request}, and did not win"
            return self.broken("loser", said, copies.won, here)
        loser = next((each for n, each in copies.running.items() if n != event.attempt), None)
        if loser is not None:
            said = f"{event.request} is being delivered, and its other copy was not called off"
            return self.broken("both", said, loser, here)
        return None

    def _attempt_ended(self, seq: int, event: AttemptEnded) -> Violation | None:
        copies = self._live.get(event.request)
        if copies is None:
            return None
        copies.running.pop(event.attempt, None)
        if event.verdict == _OK:
            copies.answered[event.attempt] = seq, event
        elif event.origin == "local":
            copies.called_off = seq, event
        if copies.second == event.attempt:
            copies.second = None
            said = f"{event.request} asked {event.endpoint} beside another, and hedged nothing"
            return self.broken("unsaid", said, (seq, event))
        return None

    def _won(self, seq: int, event: HedgeWon) -> Violation | None:
        copies, here = self._live.get(event.request), (seq, event)
        if copies is None or copies.launched is None:
            return self.broken("no race", f"{event.request} won a race that there was not", here)
        copies.won = here
        begun = copies.streams and event.attempt in copies.running
        if event.attempt not in copies.answered and not begun:
            said = f"{event.endpoint} won for {event.request} without an answer"
            return self.broken("error won", said, copies.launched, here)
        return None

    def _outcome(self, seq: int, event: RequestOutcome) -> Violation | None:
        copies = self._live.pop(event.request, None)
        if copies is None or copies.launched is None:
            return None
        here = seq, event
        if copies.running:
            left = next(iter(copies.running.values()))
            return self.broken("runs on", f"a copy of {event.request} outlives it", left, here)
        if copies.streams and copies.won is not None:
            return None  # how it went on is the business of other laws
        if copies.called_off and not copies.answered and event.status not in _GONE:
            said = f"{event.request} had a copy called off, and none was answered"
            return self.broken("error won", said, copies.called_off, here)
        if copies.answered and event.status not in _ANSWERED | _GONE:
            answer = next(iter(copies.answered.values()))
            said = f"{event.request} ended as {event.status} although a copy was answered"
            return self.broken("answer lost", said, answer, here)
        return None


class HedgeBudgets(Watch):
    """Part of S12. The bucket starts full, so it is never emptier than the engine's own."""

    name = "S12"
    claim = "second copies stay within their share of the requests and their number at once"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._tokens = rules.hedge.burst
        self._running: set[int] = set()
        self._paid: str | None = None
        self.hears = {
            RequestAccepted: self._accepted,
            RetryToken: self._token,
            HedgeLaunched: self._launched,
            AttemptEnded: self._attempt_ended,
            ActorCrashed: self._crashed,
            ActorRestarted: self._restarted,
        }

    def _accepted(self, seq: int, event: RequestAccepted) -> None:  # noqa: ARG002
        rule = self.rules.hedge
        self._tokens = min(rule.burst, self._tokens + rule.share)

    def _token(self, seq: int, event: RetryToken) -> None:  # noqa: ARG002
        self._paid = event.request

    def _launched(self, seq: int, event: HedgeLaunched) -> Violation | None:
        rule, here = self.rules.hedge, (seq, event)
        self._tokens -= 1.0
        self._running.add(event.attempt)
        paid, self._paid = self._paid, None
        if self._tokens < -_ROUNDING:
            self._tokens = 0.0
            said = f"{event.request} was hedged from a budget that must have been empty"
            return self.broken("copies", said, here)
        if len(self._running) > rule.concurrent:
            said = f"{len(self._running)} second copies at once, and {rule.concurrent} are allowed"
            return self.broken("at once", said, here)
        if paid != event.request:
            return self.broken("unpaid", f"{event.request} was hedged without a token", here)
        return None

    def _attempt_ended(self, seq: int, event: AttemptEnded) -> None:  # noqa: ARG002
        if self._running:
            self._running.discard(event.attempt)

    def _crashed(self, seq: int, event: ActorCrashed) -> None:  # noqa: ARG002
        if event.actor == "dispatcher":  # copies in flight are not counted by its successor
            self._running.clear()

    def _restarted(self, seq: int, event: ActorRestarted) -> None:  # noqa: ARG002
        if event.actor == "dispatcher":
            self._tokens = self.rules.hedge.burst
