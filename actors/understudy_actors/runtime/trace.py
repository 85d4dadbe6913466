"""Where events go: to listeners that can neither slow nor break what emitted them.

Events come in two grades. What happens to every request many times over (permits, slots, scores,
ranks) is *fine*; what a person would want to know (outcomes, failures, transitions, holds, crashes)
is not. Those who want even more are told of every turn of every actor. `on`, `fine` and `turns` are
False while nobody wants them: code that would have to build an event looks there first, so that
silence costs one attribute read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from understudy_actors.domain.events import Contained, Event

Listener: TypeAlias = Callable[[int, Event], None]
"""Called with the event's sequence number (1, 2, ...) and the event; must not block."""


class Trace:
    """Numbers events and hands them to every listener, in order.

    Attributes:
        on: Somebody listens.
        fine: Somebody wants the fine events too.
        turns: Somebody wants the turns as well; never without `fine`.
        seq: Events so far.
    """

    __slots__ = ("_all", "_coarse", "_everybody", "_turns", "fine", "on", "seq", "turns")

    def __init__(self) -> None:
        self.on = False
        self.fine = False
        self.turns = False
        self.seq = 0
        self._coarse: tuple[Listener, ...] = ()  # those who want no fine events
        self._all: tuple[Listener, ...] = ()
        self._turns: tuple[Listener, ...] = ()  # those among them who want turns
        self._everybody: tuple[Listener, ...] = ()  # `_all`, then `_coarse`

    def listen(
        self, listener: Listener, *, fine: bool = True, turns: bool = False
    ) -> Callable[[], None]:
        """Add a listener, which hears of `turns` only if it wants the fine events too.

        Returns:
            The function that removes it.
        """
        if fine:
            self._all = (*self._all, listener)
            if turns:
                self._turns = (*self._turns, listener)
        else:
            self._coarse = (*self._coarse, listener)
        self._update()
        return lambda: self._remove(listener)

    def emit(self, event: Event) -> None:
        """Hand an event to every listener. One that raises is removed and reported, once."""
        self.seq = seq = self.seq + 1
        self._hand(seq, event, self._everybody)

    def emit_fine(self, event: Event) -> None:
        """Hand a fine event to those who want such."""
        self.seq += 1
        self._hand(self.seq, event, self._all)

    def emit_turn(self, event: Event) -> None:
        """Hand the end of a turn to those who want such."""
        self.seq += 1
        self._hand(self.seq, event, self._turns)

    def _hand(self, seq: int, event: Event, listeners: tuple[Listener, ...]) -> None:
        failed: tuple[tuple[Listener, Exception], ...] = ()
        for listener in listeners:
            try:
                listener(seq, event)
            except Exception as error:
                self._remove(listener)
                failed += ((listener, error),)
        for broken, why in failed:  # now, so that the others got the event itself before
            self._report(broken, why, event.at_s)

    def _remove(self, listener: Listener) -> None:
        self._all = tuple(each for each in self._all if each is not listener)
        self._coarse = tuple(each for each in self._coarse if each is not listener)
        self._turns = tuple(each for each in self._turns if each is not listener)
        self._update()

    def _update(self) -> None:
        self._everybody = self._all + self._coarse
        self.fine = bool(self._all)
        self.turns = bool(self._turns)
        self.on = self.fine or bool(self._coarse)

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
