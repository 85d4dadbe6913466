"""What crosses between an asyncio loop and the trio run that is its guest: one wait at a time.

`Call` is a coroutine of trio's that an asyncio task waits for; `in_host` is an awaitable of
asyncio's that a trio task waits for. Both are ended from either side, and both end before whoever
waits goes on: nobody is left behind.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Generic, TypeVar, cast

import trio

from understudy.bridges.pump import Pump
from understudy.routing.endings import shutting_down

T = TypeVar("T")
_MISSING: Final = object()


class Call(Generic[T]):
    """One coroutine of trio's, and the asyncio task that waits for it.

    It runs with the caller's context variables, and what it sets is set for the caller, as if it
    had been awaited on the spot.
    """

    __slots__ = (
        "_arguments", "_done", "_error", "_function", "_pump", "_scope", "_value", "_waiter",
        "context", "left",
    )  # fmt: skip

    def __init__(
        self, pump: Pump, function: Callable[..., Awaitable[T]], arguments: tuple[Any, ...]
    ) -> None:
        self.context = contextvars.copy_context()
        self.left = False
        self._pump = pump
        self._function = function
        self._arguments = arguments
        self._scope: trio.CancelScope | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._done = False
        self._value: T | None = None
        self._error: BaseException | None = None

    # On the side of asyncio

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
            for variable, value in self.context.items():
                if variable.get(_MISSING) is not value:
                    variable.set(value)
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # else it and its traceback hold each other
        return cast(T, self._value)

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

    # On the side of trio

    async def run(self, scope: trio.CancelScope) -> None:
        """Run it to its end, in the block of `scope`."""
        if self.left:
            return
        self._scope = scope
        try:
            self._value = await self._function(*self._arguments)
        except trio.Cancelled:
            if not self.left:
                self._error = shutting_down()  # by the end of the guest
            raise
        except BaseException as error:  # the caller's, whatever it is
            self._error = error
        finally:
            self.context = contextvars.copy_context()
            self._finish()

    def refuse(self) -> None:
        """It will never run: the guest has ended."""
        self._error = shutting_down()
        self._finish()

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
