"""The law of shared calls: each of those who wait is answered, whoever has left."""

from __future__ import annotations

from typing import Final

import attrs

from understudy_actors.domain.collapse_events import RequestJoined
from understudy_actors.domain.events import AttemptAdmitted, Event, RequestOutcome
from understudy_sim.check.agenda import Agenda
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch

_GOOD: Final = frozenset({"ok", "degraded"})
_LEFT: Final = frozenset({"cancelled", "ShuttingDown"})
_OWN: Final = frozenset({"AllAttemptsFailed", "degraded", *_LEFT})
"""How one of those who wait may end before the call: it leaves, or its own deadline comes; then
something may stand in."""


@attrs.define(slots=True, eq=False)
class _Call:
    """A shared call: who waits for it, and how it ended."""

    waiting: dict[str, tuple[int, RequestJoined]] = attrs.Factory(dict)
    outcome: tuple[int, RequestOutcome] | None = None


class Shared(Watch):
    """L9."""

    name = "L9"
    claim = "a shared call ends for each who waits as it ends, whoever has left; it is booked once"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._calls: dict[str, _Call] = {}
        self._of: dict[str, str] = {}
        self._answers: Agenda[tuple[int, RequestJoined]] = Agenda(rules.late_s)
        self.hears = {
            RequestJoined: self._joined,
            AttemptAdmitted: self._admitted,
            RequestOutcome: self._outcome,
        }

    def _joined(self, seq: int, event: RequestJoined) -> Violation | None:
        call, here = self._calls.setdefault(event.shared, _Call()), (seq, event)
        if call.outcome is not None:
            said = f"{event.request} joined a call that was over"
            return self.broken("late", said, call.outcome, here)
        call.waiting[event.request] = here
        self._of[event.request] = event.shared
        return None

    def _admitted(self, seq: int, event: AttemptAdmitted) -> Violation | None:
        if not self._of or event.request not in self._of:
            return None
        said = f"{event.request} shares a call, and asks {event.endpoint} by itself"
        return self.broken("by itself", said, (seq, event))

    def _outcome(self, seq: int, event: RequestOutcome) -> Violation | None:
        if not self._calls:
            return None
        if event.request in self._calls:
            return self._call_ended(seq, event, self._calls[event.request])
        shared = self._of.pop(event.request, None)
        return self._left(seq, event, shared) if shared is not None else None

    def _call_ended(self, seq: int, event: RequestOutcome, call: _Call) -> Violation | None:
        call.outcome = seq, event
        if not call.waiting:
            del self._calls[event.request]
            return None
        if event.status == "cancelled":
            waits = next(iter(call.waiting.values()))
            said = f"the call that {waits[1].request} waits for was called off"
            return self.broken("called off", said, waits, call.outcome)
        for request, waits in call.waiting.items():
            self._answers.add(request, event.at_s, waits)
        self.due = self._answers.due
        return None

    def _left(self, seq: int, event: RequestOutcome, shared: str) -> Violation | None:
        """One of those who waited has its outcome."""
        call, here = self._calls[shared], (seq, event)
        joined = call.waiting.pop(event.request)
        self._answers.drop(event.request)
        outcome = call.outcome
        if outcome is not None and not call.waiting:
            del self._calls[shared]
        if event.cost_usd:
            said = f"{event.request} is booked for a call that it shares"
            return self.broken("booked twice", said, joined, here)
        if event.status in _LEFT:
            return None
        if outcome is None:
            if event.status in _OWN and event.at_s >= joined[1].deadline - 1e-6:
                return None
            said = f"{event.request} ended as {event.status} before the call that it shares"
            return self.broken("early", said, joined, here)
        status = outcome[1].status
        if event.status != status and event.at_s < joined[1].deadline - 1e-6:
            said = f"{event.request} ended as {event.status}, and its shared call as {status}"
            return self.broken("otherwise", said, joined, outcome, here)
        return None

    def late(self, seq: int, event: Event) -> Violation | None:
        """The call has ended, and somebody still waits for it."""
        late = self._answers.overdue(event.at_s)
        self.due = self._answers.due
        for request, joined in late:
            said = f"{request} still waits for a call that has ended"
            return self.broken("forgotten", said, joined, (seq, event))
        return None
