"""Virtual time for trio: it stands still while tasks run, and jumps when none can.

trio asks its clock how long to sleep only when no task is ready. `JumpClock` answers by moving to
the next thing that is due and saying "not at all", so that it happens in the same pass.
"""

from __future__ import annotations

import functools
import heapq
import math
from collections.abc import Callable
from typing import Final

import trio

from understudy_sim.progress import Watch

EPOCH_S: Final = 1_767_225_600.0
"""Where the wall clock of a simulation starts: 2026-01-01T00:00:00Z."""


class Alarm:
    """A timer that has been set: a handle to cancel it by."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Make sure that it does not fire. Harmless when it already has."""
        self.callback = None


class JumpClock(trio.abc.Clock):
    """A clock for `trio.run` that jumps, with timers of its own.

    A task that waits on these timers (`sleep_until`) is woken without a cancel scope and without
    an exception, which is several times cheaper than `trio.sleep`.

    **Ties.** Random times never collide, and then there is no order of tasks to explore. With a
    `quantum_s`, time lands on multiples of it only: whatever is due within one quantum wakes
    together. Waking late is something every event loop does. A power of two keeps the grid exact.

    **Timeouts against replies.** trio expires timeouts before it steps tasks, so on a tie a timeout
    beats a reply. With `replies_first`, time stops a hair short of the timeout, what the timers
    woke runs to rest, and then the timeout fires. Both happen in the real world.

    Attributes:
        watch: Told of every dead end.
        held: Somebody is ready and was held back, so time stands still.
    """

    def __init__(
        self, *, quantum_s: float = 0.0, replies_first: bool = False, watch: Watch | None = None
    ) -> None:
        """Start at 0.0 s.

        Raises:
            ValueError: `quantum_s` is neither 0 nor a power of two.
        """
        if quantum_s and (not 0.0 < quantum_s < math.inf or math.frexp(quantum_s)[0] != 0.5):
            raise ValueError(
                f"quantum {quantum_s!r} s is no power of two, so its multiples would not be exact "
                "and ties would be missed: take one like 2**-7 (7.8 ms), or 0 for none"
            )
        self.watch = watch or Watch()
        self.held = False
        self._now_s = 0.0
        self._quantum_s = quantum_s
        self._exact_up_to_s = quantum_s * 2.0**52  # beyond it, every float lies on the grid
        self._replies_first = replies_first
        self._heap: list[tuple[float, int, Alarm]] = []
        self._seq = 0

    def start_clock(self) -> None:
        """Nothing to start: time moves only when trio asks."""

    def current_time(self) -> float:
        """Virtual seconds since the start of the run."""
        return self._now_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Move to the next thing due. Called by trio when no task is ready."""
        if self.held:
            return 0.0
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
        timer_at = heap[0][0] if heap else math.inf
        due_at = min(timer_at, deadline)
        if due_at == math.inf or due_at > self.watch.horizon_s:
            return self._dead_end(due_at)
        self._fire(self._move(timer_at, deadline))
        return 0.0

    def at(self, at_s: float, callback: Callable[[], object]) -> Alarm:
        """Call `callback` once, when virtual time reaches `at_s` (absolute).

        It is called from trio's run loop: it may wake tasks, and must not raise. Equal times fire
        in the order in which they were set.
        """
        alarm = Alarm(callback)
        self._seq += 1
        heapq.heappush(self._heap, (at_s, self._seq, alarm))
        return alarm

    async def sleep_until(self, at_s: float) -> None:
        """Wait until virtual time is `at_s` (absolute); other tasks run even if that is past."""
        wake = functools.partial(trio.lowlevel.reschedule, trio.lowlevel.current_task())
        alarm = self.at(at_s, wake)

        def abort(_: object) -> trio.lowlevel.Abort:
            alarm.callback = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    async def sleep(self, duration_s: float) -> None:
        """Wait for so many virtual seconds."""
        await self.sleep_until(self._now_s + duration_s)

    def freeze_all(self, duration_s: float) -> None:
        """Let time pass in which nobody runs, as when a laptop sleeps: all due then is late."""
        self._now_s = self._on_grid(self._now_s + max(duration_s, 0.0))

    def _move(self, timer_at: float, deadline: float) -> float:
        """Move to the earlier of the two; returns up to which time timers are due."""
        due_at = min(timer_at, deadline)
        if due_at <= self._now_s:
            return self._now_s
        target = self._on_grid(due_at)
        if self._replies_first and timer_at <= deadline <= target:
            self._now_s = max(self._now_s, math.nextafter(deadline, -math.inf))
            return deadline
        self._now_s = target
        return target

    def _on_grid(self, at_s: float) -> float:
        if not self._quantum_s or at_s >= self._exact_up_to_s:
            return at_s
        return math.ceil(at_s / self._quantum_s) * self._quantum_s

    def _fire(self, due_s: float) -> None:
        """Fire the timers due by `due_s`; what they set anew waits for the next pass."""
        heap, due = self._heap, list[Alarm]()
        while heap and heap[0][0] <= due_s:
            due.append(heapq.heappop(heap)[2])
        fired = 1  # a pass counts too: no way to spin unseen
        for alarm in due:
            callback, alarm.callback = alarm.callback, None
            if callback is not None:
                fired += 1
                callback()
        self.watch.stepped(fired, self._now_s)

    def _dead_end(self, due_at: float) -> float:
        """Nothing is due any more, or not before the horizon."""
        if due_at == math.inf:
            return 0.0 if self.watch.trouble("deadlock", self._now_s) else math.inf
        self._now_s = max(self._now_s, self.watch.horizon_s)
        self.watch.trouble("horizon", self._now_s)
        return 0.0
