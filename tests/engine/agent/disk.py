"""A store in memory that outlives its engine, and may be torn away at any moment."""

from __future__ import annotations

from typing import Any

import msgspec
import trio

from understudy import StoreFailed
from understudy_actors.keeper.batch import Batch, Saved


class Disk:
    """What is committed stays; a batch takes effect as a whole, or not at all.

    Attributes:
        dead: The process is gone: nothing reaches the disk any more.
    """

    def __init__(self, delay_s: float = 0.01) -> None:
        self.number = self.seq = 0
        self.states: dict[str, bytes] = {}
        self.delay_s = delay_s
        self.dead = False
        self.full = False
        self.entries: list[tuple[str, Any]] = []

    async def load(self) -> Saved:
        """See `Store`."""
        self.dead = False
        return Saved(self.number, self.seq, dict(self.states), dict.fromkeys(self.states, 0.0))

    async def commit(self, batch: Batch) -> None:
        """See `Store`."""
        await trio.sleep(self.delay_s)
        if self.dead:
            await trio.sleep_forever()
        if self.full:
            raise StoreFailed("the disk is full")
        assert batch.number == self.number + 1
        self.number = batch.number
        for key, state in batch.states.items():
            if state is None:
                self.states.pop(key, None)
            else:
                self.states[key] = msgspec.msgpack.encode(state)
        if batch.journal:
            self.seq = batch.journal[-1].seq
            self.entries += [(each.kind, each.body) for each in batch.journal]

    async def close(self) -> None:
        """See `Store`."""
