"""Several processes that serve one port: who lives, who died, and when the next one starts.

`Crew` is pure: it is told of deaths and of the time, and says whom to start. `keep` does it.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import attrs

FIRST_S: Final = 0.5
LONGEST_S: Final = 30.0
CALM_S: Final = 60.0
"""A worker that dies is started anew after half a second; each time it dies within a minute doubles
that, up to half a minute."""
GRACE_S: Final = 5.0
"""So much longer than their requests may take workers have to end, before they are killed."""


@attrs.define
class _Worker:
    pid: int | None = None
    began: float = 0.0
    due: float = 0.0
    wait_s: float = FIRST_S


@attrs.define
class Crew:
    """The workers by number, from 1."""

    size: int
    ending: bool = False
    _workers: dict[int, _Worker] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self._workers = {number: _Worker() for number in range(1, self.size + 1)}

    def due(self, now: float) -> list[int]:
        """Who is to be started now."""
        if self.ending:
            return []
        return [n for n, each in self._workers.items() if each.pid is None and each.due <= now]

    def started(self, number: int, pid: int, now: float) -> None:
        """A worker lives."""
        worker = self._workers[number]
        worker.pid, worker.began = pid, now

    def died(self, pid: int, now: float) -> tuple[int, float] | None:
        """A process ended: which worker it was, and after how long it is started anew."""
        for number, worker in self._workers.items():
            if worker.pid == pid:
                worker.pid = None
                if now - worker.began >= CALM_S:
                    worker.wait_s = FIRST_S
                wait_s, worker.due = worker.wait_s, now + worker.wait_s
                worker.wait_s = min(LONGEST_S, worker.wait_s * 2)
                return number, wait_s
        return None

    def pids(self) -> list[int]:
        """Of those who live."""
        return [each.pid for each in self._workers.values() if each.pid is not None]

    def next_s(self, now: float) -> float | None:
        """How long until somebody is due; None: nobody."""
        dues = [e.due for e in self._workers.values() if e.pid is None and not self.ending]
        return max(0.0, min(dues) - now) if dues else None


def keep(
    crew: Crew,
    start: Callable[[int], int],
    now: Callable[[], float],
    tell: Callable[[str], None],
    drain_s: float,
) -> int:
    """Keep a crew alive until SIGTERM or SIGINT, which are passed on, as SIGHUP is.

    `start` begins a worker and returns its process id.

    Returns:
        The exit code: 0, or 1 if workers had to be killed.
    """
    wanted: list[int] = []
    killed, until = False, 0.0
    with _signals(wanted) as wake:
        while not crew.ending or crew.pids():
            for number in crew.due(now()):
                crew.started(number, start(number), now())
            left_s = until - now() if crew.ending else crew.next_s(now())
            select.select([wake], [], [], left_s if left_s is None else max(0.0, left_s))
            with suppress(BlockingIOError):
                os.read(wake, 4096)
            while wanted:
                number = wanted.pop(0)
                if number != signal.SIGHUP and not crew.ending:
                    crew.ending, until = True, now() + drain_s + GRACE_S
                _send(crew, signal.SIGHUP if number == signal.SIGHUP else signal.SIGTERM)
            for pid, code in _ended():
                if (found := crew.died(pid, now())) is not None and not crew.ending:
                    tell(f"worker {found[0]} ended ({code}); the next starts in {found[1]:g} s")
            if crew.ending and now() >= until and crew.pids():
                killed, until = True, now() + GRACE_S
                _send(crew, signal.SIGKILL)
    return 1 if killed else 0


def _send(crew: Crew, number: int) -> None:
    for pid in crew.pids():
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _ended() -> Iterator[tuple[int, str]]:
    """Children that ended, and how."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        code = os.waitstatus_to_exitcode(status)
        yield pid, f"exit code {code}" if code >= 0 else f"signal {-code}"


@contextmanager
def _signals(wanted: list[int]) -> Iterator[int]:
    """Signals go into `wanted`; what is yielded becomes readable with each, and with each death."""
    wake, woken = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {each: signal.signal(each, lambda n, _: wanted.append(n)) for each in numbers}
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
    former = signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    try:
        yield wake
    finally:
        signal.set_wakeup_fd(former)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(wake)
        os.close(woken)


def fork(work: Callable[[], int], lifeline: tuple[int, int]) -> int:
    """Begin a child that does `work` and ends with its code; the parent has its process id.

    `lifeline` is a pipe of the parent's: it breaks when that dies.
    """
    if pid := os.fork():
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # whoever can reload says so itself
        os.setpgid(0, 0)  # the terminal's Ctrl-C is the parent's to pass on, once
        os.close(lifeline[1])
        code = work()
    finally:
        os._exit(code)


def end_with_parent(lifeline: int) -> None:
    """From within a worker's loop: when the parent dies, this process ends in good order."""
    loop = asyncio.get_running_loop()

    def broken() -> None:
        loop.remove_reader(lifeline)
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(lifeline, broken)
