"""Laws of one request: accepted, asked for, answered once, in time."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from msgspec.structs import replace

from understudy_actors.dispatcher.retry import RetryRule
from understudy_actors.domain.collapse_events import RequestJoined
from understudy_actors.domain.events import (
    AttemptAdmitted,
    AttemptDispatched,
    AttemptEnded,
    Event,
    FailedOver,
    RequestAccepted,
    RequestOutcome,
    RetryScheduled,
)
from understudy_actors.domain.hedge_events import HedgeLaunched
from understudy_actors.domain.outcome import POLICY, ErrorClass, Verdict
from understudy_sim.check.agenda import Agenda
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch, Witness

RECENT: Final = 4096
"""So many requests that ended are remembered, to notice whoever comes back."""
_NO_BLAME: Final = frozenset({Verdict.NEUTRAL.value, Verdict.VOID.value})
_OK: Final = Verdict.OK.value


def rule_allows(rule: RetryRule, error: str | None) -> bool:
    """May the same endpoint be asked again after this error?"""
    kind = ErrorClass(error) if error is not None else ErrorClass.INTERNAL
    return POLICY[kind].here if rule.on is None else kind in rule.on


class OneOutcome(Watch):
    """S4."""

    name = "S4"
    claim = "an accepted request has exactly one outcome, and nothing of it is admitted after that"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._live: dict[str, Witness] = {}
        self._over: OrderedDict[str, Witness] = OrderedDict()
        self.hears = {
            RequestAccepted: self._accepted,
            AttemptAdmitted: self._admitted,
            RequestOutcome: self._ended,
        }

    def _accepted(self, seq: int, event: RequestAccepted) -> Violation | None:
        before = self._live.get(event.request)
        self._live[event.request] = here = seq, event
        # An id given by the caller may be used again once its first request is over.
        self._over.pop(event.request, None)
        if before is not None:
            return self.broken("twice", f"{event.request} was accepted twice", before, here)
        return None

    def _admitted(self, seq: int, event: AttemptAdmitted) -> Violation | None:
        if self._over and event.request not in self._live and event.request in self._over:
            over = self._over[event.request]
            said = f"{event.request} was admitted at {event.endpoint} after its outcome"
            return self.broken("admitted after", said, over, (seq, event))
        return None

    def _ended(self, seq: int, event: RequestOutcome) -> Violation | None:
        request, over = event.request, self._over
        here = seq, event
        accepted = self._live.pop(request, None)
        if accepted is None and request in over:
            return self.broken("two outcomes", f"{request} ended twice", over[request], here)
        over[request] = here
        if len(over) > RECENT:
            over.popitem(last=False)
        return None

    def end(self) -> Violation | None:
        """Whoever was accepted has an answer."""
        if not self._live:
            return None
        request, accepted = next(iter(self._live.items()))
        said = f"{request} and {len(self._live) - 1} others were never answered"
        return self.broken("no outcome", said, accepted)


class _Asked:
    """Whom a request asked so far."""

    __slots__ = ("count", "ended", "endpoint", "here", "last", "left", "most", "pause")

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0
        self.endpoint = ""
        self.here = 0
        self.left: set[str] | None = None
        self.last: Witness | None = None
        self.ended: tuple[int, AttemptEnded] | None = None
        self.pause: tuple[int, RetryScheduled] | None = None


class Attempts(Watch):
    """S10. Going back to whom it left is never allowed; staying is, within the retry rule."""

    name = "S10"
    claim = "a request makes no more attempts than allowed, and repeats one only after its pause"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._live: dict[str, _Asked] = {}
        self.hears = {
            RequestAccepted: self._accepted,
            AttemptAdmitted: self._admitted,
            AttemptEnded: self._attempt_ended,
            RetryScheduled: self._scheduled,
            RequestOutcome: self._ended,
        }

    def _accepted(self, seq: int, event: RequestAccepted) -> None:  # noqa: ARG002
        self._live[event.request] = _Asked(event.max_attempts or self.rules.max_attempts)

    def _ended(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        self._live.pop(event.request, None)

    def _attempt_ended(self, seq: int, event: AttemptEnded) -> None:
        """Of two copies that failed, each speaks for its own endpoint."""
        asked = self._live.get(event.request)
        if event.verdict != _OK and asked is not None and asked.endpoint == event.endpoint:
            asked.ended = seq, event

    def _scheduled(self, seq: int, event: RetryScheduled) -> None:
        if event.why == "retry" and (asked := self._live.get(event.request)) is not None:
            asked.pause = seq, event

    def _admitted(self, seq: int, event: AttemptAdmitted) -> Violation | None:
        asked = self._live.get(event.request)
        if asked is None:
            return None
        before, asked.last = asked.last, (seq, event)
        asked.count += 1
        endpoint = event.endpoint
        if asked.count > asked.most:
            said = f"{event.request} made attempt {asked.count} of at most {asked.most}"
            return self.broken("too many", said, before, asked.last)
        if endpoint == asked.endpoint:
            return self._again(asked, before, asked.last, event)
        if asked.left is None:
            asked.left = set()
        elif endpoint in asked.left:
            said = f"{event.request} went back to {endpoint}, which it had left"
            return self.broken("went back", said, before, asked.last)
        asked.left.add(endpoint)
        asked.endpoint, asked.here, asked.pause = endpoint, 0, None
        return None

    def _again(
        self, asked: _Asked, before: Witness | None, here: Witness, event: AttemptAdmitted
    ) -> Violation | None:
        """The same endpoint once more: after a pause, for an error that allows it, not for ever."""
        who = f"{event.request} asked {event.endpoint} again"
        pause, asked.pause = asked.pause, None
        asked.here += 1
        if pause is None:
            return self.broken("no pause", f"{who} without a pause", before, here)
        until = pause[1].at_s + pause[1].wait_s
        if event.at_s < until - 1e-6:
            left = until - event.at_s
            return self.broken("short pause", f"{who} {left:.3f} s before its pause", pause, here)
        rule = self.rules.retry_of(event.endpoint)
        if asked.here > rule.attempts:
            said = f"{who} for retry {asked.here} of at most {rule.attempts}"
            return self.broken("too many retries", said, before, here)
        ended = asked.ended
        if ended is None or rule_allows(rule, ended[1].error):
            return None
        return self.broken("error", f"{who} after {ended[1].error}", ended, here)


class InTime(Watch):
    """S11."""

    name = "S11"
    claim = "a deadline is what the caller allows; nothing is sent at it, and no outcome is late"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._live: Agenda[tuple[int, RequestAccepted]] = Agenda(rules.late_s)
        self.hears = {
            RequestAccepted: self._accepted,
            RequestJoined: self._joined,
            AttemptDispatched: self._dispatched,
            RetryScheduled: self._scheduled,
            RequestOutcome: self._ended,
        }

    def _joined(self, seq: int, event: RequestJoined) -> None:  # noqa: ARG002
        """A shared call may take as long as any of those who wait for it."""
        accepted = self._live.get(event.shared)
        if accepted is not None and accepted[1].deadline < event.deadline:
            longer = accepted[0], replace(accepted[1], deadline=event.deadline)
            self._live.add(event.shared, event.deadline, longer)
            self.due = self._live.due

    def _accepted(self, seq: int, event: RequestAccepted) -> Violation | None:
        self._live.add(event.request, event.deadline, (seq, event))
        self.due = self._live.due
        allowed_s, given_s = event.timeout_s, event.deadline - event.at_s
        if allowed_s is None or abs(given_s - allowed_s) <= 1e-6:
            return None
        said = f"{event.request} may take {allowed_s:g} s, and its deadline gives it {given_s:g} s"
        return self.broken("deadline", said, (seq, event))

    def _ended(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        self._live.drop(event.request)

    def _dispatched(self, seq: int, event: AttemptDispatched) -> Violation | None:
        accepted = self._live.get(event.request)
        if accepted is None or event.at_s < accepted[1].deadline:
            return None
        late = event.at_s - accepted[1].deadline
        said = f"{event.request} was sent to {event.endpoint} {late:.3f} s after its deadline"
        return self.broken("dispatched", said, accepted, (seq, event))

    def _scheduled(self, seq: int, event: RetryScheduled) -> Violation | None:
        accepted = self._live.get(event.request)
        if accepted is None or event.at_s + event.wait_s <= accepted[1].deadline + 1e-6:
            return None
        said = f"{event.request} waits {event.wait_s:.3f} s, beyond its deadline"
        return self.broken("waits", said, accepted, (seq, event))

    def late(self, seq: int, event: Event) -> Violation | None:
        """Somebody is not answered although the deadline has passed."""
        late = self._live.overdue(event.at_s)
        self.due = self._live.due
        for request, accepted in late:
            said = f"{request} has no outcome although its deadline has passed"
            return self.broken("unanswered", said, accepted, (seq, event))
        return None


class AfterTheAnswer(Watch):
    """S17 for whole answers: the commit is the attempt's success. `OneVoice` is for streams."""

    name = "S17"
    claim = "once an attempt has succeeded, nothing else of its request is admitted"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._answered: dict[str, Witness] = {}
        self.hears = {
            AttemptEnded: self._attempt_ended,
            AttemptAdmitted: self._admitted,
            RequestOutcome: self._ended,
        }

    def _attempt_ended(self, seq: int, event: AttemptEnded) -> None:
        if event.verdict == _OK:
            self._answered[event.request] = seq, event

    def _admitted(self, seq: int, event: AttemptAdmitted) -> Violation | None:
        answer = self._answered.get(event.request)
        if answer is None:
            return None
        said = f"{event.request} was answered, and asked {event.endpoint} all the same"
        return self.broken("admitted", said, answer, (seq, event))

    def _ended(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        self._answered.pop(event.request, None)


class OwnDoing(Watch):
    """S19. Of two copies one is called off by us, and the request goes on with the other."""

    name = "S19"
    claim = "what we did ourselves blames no provider and moves no request on"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._local: dict[str, Witness] = {}
        self._copied: set[str] = set()
        self.hears = {
            HedgeLaunched: self._hedged,
            AttemptEnded: self._attempt_ended,
            AttemptAdmitted: self._went_on,
            FailedOver: self._went_on,
            RequestOutcome: self._ended,
        }

    def _hedged(self, seq: int, event: HedgeLaunched) -> None:  # noqa: ARG002
        self._copied.add(event.request)

    def _attempt_ended(self, seq: int, event: AttemptEnded) -> Violation | None:
        if event.origin != "local":
            return None
        here = seq, event
        if event.request in self._copied:
            self._copied.discard(event.request)
        else:
            self._local[event.request] = here
        if event.verdict in _NO_BLAME:
            return None
        said = f"{event.endpoint} got the verdict {event.verdict} for what we did ourselves"
        return self.broken("blamed", said, here)

    def _went_on(self, seq: int, event: AttemptAdmitted | FailedOver) -> Violation | None:
        cause = self._local.get(event.request) if self._local else None
        if cause is None:
            return None
        said = f"{event.request} went on after an end of our own doing"
        return self.broken("went on", said, cause, (seq, event))

    def _ended(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        if self._copied:
            self._copied.discard(event.request)
        if self._local:
            self._local.pop(event.request, None)
