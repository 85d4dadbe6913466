"""The task that writes: it waits for the disk, so that nobody else has to."""

from __future__ import annotations

from typing import Final

import trio

from understudy.store.port import Store
from understudy_actors.domain.errors import StoreFailed
from understudy_actors.keeper.actor import Desk, Failed, Gather, Kept
from understudy_actors.keeper.batch import Batch
from understudy_actors.runtime.actor import Ref
from understudy_actors.runtime.errors import ActorError
from understudy_actors.runtime.mailbox import Lane
from understudy_actors.runtime.ports import Clock

AGAIN_MIN_S: Final = 0.1
AGAIN_MAX_S: Final = 5.0
"""A batch that could not be written is written again after so long, doubling."""
LAST_S: Final = 5.0
"""How long a closing engine tries to write what is left."""
_LAST_BATCHES: Final = 5


class Writer:
    """Writes what the keeper gathers: every `interval_s` while things change, or in a hurry.

    Attributes:
        stirred_at: When the first thing changed that was not gathered yet; None: nothing did.
    """

    def __init__(
        self, store: Store, keeper: Ref, desk: Desk, clock: Clock, *, interval_s: float
    ) -> None:
        self._store = store
        self._keeper = keeper
        self._clock = clock
        self._interval_s = interval_s
        self._again_s = AGAIN_MIN_S
        self._stirred = trio.Event()
        self._hurried = trio.Event()
        self._one = trio.Lock()
        self._number = 0
        self.stirred_at: float | None = None
        desk.stir = self._stir
        desk.hurry = self._hurry

    def _stir(self) -> None:
        if self.stirred_at is None:
            self.stirred_at = self._clock.now()
        self._stirred.set()

    def _hurry(self) -> None:
        self._stirred.set()
        self._hurried.set()

    async def run(self) -> None:
        """Write until cancelled. A batch under way is finished first."""
        while True:
            await self._stirred.wait()
            with trio.move_on_after(self._interval_s):
                await self._hurried.wait()
            self._stirred, self._hurried = trio.Event(), trio.Event()
            while not await self.write():
                await trio.sleep(self._again_s)
                self._again_s = min(AGAIN_MAX_S, self._again_s * 2)

    async def write(self) -> bool:
        """Write what there is; False if it could not be."""
        async with self._one:
            try:
                batch: Batch | None = self._keeper.ask_now(Gather())
            except ActorError:
                return False  # it is down for a moment, its outbox is not lost
            if batch is None or batch.number != self._number:
                self.stirred_at = None
            if batch is None:
                return True
            self._number = batch.number
            try:
                await self._store.commit(batch)
            except StoreFailed as error:
                self._keeper.tell(Failed(str(error)), Lane.RESULTS)
                return False
            except Exception as error:
                self._keeper.tell(Failed(f"{type(error).__name__}: {error}"), Lane.RESULTS)
                return False
            self._again_s = AGAIN_MIN_S
            self._keeper.tell(Kept(batch.number), Lane.RESULTS)
            return True

    async def finish(self) -> None:
        """Write what is left: the batch on its way, what came meanwhile, and what that lends back.

        Gives up at the first failure: whatever is not kept then is charged as unknown, later.
        """
        with trio.move_on_after(LAST_S):
            for _ in range(_LAST_BATCHES):
                if not await self.write():
                    return
