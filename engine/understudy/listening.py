"""Events as an async iterator, for those who want to look on: bounded, and never in the way."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Final, Self

import trio

from understudy_actors.domain.events import Event
from understudy_actors.runtime.trace import Trace

KEPT_MAX: Final = 10_000
"""Events that wait for a slow reader; older ones are dropped, and counted."""


class EventStream:
    """Every event from now on: `async for event in stream`. Close it, or use it in a `with` block.

    Attributes:
        dropped: Events that the reader was too slow for.
    """

    def __init__(self, trace: Trace, *, fine: bool, kept_max: int = KEPT_MAX) -> None:
        self.dropped = 0
        self._waiting: deque[Event] = deque(maxlen=kept_max)
        self._arrived = trio.Event()
        self._closed = False
        self._stop = trace.listen(self._take, fine=fine)

    def close(self) -> None:
        """Listen no more; the iteration ends after what has arrived."""
        self._stop()
        self._closed = True
        self._arrived.set()

    def _take(self, _seq: int, event: Event) -> None:
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        self._waiting.append(event)
        self._arrived.set()

    def take(self) -> list[Event]:
        """All that has arrived, without waiting."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            await self._arrival()
        return self._waiting.popleft()

    async def _arrival(self) -> None:
        if self._arrived.is_set():  # a new one only then: others may wait for this one
            self._arrived = trio.Event()
        await self._arrived.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
