"""Laws of the queue for a slot: who is next, whom a slot is kept for, and who is turned away.

The dispatcher's queue goes with it, so a crash of it ends everybody's place. A retry goes back to
its own endpoint past the queue.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from understudy_actors.domain.events import (
    ActorCrashed,
    AttemptAdmitted,
    RequestOutcome,
    RetryScheduled,
)
from understudy_actors.domain.waiting_events import Queued, QueueLeft, QueueRefused, Unqueued
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Hears, Violation, Watch, Witness

Waiting: TypeAlias = tuple[int, Queued]
Passed: TypeAlias = tuple[Waiting, Waiting | None, tuple[int, Unqueued | AttemptAdmitted]]
"""Who was next, who was not (None: a newcomer) and got the slot, and when."""
_DISPATCHER: Final = "dispatcher"
_FULL: Final = "full"


class _Line(Watch):
    """Who waits, by ticket, and who was woken and has neither taken the slot nor left."""

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self.waiting: dict[int, Waiting] = {}
        self.woken: dict[int, tuple[int, Unqueued]] = {}
        self.passed: dict[int, Passed] = {}

    def line(self) -> Hears:
        """What it needs to hear; its owner may hear the same first."""
        return {
            Queued: self.joined,
            Unqueued: self.called,
            QueueLeft: self.left,
            ActorCrashed: self.crashed,
        }

    def joined(self, seq: int, event: Queued) -> Violation | None:
        """Somebody waits, for the first time or again."""
        self.woken.pop(event.ticket, None)
        self.waiting[event.ticket] = seq, event
        return None

    def called(self, seq: int, event: Unqueued) -> Violation | None:
        """Somebody is woken."""
        self.waiting.pop(event.ticket, None)
        self.woken[event.ticket] = seq, event
        return None

    def left(self, seq: int, event: QueueLeft) -> Violation | None:  # noqa: ARG002
        """Somebody was seated, or went."""
        self.waiting.pop(event.ticket, None)
        self.woken.pop(event.ticket, None)
        return None

    def crashed(self, seq: int, event: ActorCrashed) -> None:  # noqa: ARG002
        """The queue goes with the dispatcher."""
        if event.actor == _DISPATCHER:
            self.waiting.clear()
            self.woken.clear()
            self.passed.clear()


class InLine(_Line):
    """S36. Told of those who are alike: of one tenant and priority, lifted by no wait yet.

    Among them the oldest is next; the newest, if at each service for a while the oldest had waited
    too long.
    """

    name = "S36"
    claim = "of those alike who wait for a slot the next one gets it, and no newcomer"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._retries: set[str] = set()
        self._seated = ""
        self._above: dict[tuple[str, int], float] = {}
        self.hears = {
            **self.line(),
            Queued: self._joined,
            Unqueued: self._called,
            QueueLeft: self._left,
            RetryScheduled: self._scheduled,
            AttemptAdmitted: self._admitted,
            RequestOutcome: self._outcome,
        }

    def _joined(self, seq: int, event: Queued) -> None:
        if not self._alike(event, event.at_s):
            self._above.pop((event.tenant, event.priority), None)  # a new line
        self.joined(seq, event)

    def _alike(self, event: Queued, now: float) -> list[Waiting]:
        """Those of its tenant and priority whom their wait has not lifted above that."""
        since = now - self.rules.waiting.ageing_s
        return [
            each
            for each in self.waiting.values()
            if (each[1].tenant, each[1].priority) == (event.tenant, event.priority)
            and each[1].since > since
        ]

    def _called(self, seq: int, event: Unqueued) -> Violation | None:
        waiter = self.waiting.get(event.ticket)
        if waiter is None:
            return None
        rule, now = self.rules.waiting, event.at_s
        alike = self._alike(waiter[1], now)
        self.called(seq, event)
        if event.ticket in self.passed:
            return self._overtaken(self.passed.pop(event.ticket))
        if waiter not in alike:
            return None
        key = waiter[1].tenant, waiter[1].priority
        alike.sort(key=lambda each: each[1].ticket)
        above = self._above.get(key)
        turned = above is not None and now - above >= rule.window_s
        if now - alike[0][1].since < rule.standing_s:
            self._above.pop(key, None)
        else:
            self._above.setdefault(key, now)
        for each in reversed(alike) if turned else alike:
            if event.endpoint in each[1].wanted and now < each[1].deadline:
                if each is not waiter:
                    self.passed[each[1].ticket] = each, waiter, (seq, event)
                break
        return None

    def _left(self, seq: int, event: QueueLeft) -> Violation | None:
        """Whoever leaves at the very moment when it is passed over left first."""
        self._seated = event.request if event.ticket in self.woken else ""
        self.left(seq, event)
        passed = self.passed.pop(event.ticket, None) if self.passed else None
        if passed is None or event.at_s <= passed[2][1].at_s:
            return None
        return self._overtaken(passed)

    def _overtaken(self, passed: Passed) -> Violation:
        first, second, out = passed
        shape = "newcomer" if second is None else "order"
        said = f"{out[1].request} got the slot of {out[1].endpoint}"
        return self.broken(shape, f"{said}, and {first[1].request} was next", first, second, out)

    def _scheduled(self, seq: int, event: RetryScheduled) -> None:  # noqa: ARG002
        if event.why == "retry":
            self._retries.add(event.request)

    def _admitted(self, seq: int, event: AttemptAdmitted) -> Violation | None:
        request, endpoint = event.request, event.endpoint
        seated, self._seated = self._seated, ""
        if request in self._retries or request == seated:
            self._retries.discard(request)
            return None
        for ticket, waiter in self.waiting.items():
            if endpoint in waiter[1].wanted and waiter[1].request != request:
                self.passed[ticket] = waiter, None, (seq, event)
                break
        return None

    def _outcome(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        if self._retries:
            self._retries.discard(event.request)


class Places(_Line):
    """S37."""

    name = "S37"
    claim = "whoever is gone waits no more, and nobody is turned away before the line is full"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self.hears = {
            **self.line(),
            QueueRefused: self._refused,
            RequestOutcome: self._outcome,
        }

    def _refused(self, seq: int, event: QueueRefused) -> Violation | None:
        count = len(self.waiting)
        if event.reason != _FULL or count >= self.rules.queue_capacity:
            return None
        said = f"{event.request} was turned away, and {count} wait of {self.rules.queue_capacity}"
        return self.broken("early", said, (seq, event))

    def _outcome(self, seq: int, event: RequestOutcome) -> Violation | None:
        for places in (self.waiting, self.woken):
            ghosts = [t for t, (_, each) in places.items() if each.request == event.request]
            for ticket in ghosts:
                place: Witness = places.pop(ticket)
                said = f"{event.request} is over, and still has a place in line"
                return self.broken("ghost", said, place, (seq, event))
        return None
