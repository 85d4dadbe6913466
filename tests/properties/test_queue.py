"""The queue for slots under any interleaving: in order, one for each slot, nobody forgotten.

The model says the order from scratch at each turn: the highest band by the time without service,
and inside a tenant the oldest, or the newest where every service of the last while found old ones.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import attrs
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.actors.dispatcher.made import many
from understudy_actors.dispatcher import queue
from understudy_actors.dispatcher.order import WaitingRule
from understudy_actors.domain.bulkhead import Compartment, Compartments
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.request import PRIORITY_MAX

COUNT = 3
CAPACITY = 6
RULE = WaitingRule(ageing_s=4.0, standing_s=2.0, window_s=3.0)
MOST, THIRD = Compartment("most", 0.7), Compartment("third", 1 / 3)
bulkheads = st.sampled_from([(), (), (MOST,), (MOST, THIRD)])
some = st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=COUNT, unique=True)


@attrs.define(eq=False)
class Asker:
    """A request as the queue meets it: it waits, is woken, and may have left unnoticed."""

    machine: Any
    wanted: list[Candidate]
    tenant: str
    priority: int
    since: float
    deadline: float
    compartments: Compartments = ()
    ticket: int = 0
    there: bool = True
    band: int = 0
    clock: float = 0.0

    def wake(self) -> bool:
        self.machine.turn_of(self)
        return self.there


def queue_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """Any interleaving, on the queue of `module`."""

    class AnyInterleaving(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.now = 0.0
            self.all = many(COUNT)
            self.waiting: list[Asker] = []
            self.promised: list[tuple[Asker, Candidate]] = []
            self.served: dict[tuple[int, str], list[tuple[float, float]]] = {}
            self.tickets: list[int] = []
            self.served_at: dict[tuple[str, int], float] = {}
            self.turns: list[tuple[Asker, Candidate]] = []

        @initialize(limits=st.lists(st.integers(1, 2), min_size=COUNT, max_size=COUNT))
        def build(self, limits: list[int]) -> None:
            self.queue: Any = module.SlotQueue(capacity=CAPACITY, last_ticket=100, rule=RULE)
            for each, limit in zip(self.all, limits, strict=True):
                each.limit = each.in_flight = limit
            self.seats: list[list[Compartments]] = [[()] * limit for limit in limits]

        @precondition(lambda self: not self.queue.full)
        @rule(
            wanted=some,
            tenant=st.sampled_from("ab"),
            priority=st.integers(-1, 1),
            time_s=st.sampled_from([3.0, 100.0]),
            own=bulkheads,
        )
        def join(
            self, wanted: list[int], tenant: str, priority: int, time_s: float, own: Compartments
        ) -> None:
            until = self.now + time_s
            picked = [self.all[index] for index in wanted]
            asker = Asker(self, picked, tenant, priority, self.now, until, own)
            rivals = [
                (each, [c for c in each.wanted if c in picked])
                for each in self.waiting
                if self.lifted(each)[0] >= priority and set(each.wanted) & set(picked)
            ]
            ahead = sum(
                not each.compartments or any(self.has_share(c, each.compartments) for c in common)
                for each, common in rivals
            )
            alike = sum(MOST in each.compartments for each, _ in rivals)
            assert self.queue.ahead(picked, priority, self.now) == ahead
            assert self.queue.ahead(picked, priority, self.now, "most") == alike
            self.stand(asker)
            assert all(asker.ticket > ticket for ticket in self.tickets), "a new one"
            self.tickets.append(asker.ticket)
            self.wake()

        @precondition(lambda self: self.promised)
        @rule(data=st.data(), wanted=some)
        def fail_to_sit_and_join_again(self, data: st.DataObject, wanted: list[int]) -> None:
            asker, _ = self.take_promise(data)
            asker.wanted, before = [self.all[index] for index in wanted], asker.ticket
            self.stand(asker)
            assert asker.ticket == before
            self.wake()

        @precondition(lambda self: self.promised)
        @rule(data=st.data())
        def sit(self, data: st.DataObject) -> None:
            asker, candidate = self.take_promise(data)
            own = asker.compartments
            spare = self.has_slot(candidate, own)
            left = not self.queue.precedes(asker.ticket, candidate, own)
            assert left is spare, "it has its promise"
            if spare and candidate.refusal(self.now) is None:
                self.seats[candidate.index].append(own)
                self.count(candidate)
            assert self.queue.leave(asker.ticket)
            self.wake()

        @precondition(lambda self: self.waiting)
        @rule(data=st.data(), told=st.booleans())
        def give_up(self, data: st.DataObject, told: bool) -> None:
            asker = self.waiting[data.draw(st.integers(0, len(self.waiting) - 1))]
            asker.there = False
            if told:
                self.forget(asker)
                assert self.queue.leave(asker.ticket)
                assert not self.queue.leave(asker.ticket), "only once"
                self.wake()

        @rule(index=st.integers(0, COUNT - 1))
        def free_a_slot(self, index: int) -> None:
            if self.seats[index]:
                self.seats[index].pop(0)
            self.count(self.all[index])
            self.wake()

        def count(self, candidate: Candidate) -> None:
            seats = self.seats[candidate.index]
            candidate.in_flight = len(seats)
            names = [each.name for own in seats for each in own]
            candidate.held = {name: names.count(name) for name in names}

        @rule(index=st.integers(0, COUNT - 1), seconds=st.sampled_from([0.0, 2.0]))
        def shut(self, index: int, seconds: float) -> None:
            self.all[index].shut_until = self.now + seconds
            self.wake()

        @rule(seconds=st.sampled_from([1.0, 4.0]))
        def wait(self, seconds: float) -> None:
            self.now += seconds
            self.wake()

        @rule(index=st.integers(0, COUNT - 1), limit=st.integers(1, 3))
        def change_a_limit(self, index: int, limit: int) -> None:
            self.all[index].limit = limit
            self.wake()

        def take_promise(self, data: st.DataObject) -> tuple[Asker, Candidate]:
            return self.promised.pop(data.draw(st.integers(0, len(self.promised) - 1)))

        def stand(self, asker: Asker) -> None:
            waiter = self.queue.join(
                asker.wanted,
                asker.ticket,
                asker.wake,
                now=self.now,
                since=asker.since,
                priority=asker.priority,
                tenant=asker.tenant,
                tokens=10.0,
                deadline=asker.deadline,
                compartments=asker.compartments,
            )
            asker.ticket, asker.band = waiter.ticket, asker.priority
            kin = asker.tenant, asker.priority
            asker.clock = max(asker.since, self.served_at.get(kin, -math.inf))
            self.waiting.append(asker)
            self.age()

        def wake(self) -> None:
            """What the dispatcher does after each change."""
            self.age()
            self.turns.clear()
            woken = self.queue.wake(self.now)
            kept = [promise for promise in woken if promise.candidate is not None]
            assert [(p.waiter.ticket, p.candidate) for p in kept] == [
                (asker.ticket, room) for asker, room in self.turns
            ]
            for asker in self.waiting:
                assert not self.could(asker), "a slot woke nobody"

        def turn_of(self, asker: Asker) -> None:
            """The queue says that it is this one's turn: so must the rule, said plainly."""
            assert asker in self.waiting, "woken twice"
            assert self.could(asker), "woken for nothing, or too late"
            ready = [each for each in self.waiting if self.could(each)]
            assert asker.band == max(each.band for each in ready), "the highest band first"
            line = [e for e in self.waiting if (e.band, e.tenant) == (asker.band, asker.tenant)]
            line.sort(key=lambda each: each.ticket)
            ready = [each for each in line if self.could(each)]
            turned = self.newest_first(asker)
            assert asker is ready[-1 if turned else 0], "out of turn"
            samples = self.served.setdefault((asker.band, asker.tenant), [])
            samples.append((self.now, self.now - line[0].since))
            self.forget(asker)
            for each in self.waiting:
                if (each.tenant, each.priority) == (asker.tenant, asker.priority):
                    each.clock = self.served_at[each.tenant, each.priority] = self.now
            if asker.there:
                room = next(c for c in asker.wanted if self.has_room(c, asker.compartments))
                self.promised.append((asker, room))
                self.turns.append((asker, room))

        def newest_first(self, asker: Asker) -> bool:
            samples = self.served.get((asker.band, asker.tenant), [])
            standing_since = None
            for at, oldest_s in reversed(samples):
                if oldest_s < RULE.standing_s:
                    break
                standing_since = at
            return standing_since is not None and self.now - standing_since >= RULE.window_s

        def age(self) -> None:
            for asker in self.waiting:
                asker.band, asker.clock = self.lifted(asker)
            kin = {(each.tenant, each.priority) for each in self.waiting}
            self.served_at = {each: at for each, at in self.served_at.items() if each in kin}
            alive = {(each.band, each.tenant) for each in self.waiting}
            self.served = {line: s for line, s in self.served.items() if line in alive}

        def forget(self, asker: Asker) -> None:
            self.waiting.remove(asker)
            self.age()

        def lifted(self, asker: Asker) -> tuple[int, float]:
            """Band and clock of an asker now: a band for each ageing time without service."""
            lifts = max(0, int((self.now - asker.clock) // RULE.ageing_s))
            return min(PRIORITY_MAX, asker.band + lifts), asker.clock + lifts * RULE.ageing_s

        def could(self, asker: Asker) -> bool:
            rooms = (self.has_room(each, asker.compartments) for each in asker.wanted)
            return self.now < asker.deadline and any(rooms)

        def has_room(self, candidate: Candidate, own: Compartments) -> bool:
            return self.now >= candidate.shut_until and self.has_slot(candidate, own)

        def has_slot(self, candidate: Candidate, own: Compartments) -> bool:
            """Is there one that is not promised, and one in the share of each compartment?"""
            return len(self.taken(candidate)) < candidate.limit and self.has_share(candidate, own)

        def has_share(self, candidate: Candidate, own: Compartments) -> bool:
            limit, taken = candidate.limit, self.taken(candidate)
            shares = {MOST: max(1, limit * 7 // 10), THIRD: max(1, limit // 3)}
            return all(sum(each in other for other in taken) < shares[each] for each in own)

        def taken(self, candidate: Candidate) -> list[Compartments]:
            kept = [asker.compartments for asker, other in self.promised if other is candidate]
            return [*self.seats[candidate.index], *kept]

        @invariant()
        def newcomers_take_nothing_from_those_who_wait(self) -> None:
            for each in self.all:
                wanted = any(
                    each in asker.wanted
                    and (not asker.compartments or self.has_slot(each, asker.compartments))
                    for asker in self.waiting
                )
                for own in ((), (MOST,), (MOST, THIRD)):
                    full = not self.has_slot(each, own)
                    assert self.queue.precedes(0, each, own) == (wanted or full)

        @invariant()
        def it_knows_who_waits(self) -> None:
            most = CAPACITY + 3 * COUNT
            assert len(self.queue) == len(self.waiting) <= most, "those who came back too"
            assert self.queue.full == (len(self.waiting) >= CAPACITY)
            assert self.queue.idle == (not self.waiting and not self.promised)

    return AnyInterleaving


def test_slots_are_given_in_order_and_no_wake_up_is_lost() -> None:
    run_state_machine_as_test(
        queue_machine(queue),
        settings=settings(max_examples=100, stateful_step_count=40, deadline=None),
    )
