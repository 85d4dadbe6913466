"""The trio tasks that calls from outside of trio run in: kept for the next call, since making one
costs several times what a call does."""

from __future__ import annotations

import contextvars
import functools
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import outcome
import trio

from understudy.bridges.call import Call
from understudy.routing.endings import shutting_down

IDLE_MAX: Final = 256
"""Tasks that are kept when they have nothing to do; about 3 KiB each."""
NAME: Final = "understudy call"
"""What the tasks are called."""


class Workers:
    """Runs calls, each in a task of its own while it lasts.

    They begin one after another, in the order in which they were made: trio shuffles the tasks of
    one round, so each that begins lets the next one in. `wake` is called before trio is given one
    from outside of its turns.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._nursery: trio.Nursery | None = None
        self._idle: list[trio.lowlevel.Task] = []
        self._door: deque[Call[Any]] = deque()
        self._entering = False

    @property
    def open(self) -> bool:
        """Are calls taken?"""
        return self._nursery is not None

    def begin(self, call: Call[Any]) -> None:
        """Have a call run, as soon as those before it have begun.

        Raises:
            ShuttingDown: No calls are taken any more.
        """
        if self._nursery is None:
            raise shutting_down()
        self._door.append(call)
        if not self._entering:
            self._wake()
            self._let_in()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Take calls within this block; cancel those that are left at its end."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                yield
            finally:
                self._nursery = None
                self._idle.clear()
                nursery.cancel_scope.cancel()
                while self._door:
                    self._door.popleft().refuse()

    def _let_in(self) -> None:
        """Let the next call begin."""
        self._entering = False
        while self._door and self._nursery is not None:
            call = self._door.popleft()
            if call.left:
                continue
            self._entering = True
            if self._idle:
                task = self._idle.pop()
                task.context = call.context
                trio.lowlevel.reschedule(task, outcome.Value(call))
            else:
                start = functools.partial(self._nursery.start_soon, self._work, call, name=NAME)
                call.context.run(start)
            return

    async def _work(self, call: Call[Any] | None) -> None:
        task, nobodys = trio.lowlevel.current_task(), contextvars.Context()
        with trio.CancelScope() as scope:  # ends with the first call that is cancelled
            while call is not None:
                self._let_in()
                await call.run(scope)
                call = None  # whoever is idle holds on to nothing of the caller's
                if scope.cancel_called or self._nursery is None or len(self._idle) >= IDLE_MAX:
                    return
                task.context = nobodys
                self._idle.append(task)
                call = await trio.lowlevel.wait_task_rescheduled(_gives_way)


def _gives_way(_raise_cancel: Any) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.SUCCEEDED
