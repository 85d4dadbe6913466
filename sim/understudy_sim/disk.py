"""A simulated disk: it may be slow, full, torn away, or lie about what it has synced.

What was written whole outlives the process; of what was under way when the process died, a seeded
coin decides whether it is there, as a whole, or not at all. That is what a database promises, so
whoever relies on less would be wrong on a real one.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import add
from typing import Any, Final

import attrs
import msgspec
import trio

from understudy_actors.domain.errors import StoreFailed
from understudy_actors.keeper.batch import Addend, Batch, Saved

WRITE_S: Final = 0.002
"""How long a healthy disk takes for a write, in virtual seconds."""


class Line(msgspec.Struct, frozen=True):
    """An entry of the journal as it stands on the disk."""

    seq: int
    at: float
    kind: str
    body: Any


@attrs.define(eq=False)
class SimDisk:
    """What lies on the disk, and how it is doing.

    Attributes:
        saved: The states on it.
        journal: The journal on it, in order of writing.
        write_s: How long a write takes, in virtual seconds.
        broken: Why nothing can be written; None if it can.
        unsure: Writes take effect, and are told of as failed (a sync whose answer got lost).
        coin: Called when the process dies in a write: True if that write is there all the same.
        writes: Batches that took effect.
    """

    saved: Saved = attrs.Factory(Saved)
    journal: list[Line] = attrs.Factory(list)
    write_s: float = 0.0
    broken: str | None = None
    unsure: bool = False
    coin: Callable[[], bool] = lambda: False
    writes: int = 0
    _process: SimStore | None = None

    def open(self) -> SimStore:
        """The store as a process sees it that starts now; the one before it is dead."""
        self.kill()
        self._process = SimStore(self)
        return self._process

    def kill(self) -> None:
        """The process dies: what it writes from now on reaches nobody."""
        process, self._process = self._process, None
        if process is not None:
            process.die()

    def put(self, batch: Batch) -> None:
        """Let a batch take effect, unless its number was taken before."""
        saved = self.saved
        if batch.number == saved.number:
            return
        if batch.number != saved.number + 1:
            raise StoreFailed(f"the disk holds batch {saved.number}, {batch.number} cannot follow")
        states, written = dict(saved.states), dict(saved.written)
        for key, state in batch.states.items():
            if state is None:
                states.pop(key, None)
                written.pop(key, None)
            else:
                states[key] = msgspec.msgpack.encode(state)
                written[key] = batch.at
        for each in batch.journal:
            body = msgspec.json.decode(msgspec.json.encode(each.body))
            self.journal.append(Line(each.seq, each.at, each.kind, body))
        seq = batch.journal[-1].seq if batch.journal else saved.seq
        self.saved = Saved(batch.number, seq, states, written, _added(saved.sums, batch))
        self.writes += 1


def _added(sums: tuple[Addend, ...], batch: Batch) -> tuple[Addend, ...]:
    """The rows of sums after a batch."""
    if not batch.sums and not batch.before:
        return sums
    rows = {
        (each.table, each.key): each.numbers
        for each in sums
        if not _less(each.key[0], batch.before.get(each.table))
    }
    for each in batch.sums:
        name = each.table, each.key
        before = rows.get(name, (0,) * len(each.numbers))
        rows[name] = tuple(map(add, before, each.numbers))
    return tuple(Addend(table, key, numbers) for (table, key), numbers in rows.items())


def _less(first: int | str, limit: int | None) -> bool:
    return limit is not None and isinstance(first, int) and first < limit


@attrs.define(eq=False)
class SimStore:
    """A store on a simulated disk, for one process."""

    disk: SimDisk
    dead: bool = False
    _writing: Batch | None = None

    async def load(self) -> Saved:
        """See `Store`."""
        await trio.lowlevel.checkpoint()
        return self.disk.saved

    async def commit(self, batch: Batch) -> None:
        """See `Store`."""
        disk, self._writing = self.disk, batch
        try:
            await trio.sleep(disk.write_s)
        finally:
            here, self._writing = self._writing is not None, None
        if self.dead or not here:
            raise StoreFailed("this process is dead")
        if disk.broken is not None:
            raise StoreFailed(f"the simulated disk cannot be written: {disk.broken}")
        disk.put(batch)
        if disk.unsure:
            raise StoreFailed("the simulated disk cannot be written: its answer got lost")

    async def close(self) -> None:
        """See `Store`."""
        await trio.lowlevel.checkpoint()
        self.dead = True

    def die(self) -> None:
        """The process dies, maybe in the middle of a write."""
        batch, self._writing = self._writing, None
        if not self.dead and batch is not None and self.disk.broken is None and self.disk.coin():
            self.disk.put(batch)
        self.dead = True
