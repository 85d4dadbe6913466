"""One actor: its address, its turns, and how asks are answered.

The usual message finds an idle actor and nobody in a turn, and is handled right in the sender's
call. Whatever is not so usual finds `_open` empty and takes the longer way.
"""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import trio

from understudy_actors.runtime.actor import LATER, ChildSpec, Context, Start, State
from understudy_actors.runtime.errors import (
    ActorStopped,
    ActorSuspended,
    AskCycle,
    Crashed,
    DeadlineExceeded,
    NoReply,
)
from understudy_actors.runtime.life import Ask, Life, Waiting, is_wanted
from understudy_actors.runtime.mailbox import Lane
from understudy_actors.runtime.reply import Reply
from understudy_actors.runtime.system import System
from understudy_actors.runtime.turn import Turn


class Keeper(Protocol):
    """Who decides what becomes of a crashed actor."""

    def crashed(self, cell: Cell, message: Any, error: Exception) -> None:
        """A turn of `cell` raised `error` over `message`; the cell is still on the stack."""
        ...

    def revive(self, cell: Cell) -> None:
        """Restart `cell` as soon as nobody is in a turn."""
        ...


def _kind(message: Any) -> str:
    return type(message).__name__


class Cell(Life):
    """An actor with everything around it; to others, its `Ref`.

    Its entrances are protected from Ctrl-C, which would otherwise tear a turn apart. trio raises
    it at the next checkpoint of the main task instead.
    """

    __slots__ = ("_keeper", "_slot", "_trace")

    def __init__(self, system: System, keeper: Keeper, spec: ChildSpec) -> None:
        super().__init__(system, spec)
        self._keeper = keeper
        self._trace = system.trace
        self._slot: Reply | None = None  # of the ask being handled

    @trio.lowlevel.enable_ki_protection
    def ask_now(self, message: Any) -> Any:
        """See `Ref.ask_now`. Costs little more than the turn itself, and allocates nothing."""
        receive = self._open
        if receive is None:
            return self._ask_with_care(message)
        turn = Turn(self) if self._trace.fine else None
        stack = self._stack
        self._open = None
        stack.append(self)
        try:
            reply = receive(message)
        except Exception as error:
            if turn is not None:
                turn.over(message)
            crash = self._crash(message, error)
            self._drain()
            raise crash from error
        except BaseException:
            self._end_turn()
            raise
        stack.pop()
        self.handled += 1
        if self._dirty:
            self._look_around()
        else:
            self._open = receive
        if turn is not None:
            turn.over(message)
        if self.system.ready and not stack:
            self.system.drain()
        if reply is LATER:
            raise self._comes_later(message)
        return reply

    @trio.lowlevel.enable_ki_protection
    def tell(self, message: Any, lane: Lane = Lane.WORK) -> None:
        """See `Ref.tell`."""
        if self._open is not None and not self._stack:
            try:  # noqa: SIM105 - suppress() would cost more than all the rest
                self.ask_now(message)
            except (Crashed, NoReply):
                pass  # a teller learns neither what became of its message nor what it answered
            return
        if (refusal := self._refusal(message)) is not None:
            self._bury(message, refusal.why)
        else:
            self._queue(Waiting(message), lane)
        self._drain()

    async def ask(self, message: Any, deadline_s: float, lane: Lane = Lane.WORK) -> Any:
        """See `Ref.ask`."""
        reply = self._post(message, deadline_s, lane)
        if reply.open:
            # Our own timer rather than trio's deadline, so that equal times keep their order.
            timer = self.system.timers.at(deadline_s, partial(self._expire, reply, deadline_s))
            waiting = self.herald.waiting(deadline_s) if self._trace.fine else 0
            try:
                await reply.wait()
            finally:
                timer.cancel()
                if waiting:
                    self.herald.waited(waiting, reply.how)
        return reply.result()

    def revive(self) -> None:
        """See `Ref.revive`."""
        if self.state is State.STOPPED:
            raise ActorStopped(self.name)
        if self.state is not State.RUNNING:
            self._keeper.revive(self)

    def begin(self, why: str) -> None:
        """Build the next incarnation from the last snapshot, and let messages in.

        Raises whatever `start` raises; the actor is then as far down as before.
        """
        self.incarnation += 1
        self._context = Context(self, self.incarnation)
        start = Start(self._context, self._snapshot, self.incarnation, self.poison, why)
        self._stack.append(self)  # what it tells while it starts waits until it has
        try:
            actor = self.spec.start(start)
        except BaseException:
            self._context = None
            raise
        finally:
            self._stack.pop()
        if self.state is not State.STOPPED:  # by its own `start`
            self.come_up(actor, why)

    def remind(self, context: Context, message: Any) -> None:
        """A timer of `context` is due; one that an earlier incarnation set says nothing."""
        if context is self._context:
            self.tell(message, Lane.CONTROL)

    def take_slot(self, context: Context) -> Reply:
        """The reply slot of the ask being handled; one that is closed already if nobody waits."""
        if context is not self._context or not self._stack or self._stack[-1] is not self:
            raise RuntimeError(f"{self.name}: reply() belongs into the turn that handles the ask")
        if self._slot is None:
            return Reply(self._debts, open=False)
        self._slot.taken = True
        return self._slot

    def step(self) -> None:
        """Handle the next waiting message, if it can be handled."""
        if self.state is State.RUNNING and self._mailbox:
            try:
                self._handle(self._mailbox.take())
            finally:
                self._look_around()

    def _handle(self, entry: Waiting) -> None:
        """Handle a message that has waited, unless that makes no sense any more."""
        if type(entry) is Ask:
            if entry.perishable and self._now() >= entry.deadline_s:
                self._expire(entry.reply, entry.deadline_s)
            elif (refusal := self._refusal(entry.message)) is not None:
                entry.reply.close(refusal)
            elif is_wanted(entry):
                self._turn_of_ask(entry.message, entry.reply, entry)
        elif (refusal := self._refusal(entry.message)) is not None:
            self._bury(entry.message, refusal.why)
        else:
            with suppress(Crashed):  # its supervisor knows; a teller never learns
                self._turn(entry.message, entry)

    def _turn(self, message: Any, waited: Waiting | None = None) -> Any:
        """Handle one message, with an eye on its duration. Raises `Crashed` if it raised."""
        turn = Turn(self, waited) if self._trace.fine else None
        receive = self._receive
        assert receive is not None, "only a running actor has turns"
        self._open = None
        self._stack.append(self)
        try:
            reply = receive(message)
        except Exception as error:
            if turn is not None:
                turn.over(message)
            raise self._crash(message, error) from error
        except BaseException:  # Ctrl-C outside trio, an exit: not the actor's fault, so it goes on
            self._end_turn()
            raise
        self._end_turn()
        self.handled += 1
        if turn is not None:
            turn.over(message)
        return reply

    def _turn_of_ask(self, message: Any, reply: Reply, waited: Waiting | None = None) -> None:
        """Run the turn of an ask, and see to it that its slot is closed or owed."""
        self._slot = reply
        try:
            answer = self._turn(message, waited)
        except Crashed as crash:
            reply.close(crash)
        except BaseException as interrupt:
            reply.close(Crashed(self.name, _kind(message), type(interrupt).__name__))
            raise
        else:
            if answer is not LATER:
                reply.send(answer)
            elif not reply.taken:
                advice = "take context.reply() before returning LATER"
                reply.close(NoReply(self.name, _kind(message), advice))
            elif self.state is not State.RUNNING:
                reply.close(self._gone())  # it was taken down in this very turn
            elif reply.open:
                self._debts.owed[reply] = None
        finally:
            self._slot = None

    def _crash(self, message: Any, error: Exception) -> Crashed:
        """End a turn that raised."""
        self._leaving = None  # whoever crashed is in no state to say goodbye
        try:
            self._keeper.crashed(self, message, error)
        finally:
            self._end_turn()
        return Crashed(self.name, _kind(message), type(error).__name__)

    def _end_turn(self) -> None:
        self._stack.pop()
        self._look_around()

    def _drain(self) -> None:
        if self.system.ready and not self._stack:
            self.system.drain()

    def _ask_with_care(self, message: Any) -> Any:
        if self in self._stack:
            raise AskCycle(self.name, (each.name for each in self._stack))
        try:
            while self.state is State.RUNNING and self._mailbox:
                self.step()  # what was sent earlier is handled earlier
            if (refusal := self._refusal(message)) is not None:
                raise refusal
            if self.state is not State.RUNNING:
                raise ActorSuspended(self.name, self.restart_at)
            reply = self._turn(message)
        finally:
            self._drain()
        if reply is LATER:
            raise self._comes_later(message)
        return reply

    @trio.lowlevel.enable_ki_protection
    def _post(self, message: Any, deadline_s: float, lane: Lane) -> Reply:
        """Handle an ask now, or let it wait; its slot may be open afterwards."""
        if not math.isfinite(deadline_s):
            raise ValueError(f"{self.name}: an ask needs a finite deadline, got {deadline_s!r}")
        if self._now() >= deadline_s:
            raise DeadlineExceeded(self.name, deadline_s)
        if (refusal := self._refusal(message)) is not None:
            raise refusal
        reply = Reply(self._debts)
        if self._open is not None and not self._stack:
            self._turn_of_ask(message, reply)
        else:
            perishable = lane is Lane.WORK
            self._queue(Ask(message, reply, deadline_s, perishable=perishable), lane)
        self._drain()
        return reply

    def _expire(self, reply: Reply, deadline_s: float) -> None:
        reply.close(DeadlineExceeded(self.name, deadline_s))

    def _comes_later(self, message: Any) -> NoReply:
        return NoReply(self.name, _kind(message), "use `await ask(...)`, not `ask_now`")
