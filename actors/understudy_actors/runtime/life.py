"""An actor's state of health, and what waits for it meanwhile.

    (spawned) ──▶ RUNNING ──turn raised──▶ SUSPENDED ──back-off over──▶ RUNNING
                                           └─too often─▶ UNAVAILABLE ──retry, revive──▶ RUNNING
    any ──stopped, removed──▶ STOPPED

A life spans the incarnations of its actor. It decides nothing about restarts: its supervisor does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from understudy_actors.runtime.actor import Actor, ChildSpec, Context, State, Status
from understudy_actors.runtime.errors import (
    ActorDied,
    ActorError,
    ActorStopped,
    MailboxFull,
    PoisonRefused,
)
from understudy_actors.runtime.herald import Herald
from understudy_actors.runtime.mailbox import Lane, Mailbox
from understudy_actors.runtime.ports import TimerHandle
from understudy_actors.runtime.reply import Debts, Reply
from understudy_actors.runtime.restart import PoisonDoor
from understudy_actors.runtime.system import Member, System


class Waiting:
    """A queued message: in which lane, its number, and when it was sent (see `TurnEnded`)."""

    __slots__ = ("lane", "message", "number", "sent")

    lane: Lane
    number: int
    sent: int

    def __init__(self, message: Any) -> None:
        self.message = message


class Ask(Waiting):
    """A queued ask. `perishable`: pointless, and not to be handled, once its asker is gone."""

    __slots__ = ("deadline_s", "perishable", "reply")

    def __init__(self, message: Any, reply: Reply, deadline_s: float, *, perishable: bool) -> None:
        self.message = message
        self.reply = reply
        self.deadline_s = deadline_s
        self.perishable = perishable


def is_told(entry: Waiting) -> bool:
    """Is a queued entry a told message, rather than an ask?"""
    return type(entry) is not Ask


def is_wanted(entry: Waiting) -> bool:
    """Is there a point in handling a queued entry?"""
    return type(entry) is not Ask or entry.reply.open or not entry.perishable


class Life(Member):
    """What a `Cell` is without its turns.

    Attributes:
        state: Whether it runs.
        restart_at: When it restarts by itself, absolute; None if it runs, or never does.
        poison: The message that crashed the last incarnation.
        sent: How many messages were sent to it; those that did not wait are counted only while
            somebody listens to turns.
    """

    __slots__ = (
        "_actor",
        "_context",
        "_debts",
        "_dirty",
        "_down_at",
        "_leaving",
        "_mailbox",
        "_now",
        "_open",
        "_receive",
        "_snapshot",
        "_stack",
        "dead_letters",
        "door",
        "handled",
        "herald",
        "incarnation",
        "last_error",
        "name",
        "poison",
        "restart_at",
        "restart_timer",
        "restarts",
        "sent",
        "spec",
        "state",
        "system",
    )

    def __init__(self, system: System, spec: ChildSpec) -> None:
        self.system = system
        self.spec = spec
        self.name = spec.name
        self.herald = Herald(spec.name, system.clock, system.trace)
        self.state = State.SUSPENDED
        self.incarnation = self.restarts = self.handled = self.dead_letters = self.sent = 0
        self.restart_at: float | None = None
        self.restart_timer: TimerHandle | None = None
        self.last_error: Exception | None = None
        self.poison: Any = None
        self.door = PoisonDoor()
        self.scheduled = False
        self.place = 0
        self._now = system.clock.now
        self._stack = system.stack
        self._mailbox = Mailbox(spec.mailbox_capacity)
        self._debts = Debts()
        self._actor: Actor | None = None
        self._leaving: Actor | None = None  # taken down in its own turn; stopped after it
        self._context: Context | None = None
        self._snapshot: Any = None
        self._down_at = self._now()
        self._receive: Callable[[Any], Any] | None = None
        # The one thing that the fast path looks at: `_receive` while a message may be handled at
        # once, None if anything at all has to be considered first.
        self._open: Callable[[Any], Any] | None = None
        self._dirty = False  # after this turn, do consider

    def status(self) -> Status:
        """See `Ref.status`."""
        control, results, work = self._mailbox.lengths()
        return Status(
            name=self.name,
            state=self.state,
            incarnation=self.incarnation,
            control=control,
            results=results,
            work=work,
            restarts=self.restarts,
            handled=self.handled,
            dropped_replies=self._debts.dropped,
            dead_letters=self.dead_letters,
            retry_at=self.restart_at,
        )

    def save(self, context: Context, snapshot: Any) -> None:
        """Keep a snapshot for the next incarnation, unless `context` is of an earlier one."""
        if context is self._context:
            self._snapshot = snapshot
            if self.system.on_save is not None:
                self.system.on_save(self.name, snapshot)

    def come_up(self, actor: Actor, why: str) -> None:
        """Let messages in, to a new incarnation."""
        self.state, self.restart_at, self.poison = State.RUNNING, None, None
        self._cancel_restart()
        self._actor, self._receive = actor, actor.receive
        if self.incarnation == 1:
            self.herald.started(self.incarnation)
        else:
            self.restarts += 1
            self.herald.restarted(self.incarnation, self._down_at, why)
        self._look_around()

    def go_down(self, state: State, restart_at: float | None, *, healthy: bool = False) -> None:
        """Leave `state` behind: answer who waits; what was told waits for a restart, if any.

        A `healthy` actor, taken down for the sake of another, gets to run its `stop()`.
        """
        actor = self._actor
        if self.state is State.RUNNING:
            self._down_at = self._now()
        self.state, self.restart_at = state, restart_at
        self._cancel_restart()
        self._actor = self._receive = self._open = self._context = None
        self._dirty = True
        self._answer_all()
        if state is not State.SUSPENDED:
            for entry in self._mailbox.sift(lambda _: False):
                self._bury(entry.message, state.value)
        if healthy and actor is not None:
            if self in self._stack:
                self._leaving = actor
            else:
                self._say_goodbye(actor)

    def retire(self) -> None:
        """Stop for good. Harmless when it has been."""
        if self.state is not State.STOPPED:
            self.go_down(State.STOPPED, None, healthy=True)
            self.herald.stopped(self.place)

    def crashed(self, kind: str, error: Exception) -> None:
        """Keep, emit and report what it raised while it handled `kind`."""
        self.last_error = error
        self.herald.crashed(self.incarnation, kind, error)
        self.system.report(self, error)

    def _look_around(self) -> None:
        """Find out whether the next message may take the fast path, and what else is to be done."""
        self._dirty = False
        if self._leaving is not None:
            actor, self._leaving = self._leaving, None
            self._say_goodbye(actor)
        running = self.state is State.RUNNING
        waiting = bool(self._mailbox)
        self._open = self._receive if running and not waiting and not self.door.ajar else None
        if running and waiting:
            self.system.schedule(self)

    def _say_goodbye(self, actor: Actor) -> None:
        stop = getattr(actor, "stop", None)
        if stop is None:
            return
        self._stack.append(self)  # what it tells while it stops waits until it has
        try:
            stop()
        except Exception as error:
            self.crashed("stop", error)
        finally:
            self._stack.pop()

    def _cancel_restart(self) -> None:
        if self.restart_timer is not None:
            self.restart_timer.cancel()
            self.restart_timer = None

    def _answer_all(self) -> None:
        """Nobody waits for the dead: end every ask that is owed a reply, or queued."""
        for reply in list(self._debts.owed):
            reply.close(self._gone())
        for ask in self._mailbox.sift(is_told):
            ask.reply.close(self._gone())

    def _gone(self) -> ActorError:
        """The error of an ask that the actor cannot answer any more."""
        if self.state is State.STOPPED:
            return ActorStopped(self.name)
        return ActorDied(self.name, self.restart_at)

    def _refusal(self, message: Any) -> ActorError | None:
        """Why `message` may not even wait; None if it may."""
        if self.state is State.STOPPED or self.state is State.UNAVAILABLE:
            return self._gone()
        if self.door.ajar:
            kind = type(message)
            until = self.door.refused_until(kind, self._now())
            if until is not None:
                return PoisonRefused(self.name, kind.__name__, until)
        return None

    def _queue(self, entry: Waiting, lane: Lane) -> None:
        """Let `entry` wait. Raises `MailboxFull`."""
        self.sent += 1
        entry.lane, entry.number, entry.sent = lane, self.sent, self.system.trace.seq
        if not self._mailbox.put(entry, lane):
            self._mailbox.sift(is_wanted)  # asks whose askers have left take no room
            if not self._mailbox.put(entry, lane):
                raise MailboxFull(self.name, self._mailbox.capacity, self.restart_at)
        self._open = None
        self._dirty = True
        if self.state is State.RUNNING:
            self.system.schedule(self)

    def _bury(self, message: Any, why: str) -> None:
        self.dead_letters += 1
        self.herald.dead_letter(message, why)
