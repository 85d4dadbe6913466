"""Where events go: to listeners that can neither slow nor break what emitted them.

`on` is False while nobody listens; code that would have to build an event looks at it first, so
that silence costs one attribute read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from understudy_actors.domain.events import Contained, Event

Listener: TypeAlias = Callable[[int, Event], None]
"""Called with the event's sequence number (1, 2, ...) and the event; must not block."""


class Trace:
    """Numbers events and hands them to every listener, in order."""

    __slots__ = ("_listeners", "on", "seq")

    def __init__(self) -> None:
        self.on = False
        self.seq = 0
        self._listeners: tuple[Listener, ...] = ()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Add a listener; returns the function that removes it."""
        self._listeners = (*self._listeners, listener)
        self.on = True
        return lambda: self._remove(listener)

    def emit(self, event: Event) -> None:
        """Hand `event` to every listener. One that raises is removed and reported, once."""
        self.seq += 1
        seq = self.seq
        for listener in self._listeners:
            try:
                listener(seq, event)
            except Exception as error:
                self._remove(listener)
                self._report(listener, error, event.at_s)

    def _remove(self, listener: Listener) -> None:
        self._listeners = tuple(each for each in self._listeners if each is not listener)
        self.on = bool(self._listeners)

    def _report(self, listener: Listener, error: Exception, at_s: float) -> None:
        self.emit(
            Contained(
                at_s=at_s,
                where="listener",
                who=getattr(listener, "__qualname__", type(listener).__name__),
                error=type(error).__name__,
                note="it was removed",
            )
        )
