"""The lives of an engine's process: killed, down for a while, and up again with what its disk kept.

A process that is killed says no last word. Its tasks have to be ended all the same, and the code in
their `finally` runs; but nobody hears it: its disk, its trace and its clients are cut off first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import trio

from understudy import Engine, Request, Result, open_engine
from understudy.streaming.stream import ChatStream
from understudy_actors.domain.errors import ShuttingDown
from understudy_actors.domain.events import Event
from understudy_actors.runtime.trace import Trace
from understudy_sim.disk import SimDisk
from understudy_sim.fault_kinds import Kill
from understudy_sim.ports import Sim
from understudy_sim.world_events import EngineKilled

Opening = Callable[[SimDisk, Trace], open_engine]
"""Makes what opens an engine on the disk that tells its events to the trace."""


@attrs.define(eq=False)
class Lives:
    """One process after the other; to clients, it is one engine that may be down."""

    opening: Opening
    disk: SimDisk
    sim: Sim
    hear: Callable[[int, Event], None]
    tell: Callable[[Event], None]
    engine: Engine | None = None
    _scopes: dict[trio.CancelScope, None] = attrs.Factory(dict)
    _killed: trio.Event | None = None
    _down_s: float = 0.0
    _stop: Callable[[], None] = lambda: None

    async def run(self, ready: trio.Event) -> None:
        """Live until cancelled; `ready` says that the first process is up."""
        while True:
            self._killed = killed = trio.Event()
            trace = Trace()
            self._stop = trace.listen(self.hear, turns=True)
            async with self.opening(self.disk, trace) as engine:
                self.engine = engine
                ready.set()
                await killed.wait()
            await self.sim.time.sleep(self._down_s)

    def kill(self, fault: Kill) -> None:
        """Kill the process that runs now, if one does."""
        if self.engine is None or self._killed is None:
            return
        self.disk.kill()
        self._stop()
        self.engine, self._down_s = None, fault.down_s
        for stop in list(self._scopes):
            stop.cancel()
        self.tell(EngineKilled(at_s=self.sim.clock.now()))
        self._killed.set()

    @property
    def up(self) -> bool:
        """Is there a process now?"""
        return self.engine is not None

    async def route(self, request: Request) -> Result:
        """As `Engine.route`; whoever is answered by nobody, since the process died, is cancelled.

        Raises:
            ShuttingDown: There is no process now.
        """
        engine = self._up()
        result: Result = await self._while_it_lives(lambda: engine.route(request))
        return result

    def stream(self, request: Request) -> ChatStream:
        """As `Engine.stream`; see `read`."""
        return self._up().stream(request)

    async def read(self, reading: Callable[[], Awaitable[Result]]) -> Result:
        """Read a stream for as long as the process lives.

        Raises:
            ShuttingDown: The process died meanwhile.
        """
        result: Result = await self._while_it_lives(reading)
        return result

    async def _while_it_lives(self, what: Callable[[], Awaitable[Any]]) -> Any:
        scope = trio.CancelScope()
        self._scopes[scope] = None
        try:
            with scope:
                return await what()
        finally:
            del self._scopes[scope]
        raise ShuttingDown("the process was killed in the middle of the request")

    def _up(self) -> Engine:
        if self.engine is None:
            raise ShuttingDown("the process was killed, and is not up yet")
        return self.engine
