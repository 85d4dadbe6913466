"""Who waits for a slot: bounded, in order of arrival, woken only when somebody could serve them.

A waiter that is woken holds a promise on the candidate that woke it until it is seated, leaves or
waits again, so that one free slot wakes one waiter, and nobody else is given that slot meanwhile; a
promise that is not used goes to the next in line.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Sequence

import attrs

from understudy_actors.domain.candidate import Candidate


@attrs.define(eq=False, slots=True)
class Waiter:
    """One request in the queue; `wake` answers its ask and says whether it was still there.

    `wanted` are the candidates that could serve it as soon as they have a slot.
    """

    ticket: int
    wanted: Sequence[Candidate]
    wake: Callable[[], bool]


@attrs.define(eq=False, slots=True)
class SlotQueue:
    """Waiters by ticket, and the promises of those that were woken.

    Tickets count from `last_ticket`: a queue built in place of one that died starts above all
    tickets that are out, so that none names two requests.
    """

    capacity: int = 1000
    last_ticket: int = 0
    _waiters: list[Waiter] = attrs.Factory(list)
    _promised: dict[int, Candidate] = attrs.Factory(dict)

    def __len__(self) -> int:
        return len(self._waiters)

    @property
    def full(self) -> bool:
        """Is there no place left?"""
        return len(self._waiters) >= self.capacity

    @property
    def idle(self) -> bool:
        """Does nobody wait, and is nothing promised?"""
        return not self._waiters and not self._promised

    def precedes(self, ticket: int, candidate: Candidate) -> bool:
        """Must the holder of `ticket` (0: of none) leave `candidate` to somebody in the queue?"""
        if ticket:
            return not self._has_room(candidate, ticket)
        return not self._has_room(candidate, math.inf) or any(
            candidate in waiter.wanted for waiter in self._waiters
        )

    def join(self, wanted: Sequence[Candidate], ticket: int, wake: Callable[[], bool]) -> int:
        """Stand in line: at the end, or where the `ticket` of an earlier stand belongs.

        Returns:
            The ticket.
        """
        if not ticket:
            self.last_ticket += 1
            ticket = self.last_ticket
        self._promised.pop(ticket, None)  # it led to nothing, and would stand in its own way
        insort(self._waiters, Waiter(ticket, wanted, wake), key=lambda waiter: waiter.ticket)
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
        full: set[int] = set()
        for waiter in self._waiters:
            room = self._room(waiter.wanted, full, now)
            if room is None:
                staying.append(waiter)
            elif waiter.wake():
                self._promised[waiter.ticket] = room
        self._waiters = staying

    def _room(self, wanted: Sequence[Candidate], full: set[int], now: float) -> Candidate | None:
        """Who of those wanted has a slot to promise; `full` remembers who had none."""
        for each in wanted:
            if each.index not in full:
                if each.refusal(now) is None and self._has_room(each, math.inf):
                    return each
                full.add(each.index)
        return None

    def _has_room(self, candidate: Candidate, before: float) -> bool:
        """Is there a slot beyond those promised to tickets `before` this one?"""
        promised = 0
        for ticket, other in self._promised.items():
            promised += other is candidate and ticket < before
        return candidate.in_flight + promised < candidate.limit
