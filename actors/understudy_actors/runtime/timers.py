"""One wheel for every timer: ordered by time, and among equal times by who came first.

trio orders equal deadlines by the address of a scope, which no seed reproduces. So trio only ever
sleeps until the earliest of ours, and we call the rest in order.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Final

import trio

from understudy_actors.runtime.ports import Clock

SHORTEST_SLEEP_S: Final = 1e-6
"""Adding less than this to a clock may round to nothing, and the pump would spin."""


class Timer:
    """A timer that has been set: a handle to cancel it by."""

    __slots__ = ("_wheel", "callback")

    def __init__(self, wheel: TimerWheel, callback: Callable[[], None]) -> None:
        self._wheel = wheel
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Make sure that it does not fire. Harmless when it already has."""
        if self.callback is not None:
            self.callback = None
            self._wheel.forget()


class TimerWheel:
    """Timers by (time, order of setting). Somebody has to turn it: `fire_due`, or the pump `run`.

    Cancelling is O(1); what was cancelled is swept out as soon as it is more than half of all.
    """

    __slots__ = ("_cancelled", "_heap", "_on_error", "_seq", "_wake")

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        """`on_error` gets whatever a callback raises; the other timers go on."""
        self._on_error = on_error
        self._heap: list[tuple[float, int, Timer]] = []
        self._seq = 0
        self._cancelled = 0
        self._wake: trio.Event | None = None

    def at(self, at_s: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` once, at or soon after `at_s` (absolute, on the engine's clock).

        Raises:
            ValueError: `at_s` is not a number.
        """
        if math.isnan(at_s):
            raise ValueError("a timer needs a time, got nan")
        timer = Timer(self, callback)
        self._seq += 1
        heapq.heappush(self._heap, (at_s, self._seq, timer))
        if self._wake is not None and self._heap[0][2] is timer:
            self._wake.set()
        return timer

    def forget(self) -> None:
        """Note that one timer was cancelled (its handle calls this)."""
        self._cancelled += 1
        if self._cancelled * 2 > len(self._heap):
            # In place: `fire_due` may be in the middle of it.
            self._heap[:] = [each for each in self._heap if each[2].callback is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def next_at(self) -> float:
        """When the earliest timer is due, absolute; infinity if none is set."""
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
            self._cancelled -= 1
        return heap[0][0] if heap else math.inf

    def fire_due(self, now_s: float) -> None:
        """Call everything due by `now_s` in order, what is added meanwhile for `now_s` included."""
        while self.next_at() <= now_s:
            timer = heapq.heappop(self._heap)[2]
            callback, timer.callback = timer.callback, None
            assert callback is not None
            try:
                callback()
            except Exception as error:
                self._on_error(error)

    async def run(self, clock: Clock) -> None:
        """Turn the wheel by `clock` until cancelled, asleep whenever nothing is due."""
        try:
            while True:
                now_s = clock.now()
                self.fire_due(now_s)
                self._wake = trio.Event()
                with trio.move_on_after(max(self.next_at() - clock.now(), SHORTEST_SLEEP_S)):
                    await self._wake.wait()
        finally:
            self._wake = None

    def __len__(self) -> int:
        """How many timers are set and not cancelled."""
        return len(self._heap) - self._cancelled

    def __repr__(self) -> str:
        return f"<TimerWheel {len(self)} set, next at {self.next_at():.3f} s>"
