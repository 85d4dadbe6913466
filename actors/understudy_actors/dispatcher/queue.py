"""Who waits for a slot: bounded, in order of arrival, woken only when somebody could serve them.

A waiter that is woken holds a promise on the candidate that woke it until it is seated or leaves, so
that one free slot wakes one waiter; a promise that is not used goes to the next in line.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable

import attrs

from understudy_actors.dispatcher.select import Route
from understudy_actors.domain.candidate import Candidate


@attrs.define(eq=False, slots=True)
class Waiter:
    """One request in the queue; `wake` answers its ask and says whether it was still there."""

    ticket: int
    route: Route
    wake: Callable[[], bool]


@attrs.define(eq=False, slots=True)
class SlotQueue:
    """Waiters by ticket, and the promises of those that were woken."""

    capacity: int = 1000
    _waiters: list[Waiter] = attrs.Factory(list)
    _promised: dict[int, Candidate] = attrs.Factory(dict)
    _tickets: int = 0

    def __len__(self) -> int:
        return len(self._waiters)

    @property
    def full(self) -> bool:
        """Is there no place left?"""
        return len(self._waiters) >= self.capacity

    def holds(self, route: Route) -> bool:
        """Does anybody wait for this route?"""
        return any(waiter.route is route for waiter in self._waiters)

    def join(self, route: Route, ticket: int, wake: Callable[[], bool]) -> int:
        """Stand in line: at the end, or with the `ticket` of an earlier stand. Returns the ticket."""
        if not ticket:
            self._tickets += 1
            ticket = self._tickets
        self._promised.pop(ticket, None)  # whoever stands in line again was not seated by it
        insort(self._waiters, Waiter(ticket, route, wake), key=lambda waiter: waiter.ticket)
        return ticket

    def leave(self, ticket: int) -> None:
        """A waiter was seated, or gave up: its place and its promise are free."""
        self._promised.pop(ticket, None)
        self._waiters = [waiter for waiter in self._waiters if waiter.ticket != ticket]

    def wake(self, now: float) -> None:
        """Wake waiters in order, one for each slot that is free and not promised."""
        if not self._waiters:
            return
        staying: list[Waiter] = []
        hopeless: set[int] = set()
        for waiter in self._waiters:
            room = None if id(waiter.route) in hopeless else self._room(waiter.route, now)
            if room is None:
                hopeless.add(id(waiter.route))
                staying.append(waiter)
            elif waiter.wake():
                self._promised[waiter.ticket] = room
        self._waiters = staying

    def _room(self, route: Route, now: float) -> Candidate | None:
        for each in route.candidates:
            if each.refusal(now) is None:
                promised = sum(1 for other in self._promised.values() if other is each)
                if each.in_flight + promised < each.limit:
                    return each
        return None
