"""What asyncio tasks iterate over: streamed answers and events. Only waiting crosses to trio."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from understudy.bridges.guest import Guest
from understudy.listening import EventStream
from understudy.routing.desk import Desk
from understudy.routing.wiring import Wiring
from understudy.streaming.stream import ChatStream
from understudy_actors.domain.errors import ShuttingDown
from understudy_actors.domain.events import Event
from understudy_actors.domain.request import Request
from understudy_actors.runtime.trace import Trace


class AsyncioStream(ChatStream):
    """A `ChatStream` that is read by asyncio tasks.

    Pieces that have arrived are handed out here, without crossing over; so a task that is cancelled
    in the very moment in which some arrive loses none of them.
    """

    def __init__(self, wiring: Wiring, desk: Desk, request: Request, guest: Guest[Any]) -> None:
        super().__init__(wiring, desk, request)
        self._guest = guest
        self._crossing = False

    async def __aenter__(self) -> Self:
        entered = self._flight is not None
        try:
            return await self._guest.run(super().__aenter__)
        except BaseException:
            if not entered and self._flight is not None:
                await self._let_go()  # it may have opened, and nobody will leave it
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._let_go()

    async def _let_go(self) -> None:
        attempt = self._leave()
        if attempt is not None and self._guest.running:
            await self._guest.run(attempt.aclose)

    async def _more(self) -> None:
        if self._crossing:
            raise RuntimeError("another task reads this stream: only one may")
        self._crossing = True
        try:
            await self._guest.run(self._read_on)
        finally:
            self._crossing = False

    async def _read_on(self) -> None:
        if not self._over:  # the engine may have closed meanwhile
            await super()._more()


class AsyncioEvents(EventStream):
    """An `EventStream` that is read by asyncio tasks."""

    def __init__(self, trace: Trace, guest: Guest[Any], *, fine: bool) -> None:
        super().__init__(trace, fine=fine)
        self._guest = guest

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            try:
                await self._guest.run(self._arrival)
            except ShuttingDown:
                if not self._closed:  # else what has arrived is still to be read
                    raise
        return self._waiting.popleft()
