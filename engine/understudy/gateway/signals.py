"""What signals mean to `understudy serve`: SIGHUP reads the configuration anew, SIGTERM ends it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from understudy_actors.domain.errors import UnderstudyError

if TYPE_CHECKING:
    from understudy.bridges import AsyncioEngine
    from understudy.gateway.renewal import Renewal


class Signals:
    """Carries signals to the engine that serves, on the loop that it serves on.

    Attributes:
        renewal: What reads the configuration anew.
    """

    renewal: Renewal

    def __init__(self, drain_s: float) -> None:
        """`drain_s` is for requests under way when it is told to end."""
        self._drain_s = drain_s
        self._engine: AsyncioEngine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @contextmanager
    def heard(self, engine: AsyncioEngine) -> Iterator[None]:
        """From here on signals are for this engine."""
        loop = asyncio.get_running_loop()
        self._engine, self._loop = engine, loop
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what ends is not to be torn down by it
            self._engine = self._loop = None

    def told_to_end(self, times: int) -> None:
        """It was told to end so many times: in its time, then at once. Safe in a signal handler."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end, self._drain_s if times == 1 else 0.0)

    def _end(self, within_s: float) -> None:
        if self._engine is not None:
            self._begin(self._engine.drain(within_s))

    def _hang_up(self) -> None:
        self._begin(self._reload())

    async def _reload(self) -> None:
        with suppress(UnderstudyError):  # it is in the log, and in the status
            await self.renewal.reload()

    def _begin(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
