"""Who waits for a slot: bounded, in a fair order, woken only when somebody could serve them.

A waiter that is woken holds a promise on the candidate that woke it until it is seated, leaves or
waits again, so that one free slot wakes one waiter, and nobody else is given that slot meanwhile; a
promise that is not used goes to the next in line. What comes first is said in `order`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import attrs

from understudy_actors.dispatcher.order import Order, Waiter, WaitingRule, mask_of
from understudy_actors.domain.candidate import Candidate


@attrs.define(eq=False, slots=True)
class Promise:
    """A slot of `candidate` is kept for `waiter`; None: it had left without a word."""

    waiter: Waiter
    candidate: Candidate | None


@attrs.define(eq=False, slots=True)
class SlotQueue:
    """Waiters, and the promises of those that were woken.

    Tickets count from `last_ticket`: a queue built in place of one that died starts above all
    tickets that are out, so that none names two requests.
    """

    capacity: int = 1000
    last_ticket: int = 0
    rule: WaitingRule = attrs.Factory(WaitingRule)
    _order: Order = attrs.field(init=False)
    _promised: dict[int, Promise] = attrs.Factory(dict)

    def __attrs_post_init__(self) -> None:
        self._order = Order(self.rule)

    def __len__(self) -> int:
        return len(self._order)

    @property
    def full(self) -> bool:
        """Is there no place left?"""
        return len(self._order) >= self.capacity

    @property
    def idle(self) -> bool:
        """Does nobody wait, and is nothing promised?"""
        return not self._promised and not len(self._order)

    def ahead(self, wanted: Sequence[Candidate], priority: int, now: float) -> int:
        """How many would be served before a newcomer of this priority who wants these."""
        self._order.age(now)
        return self._order.ahead(mask_of(wanted), priority)

    def precedes(self, ticket: int, candidate: Candidate) -> bool:
        """Must the holder of `ticket` (0: of none) leave `candidate` to somebody in the queue?

        A newcomer takes nobody's slot, whatever its priority: that decides once it is in line.
        """
        if not self._has_room(candidate, ticket):
            return True
        return not ticket and bool(self._order.wanted() >> candidate.index & 1)

    def join(
        self,
        wanted: Sequence[Candidate],
        ticket: int,
        wake: Callable[[], bool],
        name: str = "",
        *,
        now: float = 0.0,
        since: float | None = None,
        priority: int = 0,
        tenant: str = "",
        tokens: float = 1.0,
        deadline: float = math.inf,
    ) -> Waiter:
        """Stand in line; with the `ticket` of an earlier stand as if it had never left.

        Args:
            wanted: Who could serve it, in order of preference.
            ticket: Of an earlier stand; 0 for none.
            wake: Answers it; says whether it was still there.
            name: Of its request.
            now: The time.
            since: When it came first; None is now.
            priority: The band it comes with.
            tenant: Whose share it counts in.
            tokens: What it counts there, once.
            deadline: Until when a slot is of use.

        Returns:
            It, as it stands: with its ticket.
        """
        # A promise that led to nothing would stand in its own way. Its tokens were counted.
        before = self._promised.pop(ticket, None)
        if not ticket:
            self.last_ticket += 1
            ticket = self.last_ticket
        counts = tokens if before is None else 0.0
        came_at = now if since is None else since
        waiter = Waiter(ticket, wanted, wake, priority, tenant, counts, came_at, deadline, name)
        self._order.add(waiter, now)
        return waiter

    def leave(self, ticket: int) -> bool:
        """A waiter was seated, or gave up: its place and its promise are free.

        Returns:
            Whether it had either.
        """
        return (
            self._promised.pop(ticket, None) is not None or self._order.remove(ticket) is not None
        )

    def wake(self, now: float) -> list[Promise]:
        """Wake waiters in order, one for each slot that is free and not promised.

        Returns:
            Those whose turn it was.
        """
        if not len(self._order):
            return []
        self._order.age(now)
        woken: list[Promise] = []
        free = {each.index: each for each in self._free(now)}
        while free:
            mask = 0
            for index in free:
                mask |= 1 << index
            waiter = self._order.next(mask, now)
            if waiter is None:
                break
            if not waiter.wake():
                woken.append(Promise(waiter, None))
                continue
            candidate = next(each for each in waiter.wanted if each.index in free)
            promise = self._promised[waiter.ticket] = Promise(waiter, candidate)
            woken.append(promise)
            if not self._has_room(candidate, 0):
                del free[candidate.index]
        return woken

    def _free(self, now: float) -> list[Candidate]:
        """Whom somebody waits for and who has a slot to promise."""
        left, free = self._order.wanted(), []
        for waiter in self._order:
            if not left:
                break
            if waiter.mask & left:
                for each in waiter.wanted:
                    if left >> each.index & 1:
                        left &= ~(1 << each.index)
                        if each.refusal(now) is None and self._has_room(each, 0):
                            free.append(each)
        return free

    def _has_room(self, candidate: Candidate, ticket: int) -> bool:
        """Is there a slot beyond those promised to others than the holder of `ticket`?"""
        promised = 0
        for holder, promise in self._promised.items():
            promised += promise.candidate is candidate and holder != ticket
        return candidate.in_flight + promised < candidate.limit
