"""What an actor is to those who write one, and to those who talk to one.

An actor owns state that nobody else may touch. It handles one message at a time, in one
synchronous call that runs to completion (a turn): nobody ever sees its state half-changed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import attrs
from msgspec import Struct

from understudy_actors.runtime.mailbox import Lane
from understudy_actors.runtime.ports import Randomness, TimerHandle
from understudy_actors.runtime.reply import Reply
from understudy_actors.runtime.trace import Trace

if TYPE_CHECKING:
    from understudy_actors.runtime.cell import Cell


class Later(enum.Enum):
    """Type of `LATER`."""

    LATER = "later"


LATER: Final = Later.LATER
"""What a turn returns when the reply comes later, through the slot of `Context.reply`."""


class State(enum.Enum):
    """Whether an actor handles messages."""

    RUNNING = "running"  # it does
    SUSPENDED = "suspended"  # it crashed; messages wait for its restart
    UNAVAILABLE = "unavailable"  # it crashed too often; messages are dead letters
    STOPPED = "stopped"  # it ended for good; messages are dead letters


class Actor(Protocol):
    """Handles messages. It may also have `stop()`, called when it is stopped in good health.

    Law: `receive` never waits and keeps nothing of the context's clock or chance to itself; it may
    tell, ask other actors, set timers and emit events. What it raises takes it down, and its
    successor starts from the last snapshot it saved.
    """

    def receive(self, message: Any, /) -> Any:
        """Handle one message; what it returns answers an ask, and is ignored for a tell."""
        ...


class Ref(Protocol):
    """The address of an actor. It stays the same across restarts."""

    __slots__ = ()

    name: str
    last_error: Exception | None
    """What it crashed with most recently."""

    def tell(self, message: Any, lane: Lane = Lane.WORK) -> None:
        """Leave a message; never waits and never learns what becomes of it.

        Called from outside, the message and all that follows from it are handled before this
        returns. Called in a turn, it is handled after the outermost turn has ended. Messages of
        one sender on one lane are handled in the order of sending, each at most once. What finds
        nobody becomes a `DeadLetter`.

        Raises:
            MailboxFull: The actor is suspended or behind, and its WORK lane is full.
        """
        ...

    def ask_now(self, message: Any) -> Any:
        """Have `message` handled now, after what waits before it, and return the reply.

        Raises:
            AskCycle: The actor is in the middle of a turn that led here.
            ActorSuspended, ActorDied, ActorStopped, PoisonRefused: It was not handled.
            Crashed: Handling it raised.
            NoReply: The actor would answer later; its later reply will be dropped.
        """
        ...

    async def ask(self, message: Any, deadline_s: float, lane: Lane = Lane.WORK) -> Any:
        """Ask, and wait for the reply until `deadline_s` (absolute, on the engine's clock).

        A reply that is ready at once is returned without a checkpoint. A suspended actor is
        waited for. If the asker leaves or the deadline passes while a WORK ask is queued, it will
        not be handled; on the other lanes it is, and its reply is dropped.

        Raises:
            DeadlineExceeded: No reply in time.
            MailboxFull, ActorDied, ActorStopped, PoisonRefused, Crashed, NoReply: As above.
            ValueError: `deadline_s` is not finite.
        """
        ...

    def revive(self) -> None:
        """Restart it now if it is down, outside any turn; a running actor is left alone.

        Raises:
            ActorStopped: It has ended for good.
        """
        ...

    def status(self) -> Status:
        """How it is doing."""
        ...


class Status(Struct, frozen=True, kw_only=True):
    """One reading of an actor.

    Attributes:
        state, incarnation: Whether it runs, and the how-manieth start this is.
        control, results, work: Messages waiting in each lane.
        restarts, handled: Successful restarts, and turns that ended well, since it was spawned.
        dropped_replies: Replies that came after their ask was over.
        dead_letters: Messages that found nobody.
        retry_at: When it restarts by itself, if it is down and does.
    """

    name: str
    state: State
    incarnation: int
    control: int
    results: int
    work: int
    restarts: int
    handled: int
    dropped_replies: int
    dead_letters: int
    retry_at: float | None


class Context:
    """What one incarnation of an actor may use of the world.

    Attributes:
        name, incarnation: Who it is.
        now, wall: The clock; see `ports.Clock`.
        trace: Where its events go.
        randomness: Where its chance comes from.
    """

    __slots__ = ("_cell", "incarnation", "name", "now", "randomness", "trace", "wall")

    name: str
    incarnation: int
    now: Callable[[], float]
    wall: Callable[[], float]
    trace: Trace
    randomness: Randomness

    def __init__(self, cell: Cell, incarnation: int) -> None:
        system = cell.system
        self._cell = cell
        self.name = cell.name
        self.incarnation = incarnation
        self.now = system.clock.now
        self.wall = system.clock.wall
        self.trace = system.trace
        self.randomness = system.randomness

    @property
    def ref(self) -> Ref:
        """The actor's own address."""
        return self._cell

    def tell_at(self, at_s: float, message: Any) -> TimerHandle:
        """Tell `message` to oneself on the CONTROL lane at `at_s`, unless restarted before."""
        return self._cell.system.timers.at(at_s, partial(self._cell.remind, self, message))

    def save(self, snapshot: Any) -> None:
        """Keep `snapshot` for the next incarnation. It is not copied: pass what never changes.

        It counts at once, even if the turn that saves it raises afterwards.
        """
        self._cell.save(self, snapshot)

    def reply(self) -> Reply:
        """The slot for the reply to the message being handled; return `LATER` then.

        Its `open` is False if nobody waits: for a tell, or an ask that is over.

        Raises:
            RuntimeError: Not called in a turn of this actor.
        """
        return self._cell.take_slot(self)


@attrs.frozen
class Start:
    """What an incarnation starts from.

    Attributes:
        context: Its world.
        snapshot: The last one saved by an earlier incarnation; None the first time.
        incarnation: 1 for the first attempt to start, then counting up.
        poison: The message whose handling crashed the one before, if that is why.
        why: What led to this start, in a few words.
    """

    context: Context
    snapshot: Any
    incarnation: int
    poison: Any
    why: str


StartActor: TypeAlias = Callable[[Start], Actor]


@attrs.frozen
class ChildSpec:
    """How to run one actor.

    Attributes:
        name: Unique among the actors of a system.
        start: Builds an incarnation. Raising counts as a crash, except for the first one.
        max_restarts, period_s: Restart intensity: so many within so many seconds.
        retry_after_s: Restart so long after giving up; None hands the failure to the supervisor's
            owner instead.
        mailbox_capacity: Bound of the WORK lane, >= 1.
    """

    name: str
    start: StartActor
    max_restarts: int = attrs.field(default=5, validator=attrs.validators.ge(0))
    period_s: float = attrs.field(default=30.0, validator=attrs.validators.gt(0))
    retry_after_s: float | None = 300.0
    mailbox_capacity: int = attrs.field(default=1024, validator=attrs.validators.ge(1))
