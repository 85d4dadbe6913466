"""Keeps a database off the event loop: its calls run in a thread, one at a time."""

from __future__ import annotations

from functools import partial

import trio

from understudy.store.database import Database
from understudy_actors.keeper.batch import Batch, Saved
from understudy_actors.runtime.ports import Clock


class AsyncDatabase:
    """A database as a `Store`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.name = database.name
        self._database = database
        self._clock = clock
        self._one = trio.CapacityLimiter(1)

    async def load(self) -> Saved:
        """See `Store`."""
        load = partial(self._database.load, self._clock.wall())
        return await trio.to_thread.run_sync(load, limiter=self._one)

    async def commit(self, batch: Batch) -> None:
        """See `Store`. Cancelling it waits for the end of the write, whichever that is."""
        await trio.to_thread.run_sync(self._database.commit, batch, limiter=self._one)

    async def close(self) -> None:
        """See `Store`."""
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._database.close, limiter=self._one)
