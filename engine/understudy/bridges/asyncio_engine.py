"""The engine for asyncio programs: the same verbs, awaited by asyncio tasks on their own loop.

trio runs as that loop's guest, in its thread. Verbs that wait cross over to it; all others are
those of `Engine`, unchanged.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import attrs
import trio

from understudy.assembly import Parts
from understudy.bridges.asyncio_streams import AsyncioEvents, AsyncioStream
from understudy.bridges.functions import Functions, awaited_in_host
from understudy.bridges.guest import Guest
from understudy.bridges.pump import Pump
from understudy.choice import Fallback
from understudy.design import Source
from understudy.differences import Reloaded
from understudy.engine import Engine
from understudy.inspection import TestReport
from understudy.lifecycle import open_engine
from understudy.reports import StatusReport
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import Result


class open_asyncio_engine(open_engine):
    """Open an engine on the running asyncio loop, for the length of an `async with` block.

    It takes what `open_engine` takes. Async functions, as providers and in `with_fallback`, are
    asyncio's: each call of one runs in an asyncio task. What else is passed in (adapters of a
    registry, a transport) runs in trio tasks.

    Raises:
        ConfigError: On entering: the configuration cannot run.
        RuntimeError: On entering: this thread runs trio already.
    """

    _guest: Guest[Engine]
    _pump: type[Pump] = Pump

    async def __aenter__(self) -> AsyncioEngine:
        self._guest = Guest(super().__aenter__, super().__aexit__, self._pump)
        self._registry = Functions(self._registry, functools.partial(awaited_in_host, self._guest))
        engine = await self._guest.open()
        assert isinstance(engine, AsyncioEngine)
        return engine

    def make(self, parts: Parts, nursery: trio.Nursery) -> AsyncioEngine:
        """See `open_engine.make`."""
        return AsyncioEngine(parts, nursery, self._guest)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._guest.close(error)


class AsyncioEngine(Engine):
    """Routes requests to providers that can serve them now, for asyncio programs.

    `async with AsyncioEngine.open(config) as engine` makes one. It has every verb of `Engine`: what
    is awaited there is awaited here, by asyncio tasks of the loop that it was opened on; what is
    not, is not. Cancelling a task cancels its request, which is settled before the task goes on.
    """

    open = open_asyncio_engine

    def __init__(self, parts: Parts, nursery: trio.Nursery, guest: Guest[Engine]) -> None:
        super().__init__(parts, nursery)
        self._guest = guest
        if (kept := self.keys.kept) is not None:
            self.keys = attrs.evolve(self.keys, kept=functools.partial(guest.run, kept))

    async def route(self, request: Request) -> Result:
        """See `Engine.route`."""
        return await self._guest.run(super().route, request)

    def stream(self, request: Request) -> AsyncioStream:
        """See `Engine.stream`."""
        return AsyncioStream(self._wiring, self._desk, request, self._guest)

    async def with_fallback(
        self, operation: str, function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Fallback:
        """See `Engine.with_fallback`; an async `function` is asyncio's."""
        own = awaited_in_host(self._guest, function)
        return await self._guest.run(
            functools.partial(super().with_fallback, operation, own, *args, **kwargs)
        )

    def events(self, *, fine: bool = True) -> AsyncioEvents:
        """See `Engine.events`."""
        stream = AsyncioEvents(self._trace, self._guest, fine=fine)
        self._parts.streams.add(stream)
        return stream

    async def test_provider(self, name: str, *, timeout_s: float = 30.0) -> list[TestReport]:
        """See `Engine.test_provider`."""
        return await self._guest.run(
            functools.partial(super().test_provider, name, timeout_s=timeout_s)
        )

    async def reload(
        self,
        config: Source = None,
        *,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        drain_s: float | None = None,
    ) -> Reloaded:
        """See `Engine.reload`."""
        work = functools.partial(super().reload, config, functions=functions, drain_s=drain_s)
        return await self._guest.run(work)

    async def drain(self, within_s: float) -> None:
        """See `Engine.drain`."""
        await self._guest.run(super().drain, within_s)

    async def check(self, *, timeout_s: float = 5.0) -> StatusReport:
        """See `Engine.check`."""
        return await self._guest.run(functools.partial(super().check, timeout_s=timeout_s))
