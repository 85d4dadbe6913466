"""The queue for slots under any interleaving: in order, one for each slot, nobody forgotten."""

from __future__ import annotations

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
from understudy_actors.domain.candidate import Candidate

COUNT = 3
some = st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=COUNT, unique=True)


@attrs.define(eq=False)
class Asker:
    """A request as the queue meets it: it waits, is woken, and may have left unnoticed."""

    wanted: list[Candidate]
    ticket: int = 0
    there: bool = True
    woken: bool = False

    def wake(self) -> bool:
        assert not self.woken, "woken twice"
        self.woken = self.there
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
            self.tickets: list[int] = []

        @initialize(limits=st.lists(st.integers(1, 2), min_size=COUNT, max_size=COUNT))
        def build(self, limits: list[int]) -> None:
            self.queue: Any = module.SlotQueue(capacity=6, last_ticket=100)
            for each, limit in zip(self.all, limits, strict=True):
                each.limit = each.in_flight = limit

        @precondition(lambda self: not self.queue.full)
        @rule(wanted=some)
        def join(self, wanted: list[int]) -> None:
            asker = Asker([self.all[index] for index in wanted])
            asker.ticket = self.queue.join(asker.wanted, 0, asker.wake)
            assert all(asker.ticket > ticket for ticket in self.tickets), "behind all others"
            self.tickets.append(asker.ticket)
            self.waiting.append(asker)
            self.wake()

        @precondition(lambda self: self.promised)
        @rule(data=st.data(), wanted=some)
        def fail_to_sit_and_join_again(self, data: st.DataObject, wanted: list[int]) -> None:
            asker, _ = self.take_promise(data)
            asker.wanted, asker.woken = [self.all[index] for index in wanted], False
            assert self.queue.join(asker.wanted, asker.ticket, asker.wake) == asker.ticket
            self.waiting.append(asker)
            self.wake()

        @precondition(lambda self: self.promised)
        @rule(data=st.data())
        def sit(self, data: st.DataObject) -> None:
            asker, candidate = self.take_promise(data)
            earlier = [c for a, c in self.promised if a.ticket < asker.ticket].count(candidate)
            spare = candidate.in_flight + earlier < candidate.limit
            assert self.queue.precedes(asker.ticket, candidate) is not spare, "it has its promise"
            if spare and candidate.refusal(self.now) is None:
                candidate.in_flight += 1
            self.queue.leave(asker.ticket)
            self.wake()

        @precondition(lambda self: self.waiting)
        @rule(data=st.data(), told=st.booleans())
        def give_up(self, data: st.DataObject, told: bool) -> None:
            asker = self.waiting[data.draw(st.integers(0, len(self.waiting) - 1))]
            asker.there = False
            if told:
                self.waiting.remove(asker)
                self.queue.leave(asker.ticket)
                self.wake()

        @rule(index=st.integers(0, COUNT - 1))
        def free_a_slot(self, index: int) -> None:
            candidate = self.all[index]
            candidate.in_flight = max(0, candidate.in_flight - 1)
            self.wake()

        @rule(index=st.integers(0, COUNT - 1), seconds=st.sampled_from([0.0, 2.0]))
        def shut(self, index: int, seconds: float) -> None:
            self.all[index].shut_until = self.now + seconds
            self.wake()

        @rule()
        def wait(self) -> None:
            self.now += 1.0
            self.wake()

        @rule(index=st.integers(0, COUNT - 1), limit=st.integers(1, 3))
        def change_a_limit(self, index: int, limit: int) -> None:
            self.all[index].limit = limit
            self.wake()

        def take_promise(self, data: st.DataObject) -> tuple[Asker, Candidate]:
            return self.promised.pop(data.draw(st.integers(0, len(self.promised) - 1)))

        def wake(self) -> None:
            """What the dispatcher does after each change; checked against the rule said plainly."""
            self.waiting.sort(key=lambda asker: asker.ticket)
            self.queue.wake(self.now)
            for asker in list(self.waiting):
                room = next((c for c in asker.wanted if self.has_room(c)), None)
                assert not (asker.woken and room is None), "woken for nothing, or out of turn"
                assert room is None or asker.woken or not asker.there, "a slot woke nobody"
                if asker.woken and room is not None:
                    self.promised.append((asker, room))
                if room is not None:
                    self.waiting.remove(asker)

        def has_room(self, candidate: Candidate) -> bool:
            promised = sum(1 for _, other in self.promised if other is candidate)
            shut = self.now < candidate.shut_until
            return not shut and candidate.in_flight + promised < candidate.limit

        @invariant()
        def newcomers_take_nothing_from_those_who_wait(self) -> None:
            for each in self.all:
                promised = sum(1 for _, other in self.promised if other is each)
                wanted = any(each in asker.wanted for asker in self.waiting)
                full = each.in_flight + promised >= each.limit
                assert self.queue.precedes(0, each) == (wanted or full)

        @invariant()
        def it_knows_who_waits(self) -> None:
            assert len(self.queue) == len(self.waiting) <= 6 + 3 * COUNT, "those who came back too"
            assert self.queue.full == (len(self.waiting) >= 6)
            assert self.queue.idle == (not self.waiting and not self.promised)

    return AnyInterleaving


def test_slots_are_given_in_order_and_no_wake_up_is_lost() -> None:
    run_state_machine_as_test(
        queue_machine(queue),
        settings=settings(max_examples=100, stateful_step_count=40, deadline=None),
    )
