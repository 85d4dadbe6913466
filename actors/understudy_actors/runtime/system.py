"""One world of actors: who is in a turn, who is next, and how all of it ends.

The trampoline: a message told in a turn is queued, and its receiver noted as ready. When the
outermost turn has ended, whoever is ready handles one message each, in turn, until nobody is. A
chain of tells of any length therefore needs no more stack than one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from understudy_actors.domain.errors import ShuttingDown
from understudy_actors.domain.events import Contained
from understudy_actors.runtime.actor import Ref
from understudy_actors.runtime.ports import Clock, Randomness, Timers
from understudy_actors.runtime.trace import Trace

OnCrash = Callable[[Ref, Exception], None]
"""Called once for each crash with the actor and what it raised, so that somebody can log it."""


OnSave = Callable[[str, Any], None]
"""Called with an actor's name and each snapshot that it saves, so that somebody can keep it."""


class Member(Ref, Protocol):
    """An actor as the system sees it.

    `scheduled`: it is among the ready ones; `place`: in the order of starting, from 1.
    """

    __slots__ = ("place", "scheduled")

    scheduled: bool
    place: int

    def step(self) -> None:
        """Handle the next waiting message, if it can be handled."""
        ...

    def retire(self) -> None:
        """Stop for good."""
        ...


class System:
    """The clock, chance and trace that its actors share, and the trampoline they run on.

    Attributes:
        stack: Who is in a turn right now, outermost first.
        ready: Who has waiting messages that can be handled.
        on_save: Hears of every snapshot, if anybody does.
    """

    __slots__ = (
        "_closing",
        "_enrolled",
        "_members",
        "_on_crash",
        "clock",
        "on_save",
        "randomness",
        "ready",
        "stack",
        "timers",
        "trace",
    )

    def __init__(
        self,
        clock: Clock,
        timers: Timers,
        randomness: Randomness,
        trace: Trace,
        on_crash: OnCrash | None = None,
    ) -> None:
        self.clock = clock
        self.timers = timers
        self.randomness = randomness
        self.trace = trace
        self.on_save: OnSave | None = None
        self.stack: list[Member] = []
        self.ready: deque[Member] = deque()
        self._members: dict[str, Member] = {}
        self._on_crash = on_crash
        self._closing = False
        self._enrolled = 0

    def enrol(self, member: Member) -> None:
        """Add an actor; it will be stopped before all that were added earlier.

        Raises:
            ValueError: There is one of that name.
            ShuttingDown: The system has been stopped.
        """
        if self._closing:
            raise ShuttingDown(f"{member.name} was not started: the actor system has been stopped.")
        if member.name in self._members:
            raise ValueError(f"there is an actor named {member.name!r} already: choose another.")
        self._members[member.name] = member
        self._enrolled += 1
        member.place = self._enrolled

    def dismiss(self, name: str) -> None:
        """Forget an actor, whose name becomes free."""
        self._members.pop(name, None)

    def schedule(self, member: Member) -> None:
        """Note that `member` has messages which it can handle."""
        if not member.scheduled:
            member.scheduled = True
            self.ready.append(member)

    def drain(self) -> None:
        """Handle waiting messages until nobody is ready. Not to be called in a turn."""
        ready = self.ready
        while ready:
            member = ready.popleft()
            member.scheduled = False
            member.step()

    def report(self, ref: Ref, error: Exception) -> None:
        """Hand a crash to `on_crash`."""
        if self._on_crash is not None:
            self.guard("on_crash", self._on_crash, ref, error)

    def guard(self, where: str, hook: OnCrash, ref: Ref, error: Exception) -> None:
        """Call a hook from outside; one that raises harms nobody, and leaves an event."""
        try:
            hook(ref, error)
        except Exception as failure:
            if self.trace.on:
                self.trace.emit(
                    Contained(
                        at_s=self.clock.now(),
                        where=where,
                        who=ref.name,
                        error=type(failure).__name__,
                        note="the crash itself was dealt with",
                    )
                )

    def stop(self) -> None:
        """Stop every actor, in reverse order of starting; a second call does nothing.

        What can be handled is handled first. Then each actor's `stop()` is called, if it has one,
        while those that were started before it still run. Asks raise `ActorStopped` from here on,
        tells become dead letters.
        """
        self._closing = True
        if not self.stack:
            self.drain()
        while self._members:
            _, member = self._members.popitem()
            member.retire()
            if not self.stack:
                self.drain()
