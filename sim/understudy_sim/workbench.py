"""A provider's servers: so many answers are worked on at once, the rest waits in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import attrs

from understudy_actors.runtime.ports import TimerHandle, Timers
from understudy_sim.parking import Parking

LOOK_AGAIN_S: Final = 0.25
"""While no server is left and somebody waits, how often to look whether one is back."""


@attrs.define(eq=False, slots=True)
class Job:
    """One answer to be worked on for `service_s`; `parking` is where its client waits for it.

    `done` is called when the work is finished, whether or not the client is still there; `begun` is
    where a client waits who wants to see it grow.
    """

    service_s: float
    done: Callable[[], None]
    parking: Parking = attrs.Factory(Parking)
    begun: Parking | None = None
    dropped: bool = False
    timer: TimerHandle | None = None


class Workbench:
    """Serves jobs first come, first served, on as many servers as there are at the moment.

    `servers` tells how many there are now; None stands for any number.
    """

    __slots__ = ("_looking", "_now", "_queue", "_servers", "_timers", "busy")

    def __init__(
        self, timers: Timers, now: Callable[[], float], servers: Callable[[], int | None]
    ) -> None:
        self._timers = timers
        self._now = now
        self._servers = servers
        self._queue: deque[Job] = deque()
        self._looking = False
        self.busy = 0

    @property
    def waiting(self) -> int:
        """Jobs that wait for a server."""
        return len(self._queue)

    def free(self) -> bool:
        """Whether a new job would be begun at once."""
        servers = self._servers()
        return servers is None or (self.busy < servers and not self._queue)

    def add(self, job: Job) -> None:
        """Begin a job, or let it wait for its turn."""
        if self.free():
            self._begin(job)
            return
        self._queue.append(job)
        if self.busy == 0:
            self._look_again()

    def drop(self, job: Job) -> None:
        """Stop working on a job whose client has left. Harmless when it is done."""
        if job.timer is None:
            job.dropped = True
            if job in self._queue:
                self._queue.remove(job)
            return
        if not job.dropped:
            job.dropped = True
            job.timer.cancel()
            self._freed()

    def _begin(self, job: Job) -> None:
        self.busy += 1
        if job.begun is not None:
            job.begun.wake()
        job.timer = self._timers.at(self._now() + job.service_s, lambda: self._finish(job))

    def _finish(self, job: Job) -> None:
        job.dropped = True  # from here on there is nothing to drop
        job.done()
        job.parking.wake()
        self._freed()

    def _freed(self) -> None:
        self.busy -= 1
        self._next()

    def _looked(self) -> None:
        self._looking = False
        self._next()

    def _next(self) -> None:
        servers = self._servers()
        while self._queue and (servers is None or self.busy < servers):
            self._begin(self._queue.popleft())
        if self._queue and self.busy == 0:
            self._look_again()

    def _look_again(self) -> None:
        if self._looking:
            return
        self._looking = True
        self._timers.at(self._now() + LOOK_AGAIN_S, self._looked)
