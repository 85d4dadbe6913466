"""A block of trio's that is held open for a program outside, with tasks for its calls beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Generic, TypeVar

import trio

from understudy.bridges.workers import Workers

House = TypeVar("House")
Enter = Callable[[], Awaitable[House]]
Leave = Callable[
    [type[BaseException] | None, BaseException | None, TracebackType | None], Awaitable[None]
]


class Held(Generic[House]):
    """Enters a block, stays in it until it is told goodbye, and leaves it: all within one run.

    Attributes:
        workers: Who runs the calls, from before the block is entered until it was left.
        scope: Cancelled, the block is left without waiting.
        failure: What ended it, as it was raised.
    """

    def __init__(self, enter: Enter[House], leave: Leave, wake: Callable[[], None]) -> None:
        self.workers = Workers(wake)
        self.scope = trio.CancelScope()
        self.failure: BaseException | None = None
        self._enter = enter
        self._leave = leave
        self._goodbye = trio.Event()

    def goodbye(self) -> None:
        """Leave the block, as its own `async with` would at its end."""
        self._goodbye.set()

    async def run(self, opened: Callable[[House], None]) -> None:
        """The run's main task; `opened` is called when the block has been entered."""
        async with self.workers.at_work():
            try:
                with self.scope:
                    await self._inside(opened)
            except trio.Cancelled:
                raise
            except BaseException as error:
                self.failure = error  # as it is: a nursery would wrap it

    async def _inside(self, opened: Callable[[House], None]) -> None:
        async with AsyncExitStack() as stack:
            house = await self._enter()
            stack.push_async_exit(self._leave)
            opened(house)
            await self._goodbye.wait()
