"""What crosses between an asyncio loop and the trio run that is its guest: one wait at a time.

`Call` is a coroutine of trio's that an asyncio task waits for; `in_host` is an awaitable of
asyncio's that a trio task waits for. Both are ended from either side, and both end before whoever
waits goes on: nobody is left behind.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

import trio

from understudy.routing.endings import shutting_down

T = TypeVar("T")
_MISSING: Final = object()


class Call(Generic[T]):
    """One coroutine of trio's, and the asyncio task that waits for it.

    It runs with the caller's context variables, and what it sets is set for the caller, as if it
    had been awaited on the spot.
    """

    __slots__ = (
        "_arguments", "_begun", "_done", "_error", "_function", "_loop", "_scope", "_value",
        "_waiter", "context", "left",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        function: Callable[..., Awaitable[T]],
        arguments: tuple[Any, ...],
    ) -> None:
        self.context = contextvars.copy_context()
        self._loop = loop
        self._function = function
        self._arguments = arguments
        self._scope = trio.CancelScope()
        self._waiter: asyncio.Future[None] | None = None
        self._begun = self._done = self.left = False
        self._value: T | None = None
        self._error: BaseException | None = None

    # On the side of asyncio

    async def wait(self) -> T:
        """Wait for its end, and return or raise what it did.

        Whoever is cancelled meanwhile cancels it, and waits until it has ended.
        """
        try:
            await self._end()
        except asyncio.CancelledError:
            self._leave()
            while not self._done:
                try:
                    await self._end()
                except asyncio.CancelledError:
                    continue  # it has been told already
            raise
        except BaseException:  # the loop is gone: nobody will wait any more
            self._leave()
            raise
        finally:
            self._give_context_back()
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # else it and its traceback hold each other
        return self._value  # type: ignore[return-value]

    async def _end(self) -> None:
        if not self._done:
            self._waiter = self._loop.create_future()
            await self._waiter

    def _leave(self) -> None:
        self.left = True
        if self._begun:
            self._scope.cancel()
        else:
            self._done = True

    def _give_context_back(self) -> None:
        for variable, value in self.context.items():
            if variable.get(_MISSING) is not value:
                variable.set(value)

    # On the side of trio

    async def run(self) -> None:
        """Run it to its end."""
        if self.left:
            return
        self._begun = True
        try:
            with self._scope:
                self._value = await self._function(*self._arguments)
        except trio.Cancelled:
            self._error = shutting_down()  # not by its caller: by the end of the guest
            raise
        except BaseException as error:  # the caller's, whatever it is
            self._error = error
        finally:
            self.context = contextvars.copy_context()
            self.finish()

    def finish(self) -> None:
        """It has ended: wake whoever waits."""
        self._done = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def refuse(self) -> None:
        """It will never run: the guest has ended."""
        self._error = shutting_down()
        self.finish()


async def in_host(loop: asyncio.AbstractEventLoop, awaitable: Awaitable[T]) -> T:
    """Wait, in a trio task, for an awaitable of asyncio's.

    It runs in an asyncio task, with the context variables of this one. Cancelling this one cancels
    it, and waits for its end.

    Raises:
        HostTaskLost: Somebody else cancelled it, or it ended its loop.
    """
    current = trio.lowlevel.current_task()
    # Not by the loop's task factory: an eager one would run it inside of this very step.
    task = asyncio.Task(_coroutine(awaitable), loop=loop, context=current.context)
    task.add_done_callback(
        lambda _: trio.lowlevel.reschedule(current), context=contextvars.Context()
    )
    stop: Callable[[], Any] | None = None

    def abort(raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
        nonlocal stop
        stop = raise_cancel
        task.cancel()
        return trio.lowlevel.Abort.FAILED

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


class HostTaskLost(Exception):
    """An asyncio task was cancelled by somebody who does not wait for it, or ended its loop."""


def _coroutine(awaitable: Awaitable[T]) -> Coroutine[Any, Any, T]:
    if asyncio.iscoroutine(awaitable):
        return awaitable

    async def waiting() -> T:
        return await awaitable

    return waiting()
