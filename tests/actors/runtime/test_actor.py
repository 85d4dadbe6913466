"""Actors by example: turns, crashes, reminders, stopping, and the events they leave."""

from __future__ import annotations

import inspect
import sys
from types import FrameType
from typing import Any

import attrs
import pytest
import trio

from tests.actors.runtime.world import World, functional
from understudy_actors.domain.errors import ShuttingDown, UnderstudyError
from understudy_actors.domain.events import (
    ActorCrashed,
    ActorGaveUp,
    ActorRestarted,
    ActorStarted,
    ActorStopped as ActorStoppedEvent,
    Contained,
    DeadLetter,
    SlowTurn,
)
from understudy_actors.runtime import errors
from understudy_actors.runtime.actor import ChildSpec, Context, Ref, Start, State
from understudy_actors.runtime.errors import (
    ActorDied,
    ActorStopped,
    ActorSuspended,
    AskCycle,
    Crashed,
    MailboxFull,
)
from understudy_actors.runtime.mailbox import Lane


class Bad(Exception):
    """What actors raise here."""


def crash_on_bomb(context: Context, message: Any) -> Any:
    if message == "bomb":
        raise Bad
    return message


def depth_of(frame: FrameType | None) -> int:
    depth = 0
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    return depth


def test_ten_thousand_tells_in_a_chain_need_no_deeper_stack_than_one() -> None:
    world, refs, depths = World(), list[Ref](), set[int]()

    def pass_on(context: Context, left: int) -> None:
        depths.add(depth_of(sys._getframe()))
        if left:
            refs[left % 2].tell(left - 1)

    refs += [world.spawn("ping", pass_on), world.spawn("pong", pass_on)]
    refs[0].tell(10_000)
    assert refs[0].status().handled + refs[1].status().handled == 10_001
    assert max(depths) - min(depths) <= 6  # the first turn runs in tell, the rest on the trampoline


def test_an_ask_cycle_is_named_and_whoever_asked_lives_on_if_it_catches_it() -> None:
    world, refs, caught = World(), dict[str, Ref](), list[AskCycle]()

    def ask_next(context: Context, message: str) -> str:
        try:
            return str(refs["b" if context.name == "a" else "a"].ask_now("hello"))
        except AskCycle as error:
            caught.append(error)
            return "went in circles"

    refs |= {name: world.spawn(name, ask_next) for name in "ab"}
    assert refs["a"].ask_now("hello") == "went in circles"
    assert [str(error) for error in caught] == [
        "ask cycle: a -> b -> a. Tell instead of asking.",
    ]


def test_a_full_mailbox_refuses_at_once_but_takes_results_and_control() -> None:
    world = World()
    ref = world.spawn("clerk", crash_on_bomb, mailbox_capacity=1)
    ref.tell("bomb")
    ref.tell(1)
    with pytest.raises(MailboxFull, match=r"clerk: mailbox is full \(1 messages waiting\)\. Shed"):
        ref.tell(2)
    ref.tell(3, Lane.RESULTS)
    ref.tell(4, Lane.CONTROL)
    status = ref.status()
    assert (status.control, status.results, status.work) == (1, 1, 1)
    world.advance_to(1)
    assert ref.status().handled == 3


def test_a_crash_is_told_to_the_asker_and_the_log_but_not_to_a_teller() -> None:
    world = World()
    world.listen()
    ref = world.spawn("clerk", crash_on_bomb)
    with pytest.raises(Crashed, match=r"^clerk crashed on str \(Bad\)") as crashed:
        ref.ask_now("bomb")
    assert isinstance(crashed.value.__cause__, Bad)
    assert ref.last_error is crashed.value.__cause__
    assert world.crashes == [("clerk", ref.last_error)]
    with pytest.raises(ActorSuspended) as suspended:
        ref.ask_now(1)
    assert suspended.value.retry_at == ref.status().retry_at
    world.advance_to(1)
    assert ref.ask_now(1) == 1
    restarted = world.events[2]
    assert isinstance(restarted, ActorRestarted)
    assert restarted.backoff_s == suspended.value.retry_at
    assert world.events == [
        ActorStarted(at_s=0, actor="clerk", incarnation=1),
        ActorCrashed(at_s=0, actor="clerk", incarnation=1, error="Bad", message_kind="str"),
        restarted,
    ]


def test_a_crash_inside_an_ask_takes_down_the_asker_too_unless_it_catches() -> None:
    world = World()
    inner = world.spawn("inner", crash_on_bomb)
    outer = world.spawn("outer", lambda context, message: inner.ask_now(message))
    with pytest.raises(Crashed, match=r"^outer crashed on str \(Crashed\)"):
        outer.ask_now("bomb")
    assert inner.status().state is outer.status().state is State.SUSPENDED


def test_giving_up_without_a_retry_is_handed_to_the_owner() -> None:
    world, heard = World(), list[tuple[str, Exception]]()
    world.listen()

    def hear(ref: Ref, error: Exception) -> None:
        heard.append((ref.name, error))
        raise Bad

    supervisor = world.supervisor(escalate=hear)
    spec = ChildSpec("ledger", functional(crash_on_bomb), max_restarts=0, retry_after_s=None)
    ref = supervisor.spawn(spec)
    ref.tell("bomb")
    assert heard == [("ledger", ref.last_error)]
    assert [type(event) for event in world.events[1:]] == [ActorCrashed, ActorGaveUp, Contained]
    assert ref.status().state is State.UNAVAILABLE
    with pytest.raises(ActorDied, match="revive it by hand"):
        ref.ask_now(1)
    ref.tell(1)
    assert isinstance(world.events[-1], DeadLetter)
    world.advance_to(10_000)
    assert ref.status().state is State.UNAVAILABLE
    ref.revive()
    assert ref.ask_now(1) == 1
    ref.revive()
    assert ref.status().incarnation == 2, "a running actor is left alone"


def test_a_failure_that_nobody_would_hear_of_is_refused() -> None:
    with pytest.raises(ValueError, match="set retry_after_s"):
        World().supervisor().spawn(ChildSpec("x", functional(crash_on_bomb), retry_after_s=None))


def test_a_first_start_that_raises_reaches_whoever_spawned_it() -> None:
    world, leaked = World(), list[Ref]()

    def start(start: Start) -> Any:
        leaked.append(start.context.ref)
        raise Bad

    supervisor = world.supervisor()
    with pytest.raises(Bad):
        supervisor.spawn(ChildSpec("clerk", start))
    leaked[0].tell("anybody?")
    assert leaked[0].status().dead_letters == 1
    assert supervisor.spawn(ChildSpec("clerk", functional(crash_on_bomb))).ask_now(1) == 1


def test_names_are_unique_until_they_are_given_up() -> None:
    world = World()
    supervisor = world.supervisor(children=[ChildSpec("clerk", functional(crash_on_bomb))])
    with pytest.raises(ValueError, match="an actor named 'clerk' already"):
        world.spawn("clerk", crash_on_bomb)
    old = supervisor.child("clerk")
    supervisor.remove("clerk")
    assert world.spawn("clerk", crash_on_bomb).ask_now(1) == 1
    with pytest.raises(ActorStopped):
        old.ask_now(1)
    with pytest.raises(ActorStopped):
        old.revive()
    with pytest.raises(LookupError, match="no child named 'clerk'"):
        supervisor.remove("clerk")


@attrs.define
class Diary:
    """An actor with a stop, which writes everything down."""

    lines: list[str]
    start: Start
    on_message: Any = None

    def receive(self, message: Any) -> Any:
        self.lines.append(f"{self.start.context.name} {message}")
        if self.on_message is not None:
            return self.on_message(self, message)
        return message

    def stop(self) -> None:
        self.lines.append(f"{self.start.context.name} stops")


def test_stopping_goes_backwards_and_what_a_stopping_actor_tells_is_still_handled() -> None:
    world, lines = World(), list[str]()
    world.listen()
    supervisor = world.supervisor()
    first = supervisor.spawn(ChildSpec("first", lambda start: Diary(lines, start)))

    class Last(Diary):
        def stop(self) -> None:
            super().stop()
            first.tell("goodbye")
            raise Bad

    supervisor.spawn(ChildSpec("last", lambda start: Last(lines, start)))
    world.system.stop()
    world.system.stop()
    assert lines == ["last stops", "first goodbye", "first stops"]
    assert [type(event) for event in world.events[2:]] == [
        ActorCrashed,
        ActorStoppedEvent,
        ActorStoppedEvent,
    ]
    first.tell("too late")
    assert first.status().dead_letters == 1
    with pytest.raises(ActorStopped):
        first.ask_now("too late")
    with pytest.raises(ShuttingDown):
        supervisor.spawn(ChildSpec("new", lambda start: Diary(lines, start)))


def test_an_actor_may_have_itself_removed_and_stops_after_its_turn() -> None:
    world, lines = World(), list[str]()
    supervisor = world.supervisor()

    def leave(diary: Diary, message: str) -> str:
        supervisor.remove("clerk")
        lines.append("still in the turn")
        return "done"

    ref = supervisor.spawn(ChildSpec("clerk", lambda start: Diary(lines, start, leave)))
    assert ref.ask_now("leave") == "done"
    assert lines == ["clerk leave", "still in the turn", "clerk stops"]
    assert ref.status().state is State.STOPPED


def test_rest_for_one_takes_down_an_actor_in_its_turn_only_after_that() -> None:
    world, lines = World(), list[str]()
    supervisor = world.supervisor("rest_for_one")
    base = supervisor.spawn(ChildSpec("base", functional(crash_on_bomb)))

    def use(diary: Diary, message: str) -> str:
        with pytest.raises(Crashed):
            base.ask_now("bomb")
        top.tell("afterwards")
        lines.append("top goes on")
        return "done"

    def start(start: Start) -> Diary:
        return Diary(lines, start, use if start.incarnation == 1 else None)

    top = supervisor.spawn(ChildSpec("top", start))
    assert top.ask_now("use") == "done"
    assert lines == ["top use", "top goes on", "top stops"]
    with pytest.raises(ActorSuspended) as suspended:
        top.ask_now("again")
    assert suspended.value.retry_at == base.status().retry_at
    world.advance_to(1)
    assert lines[3:] == ["top afterwards"]


def test_a_dependent_that_crashes_after_it_was_taken_down_is_not_counted_twice() -> None:
    world, lines = World(), list[str]()
    supervisor = world.supervisor("rest_for_one")
    base = supervisor.spawn(ChildSpec("base", functional(crash_on_bomb)))

    def start(start: Start) -> Diary:
        return Diary(lines, start, lambda diary, message: base.ask_now(message))

    top = supervisor.spawn(ChildSpec("top", start, max_restarts=0))
    with pytest.raises(Crashed, match=r"^top crashed"):
        top.ask_now("bomb")
    assert [name for name, _ in world.crashes] == ["base", "top"]
    assert top.status().state is State.SUSPENDED, "the crash of another is no reason to give up"
    world.advance_to(1)
    assert top.ask_now("hello") == "hello"
    assert lines == ["top bomb", "top hello"], "whoever crashed is not asked to stop in good order"


def test_what_a_turn_told_before_it_crashed_is_handled_before_its_asker_learns() -> None:
    world, seen = World(), list[Any]()
    other = world.spawn("other", lambda context, message: seen.append(message))

    def tell_and_crash(context: Context, message: str) -> None:
        other.tell(message)
        raise Bad

    ref = world.spawn("clerk", tell_and_crash)
    with pytest.raises(Crashed):
        ref.ask_now("told")
    assert seen == ["told"]


def test_an_actor_that_is_down_can_be_revived_from_within_a_turn() -> None:
    world = World()
    down = world.spawn("down", crash_on_bomb)
    down.tell("bomb")
    doctor = world.spawn("doctor", lambda context, message: down.revive())
    doctor.tell("go")
    assert down.status().state is State.SUSPENDED, "no incarnation begins inside a turn"
    world.advance_to(0)
    assert down.status().state is State.RUNNING


def test_reminders_reach_their_own_incarnation_on_the_control_lane_and_no_other() -> None:
    world, seen = World(), list[tuple[int, Any]]()

    def remind(context: Context, message: Any) -> None:
        seen.append((context.incarnation, message))
        if message == "set":
            context.tell_at(5.0, f"set by {context.incarnation}")
            context.tell_at(4.0, "never").cancel()
        if message == "bomb":
            raise Bad

    ref = world.spawn("clerk", remind)
    ref.tell("set")
    ref.tell("bomb")
    world.advance_to(1)
    ref.tell("set")
    world.advance_to(10)
    assert seen == [(1, "set"), (1, "bomb"), (2, "set"), (2, "set by 2")]


def test_a_snapshot_of_a_dead_incarnation_changes_nothing() -> None:
    world, contexts, snapshots = World(), list[Context](), list[Any]()

    def start(start: Start) -> Any:
        contexts.append(start.context)
        snapshots.append(start.snapshot)
        start.context.save(start.incarnation)
        return functional(crash_on_bomb)(start)

    ref = world.supervisor().spawn(ChildSpec("clerk", start))
    ref.tell("bomb")
    contexts[0].save("from beyond the grave")
    world.advance_to(1)
    assert snapshots == [None, 1]


def test_what_an_actor_tells_itself_while_starting_waits_until_it_runs() -> None:
    world, lines = World(), list[str]()

    def start(start: Start) -> Diary:
        start.context.ref.tell("from start")
        lines.append("starting")
        return Diary(lines, start)

    world.supervisor().spawn(ChildSpec("clerk", start))
    assert lines == ["starting", "clerk from start"]


@pytest.mark.parametrize("how", ["tell", "ask_now", "queued"])
def test_an_interrupted_turn_leaves_its_actor_able_to_go_on(how: str) -> None:
    def interrupt(context: Context, message: str) -> str:
        if message == "interrupt":
            raise KeyboardInterrupt
        if message == "queue":
            context.ref.tell("interrupt")
            context.ref.tell("after")
        return message

    ref = World().spawn("clerk", interrupt)
    with pytest.raises(KeyboardInterrupt):
        if how == "queued":
            ref.tell("queue")
        else:
            getattr(ref, how)("interrupt")
    assert ref.ask_now("and on") == "and on"
    assert ref.status().state is State.RUNNING
    assert ref.status().work == 0
    assert ref.status().handled == (3 if how == "queued" else 1)


async def test_an_interrupted_ask_is_answered_all_the_same() -> None:
    def interrupt(context: Context, message: str) -> str:
        raise KeyboardInterrupt

    ref = World().spawn("clerk", interrupt)
    with pytest.raises(KeyboardInterrupt):
        await ref.ask("x", 1.0)
    assert ref.status().state is State.RUNNING


@pytest.mark.parametrize("entrance", ["tell", "ask_now"])
async def test_ctrl_c_does_not_tear_a_turn_apart(entrance: str) -> None:
    protected: list[bool] = []

    def look(context: Context, message: str) -> None:
        protected.append(trio.lowlevel.currently_ki_protected())

    getattr(World().spawn("clerk", look), entrance)("x")
    assert protected == [True]


def test_a_turn_of_more_than_50_ms_leaves_an_event_if_anybody_listens() -> None:
    world = World()

    def dawdle(context: Context, message: float) -> None:
        world.hand.now_s += message

    ref = world.spawn("clerk", dawdle)
    ref.tell(0.3)
    world.listen()
    ref.tell(0.04)
    ref.ask_now(0.25)
    slow = [event for event in world.events if isinstance(event, SlowTurn)]
    assert [(event.actor, event.message_kind) for event in slow] == [("clerk", "float")]
    assert slow[0].elapsed_s == pytest.approx(0.25)


def test_a_hook_that_raises_is_contained() -> None:
    world = World()
    world.listen()
    system = world.runtime.system.System(
        world.clock, world.timers, world.system.randomness, world.trace, on_crash=raise_bad
    )
    ref = world.runtime.supervisor.Supervisor(system).spawn(
        ChildSpec("clerk", functional(crash_on_bomb))
    )
    ref.tell("bomb")
    assert ref.status().state is State.SUSPENDED
    contained = [event for event in world.events if isinstance(event, Contained)]
    assert [(event.where, event.who) for event in contained] == [("on_crash", "clerk")]


def raise_bad(ref: Ref, error: Exception) -> None:
    raise Bad


def test_every_error_of_an_actor_is_one_of_ours() -> None:
    everything = vars(errors).values()
    classes = [c for c in everything if inspect.isclass(c) and c.__module__ == errors.__name__]
    assert len(classes) == 10
    assert all(issubclass(each, UnderstudyError) for each in classes)
