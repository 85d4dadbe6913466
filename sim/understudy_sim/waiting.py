"""Waiting in a simulation: a task parks, a timer wakes it, with no cancel scope in between."""

from __future__ import annotations

from typing import Any

import trio

from understudy_actors.runtime.ports import Timers


async def sleep_until(timers: Timers, at_s: float) -> None:
    """Wait until `at_s` on the clock of `timers`; at least one checkpoint."""
    task = trio.lowlevel.current_task()
    timer = timers.at(at_s, lambda: trio.lowlevel.reschedule(task))

    def abort(_raise: Any) -> trio.lowlevel.Abort:
        timer.cancel()
        return trio.lowlevel.Abort.SUCCEEDED

    await trio.lowlevel.wait_task_rescheduled(abort)


class Parking:
    """A place for one task to wait until somebody wakes it, now or earlier."""

    __slots__ = ("_task", "_woken")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self._woken = False

    def wake(self) -> None:
        """Wake whoever waits here, or will."""
        self._woken = True
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    async def wait(self) -> None:
        """Wait to be woken."""
        if self._woken:
            await trio.lowlevel.checkpoint()
            return
        self._task = trio.lowlevel.current_task()

        def abort(_raise: Any) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
