"""The port through which an engine keeps what must outlive its process.

Production binds it to a database, a simulation to a disk that may be slow, full, or torn away.
"""

from __future__ import annotations

from typing import Protocol

from understudy_actors.keeper.batch import Batch, Saved


class Store(Protocol):
    """Keeps batches.

    Law: when `commit` returns, the batch outlives the process, the whole of it. When it raises, or
    the process ends before, it took effect as a whole or not at all. A batch whose number was taken
    before changes nothing.
    """

    async def load(self) -> Saved:
        """Open it and read what it holds; called once, before anything else.

        Raises:
            StoreFailed: It cannot be opened or read, or belongs to another process.
        """
        ...

    async def commit(self, batch: Batch) -> None:
        """Write a batch; one at a time.

        Raises:
            StoreFailed: It may not have been written; write the very same one again.
        """
        ...

    async def close(self) -> None:
        """Let go of it. Harmless when it was never opened."""
        ...
