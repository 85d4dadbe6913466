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
from understudy_actors.domain.request import PRIORITY_MAX
from understudy_actors.domain.waiting_events import Queued, QueueLeft, QueueRefused, Unqueued
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Hears, Violation, Watch, Witness

Waiting: TypeAlias = tuple[int, Queued]
Passed: TypeAlias = tuple[Waiting, Waiting | None, tuple[int, Unqueued | AttemptAdmitted]]
"""Who was next, who was not (None: a newcomer) and got the slot, and when."""
_DISPATCHER: Final = "dispatcher"
_FULL: Final = "full"
_ROUNDING_S: Final = 1e-6


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
    """S36. Higher bands come first; a time without service lifts those of one tenant and priority.

    Inside a band those of one tenant are compared, as long as nobody of that tenant can have been
    lifted into their line: the oldest is next, or the newest if at each service for a while the
    oldest had waited too long. Nothing is said where there are bulkheads: whoever's share is in use
    is passed, and so is its line.
    """

    name = "S36"
    claim = "who waits for a slot is served by band and age, and lets no newcomer pass"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._retries: set[str] = set()
        self._seated = ""
        self._above: dict[tuple[str, int], float] = {}
        self._served_at: dict[tuple[str, int], float] = {}
        self._unsure: set[tuple[str, int]] = set()
        self._gone_at: dict[tuple[str, int], float] = {}
        self.hears = {
            **self.line(),
            Queued: self._joined,
            Unqueued: self._called,
            QueueLeft: self._left,
            RetryScheduled: self._scheduled,
            AttemptAdmitted: self._admitted,
            RequestOutcome: self._outcome,
        }
        if rules.shares is not None:
            self.hears = {}

    def _joined(self, seq: int, event: Queued) -> None:
        kin = event.tenant, event.priority
        if not self._alike(kin):  # a new line
            self._above.pop(kin, None)
            self._served_at.pop(kin, None)
            self._gone_at.pop(kin, None)
            self._unsure.discard(kin)
        self._beware(kin, event.at_s)
        self.joined(seq, event)

    def _beware(self, kin: tuple[str, int], now: float) -> None:
        """Whoever was lifted into a line changes what that remembers of its delay."""
        since = now - self.rules.waiting.ageing_s + _ROUNDING_S
        if any(e[1].tenant == kin[0] and e[1].since <= since for e in self.waiting.values()):
            self._unsure.add(kin)

    def _alike(self, kin: tuple[str, int]) -> list[Waiting]:
        return [e for e in self.waiting.values() if (e[1].tenant, e[1].priority) == kin]

    def _band(self, event: Queued, now: float) -> int:
        """The band that somebody is in at least."""
        served_at = self._served_at.get((event.tenant, event.priority), event.since)
        unserved_s = now - max(event.since, served_at) - _ROUNDING_S
        lifts = max(0, int(unserved_s // self.rules.waiting.ageing_s))
        return min(PRIORITY_MAX, event.priority + lifts)

    def _called(self, seq: int, event: Unqueued) -> Violation | None:
        waiter, now = self.waiting.get(event.ticket), event.at_s
        if waiter is None:
            return None
        kin = waiter[1].tenant, waiter[1].priority
        if self._gone_at.get(kin) == now:
            self._unsure.add(kin)
        alike = sorted(self._alike(kin), key=lambda each: each[1].ticket)
        least = self._band(waiter[1], now)
        self._beware(kin, now)
        self.called(seq, event)
        self._served_at[kin] = now
        passed = self.passed.pop(event.ticket, None)
        if passed is not None:
            return self._overtaken(passed)
        if event.band < least:
            said = f"{event.request} has waited {event.waited_s:.3f} s, and is in band {event.band}"
            return self.broken("band", said, waiter, (seq, event))
        ahead = self._ahead(event) or self._next(waiter, alike, event)
        if ahead is not None and ahead is not waiter:
            self.passed[ahead[1].ticket] = ahead, waiter, (seq, event)
        return None

    def _ahead(self, event: Unqueued) -> Waiting | None:
        """Somebody of a higher band who waits for the same slot."""
        now = event.at_s
        for each in self.waiting.values():
            higher = self._band(each[1], now) > event.band and now < each[1].deadline
            if higher and event.endpoint in each[1].wanted:
                return each
        return None

    def _next(self, waiter: Waiting, alike: list[Waiting], event: Unqueued) -> Waiting | None:
        """Who of those alike, the one who was woken included, comes next; None: nobody knows."""
        rule, now = self.rules.waiting, event.at_s
        kin = waiter[1].tenant, waiter[1].priority
        above = self._above.get(kin)
        turned = above is not None and now - above >= rule.window_s
        if now - alike[0][1].since < rule.standing_s:
            self._above.pop(kin, None)
        else:
            self._above.setdefault(kin, now)
        for each in reversed(alike) if turned else alike:
            if event.endpoint in each[1].wanted and now < each[1].deadline:
                return None if kin in self._unsure else each
        return None

    def _left(self, seq: int, event: QueueLeft) -> Violation | None:
        """Whoever leaves at the very moment when it is passed over left first.

        It may have been called in vain: then the line took note of its delay, which nobody is told.
        """
        waiter = self.waiting.get(event.ticket)
        if waiter is not None:
            self._gone_at[waiter[1].tenant, waiter[1].priority] = event.at_s
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
