"""One turn, as those who listen see it; with nobody listening to fine events, none is kept."""

from __future__ import annotations

from typing import Any, Final

from understudy_actors.runtime.life import Life, Waiting

SLOW_TURN_S: Final = 0.050
"""A longer turn holds up everybody else; it leaves an event."""


class Turn:
    """Begins when it is made; `over` tells that it ended, and whether it took long."""

    __slots__ = ("_began", "_began_s", "_lane", "_life", "_number", "_sent")

    def __init__(self, life: Life, waited: Waiting | None = None) -> None:
        """The next turn of `life` begins, over a message that has `waited` or comes just now."""
        self._life = life
        self._began = self._sent = life.system.trace.seq
        self._lane: str | None = None
        if waited is None:
            life.sent += 1
            self._number = life.sent
        else:
            self._number, self._sent, self._lane = waited.number, waited.sent, waited.lane.value
        self._began_s = life.system.clock.now()

    def over(self, message: Any) -> None:
        """The turn has ended, well or not."""
        life = self._life
        if life.system.trace.turns:
            life.herald.turned(message, self._number, self._sent, self._began, self._lane)
        elapsed_s = life.system.clock.now() - self._began_s
        if elapsed_s > SLOW_TURN_S:
            life.herald.slow(message, elapsed_s)
