"""Who waits for a slot: bounded, in a fair order, woken only when somebody could serve them.

A waiter that is woken holds a promise on the candidate that woke it until it is seated, leaves or
waits again, so that one free slot wakes one waiter, and nobody else is given that slot meanwhile; a
promise that is not used goes to the next in line. What comes first is said in `order`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence

import attrs

from understudy_actors.dispatcher.order import NO_BARS, Barred, Order, Waiter, WaitingRule, mask_of
from understudy_actors.domain.bulkhead import Compartments
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
        return not self._promised and not self._order.waiters

    def ahead(
        self, wanted: Sequence[Candidate], priority: int, now: float, within: str = ""
    ) -> int:
        """How many would be served before a newcomer of this priority who wants these.

        Whose share of all of them is in use lets others pass. `within` counts those of one
        compartment, and all of them.
        """
        self._order.age(now)
        return self._order.ahead(mask_of(wanted), priority, self._barred(wanted), within)

    def precedes(self, ticket: int, candidate: Candidate, compartments: Compartments = ()) -> bool:
        """Must the holder of `ticket` (0: of none) leave `candidate` to somebody in the queue?

        A newcomer takes nobody's slot, whatever its priority: that decides once it is in line. Who
        waits for others of its own compartment to end does not keep a slot from the rest.
        """
        if not self._has_room(candidate, ticket, compartments):
            return True
        if ticket:
            return False
        return bool(self._order.wanted(self._barred((candidate,))) >> candidate.seat & 1)

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
        compartments: Compartments = (),
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
            compartments: Whose shares of the slots it counts in.

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
        waiter = Waiter(
            ticket, wanted, wake, priority, tenant, counts, came_at, deadline, name, compartments
        )
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
        free = {each.seat: each for each in self._free(now)}
        while free:
            mask = 0
            for seat in free:
                mask |= 1 << seat
            waiter = self._order.next(mask, now, self._barred(free.values()))
            if waiter is None:
                break
            if not waiter.wake():
                woken.append(Promise(waiter, None))
                continue
            own = waiter.compartments
            candidate = next(
                each for each in waiter.wanted if each.seat in free and self._has_room(each, 0, own)
            )
            promise = self._promised[waiter.ticket] = Promise(waiter, candidate)
            woken.append(promise)
            if not self._has_room(candidate, 0):
                del free[candidate.seat]
        return woken

    def configure(self, capacity: int, rule: WaitingRule, gone: Collection[int]) -> None:
        """Other bounds from now on. Who waits for none but the `gone` (seats) is woken at once."""
        self.capacity, self.rule = capacity, rule
        self._order.configure(rule)
        self.disperse(~sum(1 << seat for seat in gone))

    def disperse(self, staying: int = 0) -> None:
        """Wake everybody who waits for none of those that stay (bits)."""
        for waiter in [each for each in self._order if not each.mask & staying]:
            self._order.remove(waiter.ticket)
            waiter.wake()

    def _free(self, now: float) -> list[Candidate]:
        """Whom somebody waits for and who has a slot to promise."""
        left, free = self._order.wanted(), []
        for waiter in self._order:
            if not left:
                break
            if waiter.mask & left:
                for each in waiter.wanted:
                    if left >> each.seat & 1:
                        left &= ~(1 << each.seat)
                        if each.refusal(now) is None and self._has_room(each, 0):
                            free.append(each)
        return free

    def _has_room(self, candidate: Candidate, ticket: int, compartments: Compartments = ()) -> bool:
        """Is there a slot beyond those promised to others than the holder of `ticket`?

        And for these `compartments`, one within the share of each of them?
        """
        others = self._others(candidate, ticket)
        if candidate.in_flight + len(others) >= candidate.limit:
            return False
        return not compartments or _has_share(candidate, others, compartments)

    def _others(self, candidate: Candidate, ticket: int) -> list[Compartments]:
        """To whom its slots are promised, but for the holder of `ticket`."""
        return [
            promise.waiter.compartments
            for holder, promise in self._promised.items()
            if promise.candidate is not None
            and promise.candidate.seat == candidate.seat
            and holder != ticket
        ]

    def _barred(self, candidates: Iterable[Candidate]) -> Barred:
        """For those who wait, where the share of their compartments is in use."""
        waiting = self._order.compartments()
        if not waiting:
            return NO_BARS
        promised = [(each, self._others(each, 0)) for each in candidates]
        return {
            own: mask_of(c for c, others in promised if not _has_share(c, others, own))
            for own in waiting
        }


def _has_share(
    candidate: Candidate, promised: Sequence[Compartments], compartments: Compartments
) -> bool:
    """Is there one more slot in the share of each of these?"""
    for each in compartments:
        held = candidate.held.get(each.name, 0) + sum(each in own for own in promised)
        if held >= each.most(candidate.limit):
            return False
    return True
