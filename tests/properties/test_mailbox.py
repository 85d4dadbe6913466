"""Order: lanes inside one mailbox, and turns among actors that tell and ask each other."""

from __future__ import annotations

from collections import defaultdict
from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.actors.runtime.world import REAL, Runtime, World, functional
from understudy_actors.runtime import mailbox as real_mailbox
from understudy_actors.runtime.actor import ChildSpec, Context, Ref
from understudy_actors.runtime.errors import AskCycle
from understudy_actors.runtime.mailbox import Lane

LANES = ("control", "results", "work")


def mailbox_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """A mailbox against three plain lists and the rule about overtaking."""

    class AnyUse(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.model: dict[str, list[int]] = {lane: [] for lane in LANES}
            self.passed = 0  # urgent messages taken while the same work message stood first
            self.serial = 0

        @initialize(capacity=st.integers(1, 80))
        def open_it(self, capacity: int) -> None:
            self.capacity = capacity
            self.mailbox = module.Mailbox(capacity)

        @rule(lane=st.sampled_from(LANES), count=st.sampled_from([1, 2, 5, 70]))
        def put(self, lane: str, count: int) -> None:
            for _ in range(count):
                self.serial += 1
                full = lane == "work" and len(self.model["work"]) >= self.capacity
                assert self.mailbox.put(self.serial, module.Lane(lane)) is not full
                if not full:
                    self.model[lane].append(self.serial)

        @precondition(lambda self: any(self.model.values()))
        @rule(count=st.sampled_from([1, 3, 66, 140]))
        def take(self, count: int) -> None:
            for _ in range(min(count, sum(map(len, self.model.values())))):
                assert self.mailbox.take() == self._expected()

        def _expected(self) -> int:
            urgent = next((lane for lane in LANES[:2] if self.model[lane]), None)
            work = self.model["work"]
            if urgent is None or (work and self.passed == 64):
                self.passed = 0
                return work.pop(0)
            self.passed = self.passed + 1 if work else 0
            return self.model[urgent].pop(0)

        @rule(divisor=st.integers(2, 4))
        def sift(self, divisor: int) -> None:
            removed = self.mailbox.sift(lambda message: message % divisor != 0)
            assert removed == [m for lane in LANES for m in self.model[lane] if m % divisor == 0]
            for lane in LANES:
                self.model[lane] = [m for m in self.model[lane] if m % divisor != 0]

        @invariant()
        def lengths_agree(self) -> None:
            if self.serial:
                lengths = tuple(len(self.model[lane]) for lane in LANES)
                assert self.mailbox.lengths() == lengths
                assert len(self.mailbox) == sum(lengths)
                assert bool(self.mailbox) is any(lengths)

    return AnyUse


def check_mailbox(module: ModuleType) -> None:
    """Raise if `module` is no mailbox."""
    run_state_machine_as_test(mailbox_machine(module), settings=settings(database=None))


def test_a_mailbox_keeps_order_in_each_lane_and_lets_nobody_starve() -> None:
    check_mailbox(real_mailbox)


@attrs.frozen
class Plan:
    """A message that says what its receiver is to do: send `then`, in order."""

    target: int
    how: str  # a lane's name to tell on it, or "ask"
    then: tuple[Plan, ...]


ACTORS = 4


def programs(*how: str) -> st.SearchStrategy[list[Plan]]:
    """Plans to send from outside, one after the other; each is part of one drawn before it."""
    node = st.tuples(st.integers(0, 30), st.integers(0, ACTORS - 1), st.sampled_from(how))
    # The longer ones because lists are short by themselves, and order shows among many.
    return (st.lists(node, max_size=12) | st.lists(node, min_size=15, max_size=40)).map(_grow)


def _grow(nodes: list[tuple[int, int, str]]) -> list[Plan]:
    children: dict[int, list[int]] = defaultdict(list)
    for index, (parent, _, _) in enumerate(nodes):
        children[parent % (index + 1) - 1].append(index)

    def build(index: int) -> Plan:
        return Plan(nodes[index][1], nodes[index][2], tuple(map(build, children[index])))

    return [build(index) for index in children[-1]]


class Play:
    """Carries out plans with real actors, and keeps the books."""

    def __init__(self, runtime: Runtime) -> None:
        self.world = World(runtime)
        self.serial = 0
        self.sent: dict[tuple[int, int, str], list[int]] = defaultdict(list)
        self.done: dict[tuple[int, int, str], list[int]] = defaultdict(list)
        self.waiting: dict[int, set[int]] = defaultdict(set)
        self.busy: list[int] = []
        self.deepest = 0
        supervisor = self.world.supervisor()
        self.refs: list[Ref] = [
            supervisor.spawn(ChildSpec(f"actor/{number}", functional(self.receive)))
            for number in range(ACTORS)
        ]

    def send(self, sender: int, plan: Plan) -> None:
        self.serial += 1
        serial, target = self.serial, plan.target
        key = (sender, target, plan.how)
        message = (serial, sender, plan)
        if plan.how != "ask":
            self.sent[key].append(serial)
            self.waiting[target].add(serial)
            self.refs[target].tell(message, Lane(plan.how))
            return
        if target in self.busy:
            with pytest.raises(AskCycle):
                self.refs[target].ask_now(message)
        else:
            assert self.refs[target].ask_now(message) == serial
            self.sent[key].append(serial)

    def receive(self, context: Context, message: Any) -> int:
        serial, sender, plan = message
        me = plan.target
        assert context.name == f"actor/{me}"
        assert me not in self.busy, "a turn began within a turn of the same actor"
        if plan.how == "ask":
            assert not self.waiting[me], "an ask overtook what was sent before it"
        self.waiting[me].discard(serial)
        self.busy.append(me)
        self.deepest = max(self.deepest, len(self.busy))
        self.done[sender, me, plan.how].append(serial)
        for each in plan.then:
            self.send(me, each)
        self.busy.pop()
        return int(serial)


def check_turns(runtime: Runtime) -> None:
    """Raise if actors of `runtime` lose, repeat, reorder or nest what they should not."""

    @settings(database=None)
    @given(programs("control", "results", "work", "ask"))
    def tells_and_asks(program: list[Plan]) -> None:
        play = Play(runtime)
        for plan in program:
            play.send(-1, plan)
            assert not any(play.waiting.values()), "a message was left lying"
        assert play.done == play.sent
        statuses = [ref.status() for ref in play.refs]
        assert sum(status.handled for status in statuses) == sum(map(len, play.done.values()))

    @settings(database=None)
    @given(programs("control", "work"))
    def tells(program: list[Plan]) -> None:
        play = Play(runtime)
        for plan in program:
            play.send(-1, plan)
        assert play.done == play.sent
        assert play.deepest <= 1, "a tell was handled within another turn"

    tells_and_asks()
    tells()


def test_messages_are_handled_once_in_order_of_sending_and_never_nested() -> None:
    check_turns(REAL)
