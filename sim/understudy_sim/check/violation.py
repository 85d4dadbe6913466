"""What a checker reports, and what a checker is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, TypeAlias

from msgspec import Struct

from understudy_actors.domain.events import Event
from understudy_sim.check.rules import DEFAULT, Rules

Witness: TypeAlias = tuple[int, Event]
"""An event with its number in the trace."""


class Violation(Struct, frozen=True):
    """A law of the trace was broken.

    Attributes:
        monitor: The name of the law.
        sentence: What happened, to what.
        witness: The events that prove it, in order; not the whole trace.
        signature: The same for the same kind of violation, whatever the ids and times.
    """

    monitor: str
    sentence: str
    witness: tuple[Witness, ...]
    signature: str


class Monitor(Protocol):
    """One law of the trace, checked event by event.

    It reads events and nothing else, works in constant time for each (amortised), and remembers
    only what is alive: requests, permits, scopes.
    """

    @property
    def name(self) -> str:
        """The law's name, such as `S4`."""
        ...

    def on(self, seq: int, event: Event) -> Violation | None:
        """Take the next event; returns how it breaks the law, if it does."""
        ...

    def end(self) -> Violation | None:
        """The trace is over."""
        ...


Hears: TypeAlias = Mapping[type[Event], Callable[[int, Any], Violation | None]]
"""What a monitor does about each type of event; `Event` itself stands for every type."""


class Watch:
    """What the monitors of this package have in common.

    Attributes:
        name: The law's.
        claim: The law in one sentence.
        hears: What it does about each type of event. Set once, at the end of the constructor.
        due: From when on it wants to look at the time (`late`), whatever happens.
        lasting: It is about several lives of a process; others begin anew with each.
        learned: It works out what the engine has learned, and is silent about a process that goes
            on with what another one did.
    """

    name: ClassVar[str]
    claim: ClassVar[str]
    lasting: ClassVar[bool] = False
    learned: ClassVar[bool] = False
    hears: Hears

    def __init__(self, rules: Rules = DEFAULT) -> None:
        """`rules` are what the engine was configured with."""
        self.rules = rules
        self.due = float("inf")

    def on(self, seq: int, event: Event) -> Violation | None:
        """See `Monitor`."""
        found = self.late(seq, event) if event.at_s > self.due else None
        handler = self.hears.get(type(event)) or self.hears.get(Event)
        told = handler(seq, event) if handler is not None else None
        return found or told

    def late(self, seq: int, event: Event) -> Violation | None:  # noqa: ARG002
        """The time `due` has passed, as `event` shows."""
        return None

    def end(self) -> Violation | None:
        """See `Monitor`."""
        return None

    def broken(self, shape: str, sentence: str, *witness: Witness | None) -> Violation:
        """A violation of this law; `shape` tells it from other ways to break the same one."""
        events = tuple(each for each in witness if each is not None)
        kinds = ",".join(str(event.__struct_config__.tag) for _, event in events)
        return Violation(self.name, sentence, events, f"{self.name}/{shape}({kinds})")
