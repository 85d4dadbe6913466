"""Turns a guest run of trio on its host's loop, without the thread that trio would wait in.

trio takes its guest's time in ticks. Between two of them it waits for I/O and for its next deadline
in a thread, which costs two switches of threads a wait. But the host waits as well, and can wait
for both: trio's own queue of I/O events is a file that becomes readable, and a deadline is a timer.

    turning ──trio has nothing to do──▶ parked ──its I/O, its deadline, or a call──▶ turning

Parked, the run is in the state in which trio's thread would be waiting, and goes on as it would
when that thread reports: whatever wakes trio by its own means (other threads, cancel scopes, events
that are set from the host) makes that file readable.

For this two things are read that trio does not publish: what the next tick is to be told, and
the number of that file. If this release of trio has them elsewhere, or the system has no such file,
trio is left to wait in its thread: slower, and otherwise the same.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import os
from collections.abc import Callable
from typing import Any, Final

import trio

from understudy.ports import monotonic

TICKS_MAX: Final = 16
"""Ticks in one step of the host: then others there have their turn."""

Tick = Callable[[], object]


class HostClock(trio.abc.Clock):
    """A clock for a guest run: the one that asyncio's loops go by.

    When trio asks how long to wait, the answer is noted in `until`, and is: not at all, somebody
    else waits. If `threaded`, trio waits by itself.
    """

    def __init__(self) -> None:
        self.until: float | None = None
        self.threaded = False

    def start_clock(self) -> None:
        """It runs already."""

    current_time = staticmethod(monotonic)

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """How long trio is to wait: trio asks when it has nothing else to do."""
        if self.threaded:
            return deadline - monotonic()
        self.until = deadline
        return 0.0


class Pump:
    """Turns one guest run. `soon` is what trio gets to have its ticks called by.

    Attributes:
        clock: For the run.
        loop: The host.
        context: For steps of the host that are nobody's: empty.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.clock = HostClock()
        self.loop = loop
        self.context = contextvars.Context()
        self._tick: Tick | None = None
        self._state: Any = None
        self._file: int | None = None
        self._turning = self._scheduled = self._parked = False
        self._timer: asyncio.Handle | None = None
        self._due_at = math.inf

    @property
    def threaded(self) -> bool:
        """Does trio wait in a thread of its own?"""
        return self.clock.threaded

    def soon(self, tick: Tick) -> None:
        """trio wants its next tick."""
        if self._tick is None and not self.clock.threaded:
            self._open(tick)
        if self.clock.threaded:
            self.loop.call_soon(tick, context=self.context)
        elif not self._turning:
            self._schedule()

    def turn(self) -> None:
        """Let trio do what it can do now, without waiting for the loop to come round."""
        if self._turning or self._tick is None:
            return
        self._turning = True
        self._wake()
        try:
            for _ in range(TICKS_MAX):
                self.clock.until = None
                self._tick()
                if self._tick is None:
                    return
                if self.clock.until is not None and not self._state.unrolled_run_next_send.value:
                    self._park(self.clock.until)
                    return
        finally:
            self._turning = False
            if not self._parked:
                self._schedule()

    def wake(self) -> None:
        """Something is about to be given to trio: `turn` follows, nobody else need be told."""
        if self._parked:
            self._wake()
            self._schedule()

    def close(self) -> None:
        """The run is over."""
        self._tick = self._state = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._file is not None:
            self.loop.remove_reader(self._file)
            os.close(self._file)
            self._file = None

    def _open(self, tick: Tick) -> None:
        file = None
        try:
            self._state = tick.__self__  # type: ignore[attr-defined]
            assert not self._state.unrolled_run_next_send.value
            assert self._state.runner.guest_tick_scheduled
            file = os.dup(self._state.runner.io_manager._epoll.fileno())
            self.loop.add_reader(file, self.turn)
        except (AttributeError, AssertionError, NotImplementedError):
            if file is not None:
                os.close(file)
            self.clock.threaded = True
        else:
            self._tick, self._file = tick, file

    def _park(self, until: float) -> None:
        self._parked = True
        self._state.runner.guest_tick_scheduled = False
        if until >= self._due_at:
            return  # woken too early it parks again; that is cheaper than a timer for each wait
        if self._timer is not None:
            self._timer.cancel()
        self._due_at = until
        delay_s = max(0.0, until - monotonic())
        self._timer = self.loop.call_later(delay_s, self._due, context=self.context)

    def _wake(self) -> None:
        self._parked = False
        self._state.runner.guest_tick_scheduled = True

    def _due(self) -> None:
        self._timer, self._due_at = None, math.inf
        self.turn()

    def _schedule(self) -> None:
        if not self._scheduled and self._tick is not None:
            self._scheduled = True
            self.loop.call_soon(self._come_round, context=self.context)

    def _come_round(self) -> None:
        self._scheduled = False
        if not self._parked:
            self.turn()
