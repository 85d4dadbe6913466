"""What crosses between an asyncio loop and the trio run that is its guest: one wait at a time.

`AsyncioCall` is a coroutine of trio's that an asyncio task waits for; `in_host` is an awaitable of
asyncio's that a trio task waits for. Both are ended from either side, and both end before whoever
waits goes on: nobody is left behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import trio

from understudy.bridges.call import Call
from understudy.bridges.pump import Pump

T = TypeVar("T")


class AsyncioCall(Call[T]):
    """A call that an asyncio task waits for."""

    __slots__ = ("_pump", "_waiter")

    def __init__(
        self, pump: Pump, function: Callable[..., Awaitable[T]], arguments: tuple[Any, ...]
    ) -> None:
        super().__init__(function, arguments)
        self._pump = pump
        self._waiter: asyncio.Future[None] | None = None

    async def wait(self) -> T:
        """Wait for its end, and return or raise what it did.

        Whoever is cancelled meanwhile cancels it, and waits until it has ended.
        """
        try:
            self._pump.turn()
            if not self._done:
                await self._end()
        except asyncio.CancelledError:
            self._leave()
            while not self._done:
                try:
                    await self._end()
                except asyncio.CancelledError:
                    continue  # it has been told already
            raise
        except BaseException:  # an interrupt, or the loop is gone: nobody waits any more
            self._leave()
            raise
        finally:
            self._hand_over()
        return self._outcome()

    async def _end(self) -> None:
        self._waiter = self._pump.loop.create_future()
        await self._waiter

    def _leave(self) -> None:
        self.left = True
        if self._scope is None:
            self._done = True
        elif not self._done:  # else the scope may be the next call's by now
            self._pump.wake()
            self._scope.cancel()
            self._pump.turn()

    def _finish(self) -> None:
        self._done = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class HostTaskLost(Exception):
    """An asyncio task was cancelled by somebody who does not wait for it, or ended its loop."""


async def in_host(pump: Pump, awaitable: Awaitable[T]) -> T:
    """Wait, in a trio task, for an awaitable of asyncio's.

    It runs in an asyncio task, with the context variables of this one. Cancelling this one cancels
    it, and waits for its end.

    Raises:
        HostTaskLost: Somebody else cancelled it, or it ended its loop.
    """
    current = trio.lowlevel.current_task()
    # Not by the loop's task factory: an eager one would run it inside of this very step.
    task = asyncio.Task(_coroutine(awaitable), loop=pump.loop, context=current.context)
    stop: Callable[[], Any] | None = None

    def ended(_task: asyncio.Task[T]) -> None:
        pump.wake()
        trio.lowlevel.reschedule(current)
        pump.turn()

    def abort(raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
        nonlocal stop
        stop = raise_cancel
        task.cancel()
        return trio.lowlevel.Abort.FAILED

    task.add_done_callback(ended, context=pump.context)
    await trio.lowlevel.wait_task_rescheduled(abort)
    if task.cancelled() and stop is not None:
        stop()
    return _result(task)


def _result(task: asyncio.Task[T]) -> T:
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if error is None:
        return task.result()
    if isinstance(error, Exception):
        raise error
    raise HostTaskLost(f"the asyncio task of a provider ended by {type(error).__name__}") from error


def _coroutine(awaitable: Awaitable[T]) -> Coroutine[Any, Any, T]:
    if asyncio.iscoroutine(awaitable):
        return awaitable

    async def waiting() -> T:
        return await awaitable

    return waiting()
