"""A trio run as the guest of a running asyncio loop, for the length of one block."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import trio

from understudy.bridges.crossing import AsyncioCall
from understudy.bridges.forks import Birthplace
from understudy.bridges.held import Enter, Held, Leave
from understudy.bridges.pump import Pump
from understudy.routing.endings import shutting_down

if TYPE_CHECKING:
    import outcome

T = TypeVar("T")
House = TypeVar("House")
IN_TRIO: Final = (
    "this is a trio program: use `understudy.open_engine`. AsyncioEngine is for programs that run "
    "on asyncio."
)
ONE_EACH: Final = (
    "this thread runs trio already, and it can do so only once: an AsyncioEngine is open on this "
    "loop, or another library has a guest here. Open one engine and pass it to whoever needs it, "
    "or open the second one in a thread with a loop of its own."
)
ELSEWHERE: Final = (
    "this AsyncioEngine runs on another event loop: use it only from the loop that it was opened "
    "on, e.g. with `asyncio.run_coroutine_threadsafe`."
)


class Guest(Generic[House]):
    """Holds a block of trio's open beside a running asyncio loop, and runs calls beside that block.

    Raises:
        RuntimeError: This thread runs trio already.
    """

    def __init__(
        self,
        enter: Enter[House],
        leave: Leave,
        pump: Callable[[asyncio.AbstractEventLoop], Pump] = Pump,
    ) -> None:
        if trio.lowlevel.in_trio_run():
            raise RuntimeError(IN_TRIO if trio.lowlevel.in_trio_task() else ONE_EACH)
        self._born = Birthplace()
        self._loop = asyncio.get_running_loop()
        self._pump = pump(self._loop)
        self._held = Held(enter, leave, self._pump.wake)
        self._owner = asyncio.current_task()
        self._opened: asyncio.Future[House] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._leaving = self._interrupted = False

    # On the side of asyncio

    @property
    def pump(self) -> Pump:
        """What keeps it running."""
        return self._pump

    @property
    def running(self) -> bool:
        """May calls still be made?"""
        return self._held.workers.open

    async def open(self) -> House:
        """Start the run and enter the block; raises what entering it raised."""
        trio.lowlevel.start_guest_run(
            self._held.run,
            self._entered,
            run_sync_soon_threadsafe=self._loop.call_soon_threadsafe,
            run_sync_soon_not_threadsafe=self._pump.soon,
            host_uses_signal_set_wakeup_fd=True,  # asyncio and uvloop both do
            done_callback=self._done,
            clock=self._pump.clock,
        )
        try:
            return await asyncio.shield(self._opened)
        except BaseException:
            self._leaving = True
            self._held.scope.cancel()
            await self._until_ended()
            raise

    async def close(self, error: BaseException | None) -> None:
        """Leave the block and end the run; `error` is what ended the block on asyncio's side.

        Raises:
            BaseException: What leaving the block raised, or what had ended it before.
        """
        self._leaving = True
        if not self._ended.done():
            if error is None:
                self._held.goodbye()
            else:
                self._held.scope.cancel()
            await self._until_ended()
        if self._interrupted and self._owner is not None:
            self._owner.uncancel()
        if self._held.failure is not None:
            raise self._held.failure

    async def run(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Run a coroutine of trio's, and wait for it; see `AsyncioCall.wait`.

        What need not wait is done at once, without a round of the loop.

        Raises:
            ShuttingDown: The block was left before it had ended.
            RuntimeError: The caller is on another loop, or in a forked process.
        """
        self._born.check()
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(ELSEWHERE)
        call = AsyncioCall(self._pump, function, arguments)
        self._held.workers.begin(call)
        return await call.wait()

    async def _until_ended(self) -> None:
        """Wait for the run's end, whoever cancels that; then be cancelled."""
        cancelled: asyncio.CancelledError | None = None
        while not self._ended.done():
            try:
                await asyncio.shield(self._ended)
            except asyncio.CancelledError as error:
                self._held.scope.cancel()
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def _entered(self, house: House) -> None:
        if not self._opened.done():
            self._opened.set_result(house)

    def _done(self, ended: outcome.Outcome[None]) -> None:
        """The run is over, and everything of it is closed."""
        self._pump.close()
        self._held.failure = self._held.failure or getattr(ended, "error", None)
        if not self._opened.done():
            self._opened.set_exception(self._held.failure or shutting_down())
            self._opened.exception()  # whoever opened it may have gone
        elif not self._leaving and self._owner is not None:
            self._interrupted = self._owner.cancel()  # as a task group does with its block
        self._ended.set_result(None)
