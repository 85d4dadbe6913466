"""Asks that wait: one reply, by a deadline, from the living, to those who are still there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given, settings, strategies as st

from tests.actors.runtime.world import REAL, Runtime, TrioClock, World, functional
from understudy_actors.domain.errors import Overloaded
from understudy_actors.runtime.actor import LATER, ChildSpec, Context, Ref
from understudy_actors.runtime.errors import (
    ActorDied,
    ActorError,
    ActorStopped,
    Crashed,
    DeadlineExceeded,
    MailboxFull,
    NoReply,
)
from understudy_actors.runtime.mailbox import Lane
from understudy_actors.runtime.reply import Reply


@attrs.define
class Clerk:
    """Answers numbers at once, and keeps what it is told to keep."""

    kept: list[Reply] = attrs.field(factory=list)
    seen: list[Any] = attrs.field(factory=list)

    def __call__(self, context: Context, message: Any) -> Any:
        self.seen.append(message)
        if message == "later":
            self.kept.append(context.reply())
            return LATER
        if message == "lost":
            return LATER
        if message == "bomb":
            raise ValueError(message)
        return message


@asynccontextmanager
async def turning(world: World) -> AsyncIterator[None]:
    """Run the world's timers meanwhile."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.timers.run, world.clock)
        yield
        nursery.cancel_scope.cancel()


async def outcome_of(ask: Callable[[], Awaitable[Any]]) -> Any:
    """What an ask returned or raised."""
    try:
        return await ask()
    except ActorError as error:
        return error


async def test_a_reply_that_is_ready_costs_no_checkpoint() -> None:
    world = World(clock=TrioClock())
    ref = world.spawn("clerk", Clerk())
    with trio.testing.assert_no_checkpoints():
        assert await ref.ask(7, deadline_s=1) == 7
    assert len(world.timers) == 0


async def test_an_ask_that_can_have_no_reply_says_so_at_once() -> None:
    world = World(clock=TrioClock())
    ref = world.spawn("clerk", Clerk())
    with pytest.raises(NoReply, match=r"take context\.reply\(\) before"):
        await ref.ask("lost", deadline_s=1)
    with pytest.raises(NoReply, match="use `await ask"):
        ref.ask_now("later")
    with pytest.raises(ValueError, match="finite deadline"):
        await ref.ask("later", deadline_s=float("inf"))
    with pytest.raises(DeadlineExceeded):
        await ref.ask(7, deadline_s=0)
    with pytest.raises(Crashed, match="ValueError"):
        await ref.ask("bomb", deadline_s=1)


def test_the_slot_of_an_ask_now_is_closed_and_a_reply_through_it_is_counted() -> None:
    world, clerk = World(), Clerk()
    ref = world.spawn("clerk", clerk)
    with pytest.raises(NoReply):
        ref.ask_now("later")
    assert not clerk.kept[0].open
    assert not clerk.kept[0].send(1)
    assert ref.status().dropped_replies == 1


def test_a_slot_is_taken_in_the_turn_or_not_at_all() -> None:
    contexts: list[Context] = []
    ref = World().spawn("clerk", lambda context, message: contexts.append(context))
    ref.tell(1)
    with pytest.raises(RuntimeError, match="belongs into the turn"):
        contexts[0].reply()


def check_ask(runtime: Runtime) -> None:
    """Raise if a slot is closed twice, or its answer is lost, in a race of any outcome."""
    when = st.none() | st.integers(0, 4)

    async def race(
        reply_s: int | None, crash_s: int | None, cancel_s: int | None, deadline_s: int, early: bool
    ) -> None:
        world, clerk = World(runtime, TrioClock()), Clerk()
        ref = world.spawn("clerk", clerk)
        got: list[Any] = []
        received: list[bool] = []

        async def asker(scope: trio.CancelScope) -> None:
            with scope:
                got.append(await outcome_of(lambda: ref.ask("later", deadline_s=deadline_s)))

        async def later(at_s: int, act: Callable[[], None]) -> None:
            await trio.sleep_until(at_s)
            act()

        async with turning(world), trio.open_nursery() as nursery:
            scope = trio.CancelScope()
            if early and cancel_s is not None:
                scope.cancel()
            nursery.start_soon(asker, scope)
            await trio.testing.wait_all_tasks_blocked()
            if reply_s is not None:
                reply = clerk.kept[0]
                nursery.start_soon(later, reply_s, lambda: received.append(reply.send("answer")))
                nursery.start_soon(later, reply_s, lambda: received.append(reply.send("again")))
            if crash_s is not None:
                nursery.start_soon(later, crash_s, lambda: ref.tell("bomb"))
            if cancel_s is not None:
                nursery.start_soon(later, cancel_s, scope.cancel)
        left = cancel_s is not None and not got
        answered = bool(got) and got[0] in ("answer", "again")
        assert len(got) == (0 if left else 1)
        assert sum(received) == answered, "send says whether the asker got it"
        assert ref.status().dropped_replies == received.count(False)
        ends = [reply_s, crash_s, 0 if early and cancel_s is not None else cancel_s, deadline_s]
        kinds = ["answer", "died", "left", "deadline"]
        first = min(end for end in ends if end is not None)
        if left:
            kind = "left"
        elif answered:
            kind = "answer"
        else:
            kind = "died" if isinstance(got[0], ActorDied) else "deadline"
            assert isinstance(got[0], ActorDied | DeadlineExceeded)
        assert kind in [kind for kind, end in zip(kinds, ends, strict=True) if end == first]
        cell: Any = ref
        assert not cell._debts.owed, "a closed slot is still owed"
        assert len(world.timers) <= (1 if crash_s is not None else 0), "a deadline was left set"

    @settings(database=None)
    @given(st.tuples(when, when, when, st.integers(1, 4), st.booleans()))
    def any_race(times: Any) -> None:
        trio.run(race, *times, clock=trio.testing.MockClock(autojump_threshold=0))

    any_race()
    trio.run(_queued_asks, runtime, clock=trio.testing.MockClock(autojump_threshold=0))


async def _queued_asks(runtime: Runtime) -> None:
    """What waits at a suspended actor: dead askers' work is not done, the rest is, in order."""
    world, clerk = World(runtime, TrioClock()), Clerk()
    ref = world.spawn("clerk", clerk, mailbox_capacity=4)
    got: dict[Any, Any] = {}

    async def ask(message: Any, deadline_s: float, lane: Lane = Lane.WORK) -> None:
        got[message] = await outcome_of(lambda: ref.ask(message, deadline_s, lane))

    async def ask_in(scope: trio.CancelScope, message: Any) -> None:
        with scope:
            await ask(message, 10.0)

    async with trio.open_nursery() as askers:
        ref.tell("bomb")
        restart_at = ref.status().retry_at
        assert restart_at is not None
        askers.start_soon(ask, "in time", 10.0)
        askers.start_soon(ask, "too late", restart_at / 2)
        askers.start_soon(ask, "too late, but a result", restart_at / 2, Lane.RESULTS)
        with trio.move_on_after(restart_at / 4):
            await ref.ask("left", 10.0)
        askers.start_soon(ask, "also in time", 10.0)
        await trio.testing.wait_all_tasks_blocked()
        leaver = trio.CancelScope()
        askers.start_soon(ask_in, leaver, "takes the place, and leaves too")
        await trio.testing.wait_all_tasks_blocked()
        assert ref.status().work == 4
        with pytest.raises(MailboxFull) as full:
            ref.tell("one too many")
        assert isinstance(full.value, Overloaded)
        assert full.value.retry_at == restart_at
        leaver.cancel()
        async with turning(world):
            await trio.sleep_until(restart_at + 1)
        askers.cancel_scope.cancel()
    result, *work = clerk.seen[1:]
    assert result == "too late, but a result"
    assert set(got) == {"in time", "also in time", "too late", "too late, but a result"}
    assert sorted(work) == ["also in time", "in time"]
    assert got["in time"] == "in time"
    assert isinstance(got["too late"], DeadlineExceeded)
    assert isinstance(got["too late, but a result"], DeadlineExceeded)
    assert ref.status().dropped_replies == 1
    assert len(world.timers) == 0


def test_of_reply_death_deadline_and_leaving_the_first_one_counts() -> None:
    check_ask(REAL)


async def test_whoever_is_cancelled_after_the_answer_was_sent_still_gets_it() -> None:
    world, clerk = World(clock=TrioClock()), Clerk()
    ref, got = world.spawn("clerk", clerk), list[Any]()
    async with trio.open_nursery() as nursery:

        async def asker() -> None:
            got.append(await ref.ask("later", deadline_s=9))

        nursery.start_soon(asker)
        await trio.testing.wait_all_tasks_blocked()
        assert clerk.kept[0].send("permit")
        nursery.cancel_scope.cancel()
    assert got == ["permit"]


async def test_the_poison_ask_is_told_so_and_the_others_that_their_actor_died() -> None:
    world, clerk = World(clock=TrioClock()), Clerk()
    ref = world.spawn("clerk", clerk)
    got: dict[str, Any] = {}

    async def ask(message: str) -> None:
        got[message] = await outcome_of(lambda: ref.ask(message, 10.0))

    async with turning(world), trio.open_nursery() as nursery:
        ref.tell("bomb")
        nursery.start_soon(ask, "bomb")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask, "behind it")
        await trio.testing.wait_all_tasks_blocked()
        assert ref.status().work == 2
        ref.tell("a tell")
    assert isinstance(got["bomb"], Crashed)
    assert isinstance(got["behind it"], ActorDied)
    assert clerk.seen == ["bomb", "bomb"]
    assert ref.status().work == 1, "the tell waits for the next incarnation"


async def test_an_actor_that_leaves_in_the_turn_in_which_it_promised_a_reply_owes_nothing() -> None:
    world = World(clock=TrioClock())
    supervisor = world.supervisor()

    def promise_and_leave(context: Context, message: str) -> Any:
        context.reply()
        supervisor.remove("clerk")
        return LATER

    ref = supervisor.spawn(ChildSpec("clerk", functional(promise_and_leave)))
    with pytest.raises(ActorStopped):
        await ref.ask("x", 10.0)


async def test_stopping_answers_everybody() -> None:
    world = World(clock=TrioClock())
    clerk: Ref = world.spawn("clerk", Clerk())
    down: Ref = world.spawn("down", Clerk())
    down.tell("bomb")
    got: list[Any] = []

    async def ask(ref: Ref) -> None:
        got.append(await outcome_of(lambda: ref.ask("later", 10.0)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, clerk)
        nursery.start_soon(ask, down)
        await trio.testing.wait_all_tasks_blocked()
        world.system.stop()
    assert [type(each) for each in got] == [ActorStopped, ActorStopped]
    with pytest.raises(ActorStopped):
        await clerk.ask(1, 10.0)
    assert len(world.timers) == 0
