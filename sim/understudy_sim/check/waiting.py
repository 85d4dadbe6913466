"""Laws of the line for slots: bands rise and bind, and who finds no place is told so at once."""

from __future__ import annotations

import math
from typing import Final

from understudy_actors.domain.events import ActorCrashed, Event, RequestOutcome
from understudy_actors.domain.request import PRIORITY_MAX
from understudy_actors.domain.waiting_events import Queued, QueueLeft, QueueRefused, Unqueued
from understudy_sim.check.agenda import Agenda
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch

_ROUNDING: Final = 1e-6


class Bands(Watch):
    """L6. That whoever waits is answered by its deadline is S11.

    A band is known from below by the time since anybody of its tenant and priority was served.
    Where there are bulkheads, whoever's share is in use may be passed.
    """

    name = "L6"
    claim = (
        "who is not served rises a band each ageing time, and is passed by nobody of a lower one"
    )

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._waiting: dict[int, tuple[int, Queued]] = {}
        self._served_at: dict[tuple[str, int], float] = {}
        self.hears = {
            Queued: self._queued,
            Unqueued: self._out,
            QueueLeft: self._left,
            ActorCrashed: self._crashed,
        }

    def _queued(self, seq: int, event: Queued) -> None:
        self._waiting[event.ticket] = seq, event

    def _left(self, seq: int, event: QueueLeft) -> None:  # noqa: ARG002
        self._waiting.pop(event.ticket, None)

    def _crashed(self, seq: int, event: ActorCrashed) -> None:  # noqa: ARG002
        if event.actor == "dispatcher":
            self._waiting.clear()
            self._served_at.clear()

    def _out(self, seq: int, event: Unqueued) -> Violation | None:
        entry, here, now = self._waiting.pop(event.ticket, None), (seq, event), event.at_s
        if entry is None:
            return self.broken("unknown", f"{event.request} did not wait", here)
        own = entry[1]
        if event.endpoint not in own.wanted:
            said = f"{event.request} is given {event.endpoint}, which it did not want"
            return self.broken("wrong slot", said, entry, here)
        if now >= own.deadline:
            said = f"{event.request} is given a slot after its deadline"
            return self.broken("too late", said, entry, here)
        lowest, highest = self._bands(own, now)
        if not lowest <= event.band <= highest:
            said = f"{event.request} stands in band {event.band} after {now - own.since:.1f} s"
            return self.broken("band", said, entry, here)
        found = self._passed(event, here) if event.band < PRIORITY_MAX else None
        self._served_at[own.tenant, own.priority] = now
        return found

    def _bands(self, own: Queued, now: float) -> tuple[int, int]:
        """The band of a waiter, at least and at most."""
        ageing_s = self.rules.waiting.ageing_s
        alone_since = max(own.since, self._served_at.get((own.tenant, own.priority), own.since))
        surely = math.floor((now - alone_since - _ROUNDING) / ageing_s)
        perhaps = math.floor((now - own.since + _ROUNDING) / ageing_s)
        least = own.priority + max(0, surely)
        return min(PRIORITY_MAX, least), min(PRIORITY_MAX, own.priority + perhaps)

    def _passed(self, event: Unqueued, here: tuple[int, Unqueued]) -> Violation | None:
        """Is anybody of a higher band passed by who could have had the slot?"""
        now = event.at_s
        if self.rules.shares is not None:
            return None
        for other in self._waiting.values():
            each = other[1]
            if event.endpoint not in each.wanted or now >= each.deadline:
                continue
            if self._bands(each, now)[0] > event.band:
                said = f"{event.request} passes {each.request}, which stands higher"
                return self.broken("band passed", said, other, here)
        return None


class TurnedAway(Watch):
    """Part of L6."""

    name = "L6"
    claim = "who finds no place in line is told so at once, and when to come again"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._refused: Agenda[tuple[int, QueueRefused]] = Agenda(rules.late_s)
        self.hears = {QueueRefused: self._on_refused, RequestOutcome: self._outcome}

    def _on_refused(self, seq: int, event: QueueRefused) -> Violation | None:
        here = seq, event
        self._refused.add(event.request, event.at_s, here)
        self.due = self._refused.due
        if event.retry_at <= event.at_s:
            said = f"{event.request} is told to come again at {event.retry_at:.3f} s, in the past"
            return self.broken("retry_at", said, here)
        return None

    def _outcome(self, seq: int, event: RequestOutcome) -> Violation | None:
        refused = self._refused.get(event.request) if len(self._refused) else None
        if refused is None:
            return None
        self._refused.drop(event.request)
        if event.status == "Overloaded" and event.retry_at is None:
            said = f"{event.request} was turned away, and not told when to come again"
            return self.broken("no retry_at", said, refused, (seq, event))
        return None

    def late(self, seq: int, event: Event) -> Violation | None:
        """Somebody was turned away and is not answered yet."""
        late = self._refused.overdue(event.at_s)
        self.due = self._refused.due
        for request, refused in late:
            said = f"{request} was turned away from the line, and waits for an answer"
            return self.broken("not at once", said, refused, (seq, event))
        return None
