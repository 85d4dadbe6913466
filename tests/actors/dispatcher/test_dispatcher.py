"""The dispatcher under the real runtime: switched strategies, crashes, and waiting in line."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.actors.dispatcher.desk import Desk
from tests.actors.dispatcher.made import flight, many
from tests.actors.runtime.world import TrioClock, World
from understudy_actors.dispatcher import actor
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.dispatcher.messages import (
    GateChanged,
    Left,
    LookOver,
    Rank,
    Select,
    SetStrategy,
    WaitForSlot,
)
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.errors import Overloaded
from understudy_actors.domain.events import StrategyChanged
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import Request
from understudy_actors.runtime.errors import ActorDied


@attrs.define
class Backwards:
    """A user's strategy."""

    name: str = "backwards"

    def rank(self, candidates: Any, view: Any) -> Any:
        return list(reversed(candidates))


def check_switching(module: ModuleType) -> None:
    """Raise unless a switched strategy is used at once, and still after a crash."""
    desk = Desk(many(3), module, strategy="priority")
    desk.world.listen()
    assert desk.rank(flight()) == ["p0", "p1", "p2"]
    desk.ref.tell(SetStrategy(Backwards()))
    assert desk.rank(flight()) == ["p2", "p1", "p0"]
    desk.ref.tell(SetStrategy("priority", "chat"))
    desk.crash()
    assert desk.ref.status().incarnation == 2
    assert desk.rank(flight()) == ["p0", "p1", "p2"]
    image = Request(operation="image", input=Request.chat("hi").input)
    assert desk.ref.ask_now(Rank(flight(image))).strategy == "backwards"
    desk.crash()
    desk.ref.tell(SetStrategy("backwards", "chat"))
    assert desk.rank(flight()) == ["p2", "p1", "p0"]
    overview = desk.ref.ask_now(LookOver())
    assert (overview.strategy, overview.by_operation) == ("backwards", {"chat": "backwards"})
    told = [e for e in desk.world.events if isinstance(e, StrategyChanged)]
    assert [(e.strategy, e.operation) for e in told] == [
        ("backwards", None),
        ("priority", "chat"),
        ("backwards", "chat"),
    ]
    assert len(desk.world.crashes) == 2


def test_a_switched_strategy_is_used_at_once_and_still_after_a_crash() -> None:
    check_switching(actor)


def test_a_strategy_that_raises_costs_nothing_but_its_opinion() -> None:
    class Broken:
        name = "broken"

        def rank(self, candidates: Any, view: Any) -> Any:
            raise ZeroDivisionError("of its own")

    desk = Desk(many(3), strategies={"broken": Broken}, strategy="broken")
    assert desk.rank(flight()) == ["p0", "p1", "p2"]
    assert [(where, who, type(what)) for where, who, what, _ in desk.reports] == [
        ("strategy", "broken", ZeroDivisionError)
    ]
    assert not desk.world.crashes


def test_select_ranks_for_a_caller_and_leaves_no_trace_in_the_queue() -> None:
    desk = Desk(many(2), strategy="priority")
    decision = desk.ref.ask_now(Select(Request.chat("hi"), 10, 10))
    assert [c.index for c in decision.ranked] == [0, 1]
    assert desk.ref.ask_now(LookOver()).waiting == 0


class Line:
    """Flights that wait for slots at a dispatcher, each in a task of its own."""

    def __init__(self, tier: list[Candidate], module: ModuleType = actor, **options: Any) -> None:
        for each in tier:
            each.limit = each.in_flight = 1
        self.desk = Desk(tier, module, World(clock=TrioClock()), **options)
        self.woken: list[str] = []
        self.ended: dict[str, Exception] = {}

    async def wait(self, going: Flight, deadline_s: float = 100.0) -> None:
        """Rank, and wait in line if that says so."""
        decision = self.desk.ref.ask_now(Rank(going))
        assert not decision.ranked
        assert decision.can_wait
        try:
            await self.desk.ref.ask(WaitForSlot(going), deadline_s)
        except Exception as error:
            self.ended[going.id] = error
        else:
            self.woken.append(going.id)

    def free(self, candidate: Candidate) -> None:
        candidate.in_flight -= 1
        self.desk.ref.tell(GateChanged(candidate))

    def sit(self, going: Flight, candidate: Candidate) -> None:
        candidate.in_flight += 1
        self.desk.ref.tell(Left(going))
        going.ticket = 0


async def check_line(module: ModuleType) -> None:
    """Raise unless waiters are served in order, one a slot, and nobody is passed by."""
    tier = many(2)
    line = Line(tier, module, strategy="priority")
    flights = [flight(id=str(number)) for number in range(4)]
    async with trio.open_nursery() as nursery:
        for going in flights:
            nursery.start_soon(line.wait, going)
            await trio.testing.wait_all_tasks_blocked()
        assert line.desk.ref.ask_now(LookOver()).waiting == 4
        line.free(tier[0])
        await trio.testing.wait_all_tasks_blocked()
        assert line.woken == ["0"], "one slot wakes one, the first"
        assert line.desk.rank(flight(id="new")) == [], "a newcomer takes nobody's slot"
        assert line.desk.rank(flights[0]) == ["p0"], "the one it was promised to gets it"
        line.sit(flights[0], tier[0])
        line.free(tier[1])
        await trio.testing.wait_all_tasks_blocked()
        line.desk.ref.tell(Left(flights[1]))  # it gave up: the slot is the next one's
        await trio.testing.wait_all_tasks_blocked()
        assert line.woken == ["0", "1", "2"]
        assert line.desk.rank(flights[2]) == ["p1"]
        nursery.start_soon(line.wait, flights[0])
        await trio.testing.wait_all_tasks_blocked()
        line.sit(flights[2], tier[1])
        line.free(tier[1])
        await trio.testing.wait_all_tasks_blocked()
        line.free(tier[0])
        await trio.testing.wait_all_tasks_blocked()
        assert line.woken == ["0", "1", "2", "3", "0"]
        assert line.desk.rank(flight(id="new")) == [], "both slots are promised"


async def test_waiters_are_served_in_order_one_a_slot_and_nobody_is_passed_by() -> None:
    await check_line(actor)


async def test_a_full_queue_refuses_at_once_but_not_those_who_have_a_ticket() -> None:
    line = Line(many(1), queue_capacity=1)
    first, second = flight(id="first"), flight(id="second")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.wait, first)
        await trio.testing.wait_all_tasks_blocked()
        await line.wait(second)
        assert isinstance(line.ended["second"], Overloaded)
        assert line.ended["second"].retry_after_s == 1.0
        line.free(line.desk.tier[0])
        await trio.testing.wait_all_tasks_blocked()
        line.desk.tier[0].in_flight = 1
        nursery.start_soon(line.wait, first)
        await trio.testing.wait_all_tasks_blocked()
        line.free(line.desk.tier[0])
    assert line.woken == ["first", "first"]


async def test_one_who_failed_elsewhere_waits_only_for_whom_it_has_not_tried() -> None:
    """Being woken for a target that it will not ask would lead straight back, for ever."""
    tier = many(2)
    line, going = Line(tier), flight(id="it")
    line.free(tier[0])
    step = line.desk.fail(going, tier[0], ErrorClass.SILENT)
    assert step.decision is not None
    assert step.decision.can_wait
    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.wait, going)
        await trio.testing.wait_all_tasks_blocked()
        assert line.woken == []
        line.free(tier[1])
        await trio.testing.wait_all_tasks_blocked()
        assert line.woken == ["it"]


async def test_one_who_tries_again_waits_for_the_one_it_tried() -> None:
    tier = many(1)
    line, going = Line(tier), flight(id="it", tried=[tier[0]])
    line.desk.rank(going)
    going.retries_here = 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.desk.ref.ask, WaitForSlot(going), 100.0)
        await trio.testing.wait_all_tasks_blocked()
        line.free(tier[0])


async def test_a_crash_tells_those_in_line_and_no_ticket_of_theirs_names_anybody_new() -> None:
    line = Line(many(1))
    old, new = flight(id="old"), flight(id="new")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.wait, old)
        await trio.testing.wait_all_tasks_blocked()
        ticket = old.ticket
        line.desk.ref.tell(object())
        await trio.testing.wait_all_tasks_blocked()
        assert isinstance(line.ended["old"], ActorDied)
        await trio.sleep(1.0)
        line.desk.world.timers.fire_due(trio.current_time())
        nursery.start_soon(line.wait, new)
        await trio.testing.wait_all_tasks_blocked()
        assert new.ticket > ticket
        line.desk.ref.tell(Left(old))
        assert line.desk.ref.ask_now(LookOver()).waiting == 1
        line.free(line.desk.tier[0])
    assert line.woken == ["new"]


@pytest.mark.parametrize("left", [True, False])
async def test_whoever_leaves_the_line_is_not_woken_in_vain(left: bool) -> None:
    line = Line(many(1))
    first, second = flight(id="first"), flight(id="second")
    scope = trio.CancelScope()

    async def cancellable() -> None:
        with scope:
            await line.wait(first)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancellable)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(line.wait, second)
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        if left:
            line.desk.ref.tell(Left(first))
        line.free(line.desk.tier[0])
    assert line.woken == ["second"]
