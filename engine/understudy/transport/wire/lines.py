"""The connections of one provider to one server: how many there may be, and who gets which."""

from __future__ import annotations

from collections import deque

import trio

from understudy.transport.wire.address import Origin
from understudy.transport.wire.line import Line


class Lines:
    """Idle lines, the last used on top; busy ones; and whoever waits for a place, in order.

    A place is held from `take` or `wait` to `give`, with a line or without. While somebody waits no
    place is free: who gives one back gives it to whoever has waited longest.
    """

    __slots__ = ("_waiting", "busy", "free", "idle", "origin")

    def __init__(self, origin: Origin, connections_max: int) -> None:
        self.origin = origin
        self.free = connections_max
        self.idle: deque[Line] = deque()
        self.busy: set[Line] = set()
        self._waiting = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return (
            f"<Lines to {self.origin.authority}: {len(self.busy)} busy, {len(self.idle)} idle, "
            f"{self.free} free, {len(self._waiting)} waiting>"
        )

    def take(self) -> bool:
        """Take a place; False if there is none, and then `wait` is to be awaited."""
        if not self.free:
            return False
        self.free -= 1
        return True

    async def wait(self) -> None:
        """Wait for a place, in order."""
        await self._waiting.park()

    def give(self) -> None:
        """Give a place back."""
        if self._waiting:
            self._waiting.unpark()
        else:
            self.free += 1

    def pick(self) -> Line | None:
        """The line that was used last and is still good; None if there is none."""
        while self.idle:
            line = self.idle.pop()
            if not line.stale():
                self.busy.add(line)
                return line
            line.close()
        return None

    def keep(self, line: Line, now: float) -> None:
        """Keep a line for the next request."""
        self.busy.discard(line)
        line.idle_at = now
        self.idle.append(line)

    def drop(self, line: Line) -> None:
        """Close a line."""
        self.busy.discard(line)
        line.close()

    def retire(self, before: float) -> None:
        """Close the lines that have been idle since `before`."""
        idle = self.idle
        while idle and idle[0].idle_at < before:
            idle.popleft().close()

    def close(self) -> None:
        """Close every line, busy or idle."""
        while self.idle:
            self.idle.pop().close()
        for line in self.busy:
            line.close()
