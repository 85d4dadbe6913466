"""Nothing in a simulated run touches the world: whatever tries raises, and the run fails.

The interpreter reports such actions as audit events (PEP 578). Our hook is installed once, since
hooks cannot be removed, and judges only the thread of a simulated run. No event exists for reading
clocks or drawing random numbers: the linter bans those names, and digests show the rest. Nor is
it seen when trio reuses a worker thread that is idle from before the run.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, Final

_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_COMMANDS: Final = frozenset(
    {
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
        "os.system",
        "pty.spawn",
        "subprocess.Popen",
    }
)
_TOLD: Final = frozenset({"open", "os", "pty", "socket", "subprocess", "time", "_thread"})
"""What comes before the dot in the events that matter: there are thousands of others a second."""
_THREADS: Final = frozenset({"_thread.start_new_thread", "_thread.start_joinable_thread"})

_NO_SOCKET: Final = "give the engine a simulated transport"
_NO_THREAD: Final = "do the work in a task; what must block belongs behind a port"
_NO_FILE: Final = "keep it in memory, and write it when the run is over"
_NO_COMMAND: Final = "start it before the run, or let the simulated world answer for it"
_NO_SLEEP: Final = "await the clock of the simulation instead"


class Forbidden(RuntimeError):
    """A simulated run tried to touch the world. The action did not take place.

    Attributes:
        action: The audit event, such as `socket.connect`.
    """

    def __init__(self, action: str, what: str, instead: str) -> None:
        self.action = action
        super().__init__(
            f"a simulated run tried to {what} ({action}): no seed decides how that goes, so the "
            f"run could not be repeated. Instead, {instead}."
        )


class Guard:
    """The ban, for one run in one thread.

    Attributes:
        breach: The first forbidden action, even if its error was swallowed.
    """

    def __init__(self) -> None:
        self.breach: Forbidden | None = None
        self._thread: int | None = None

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Forbid in this block, on this thread."""
        _install()
        self._thread = threading.get_ident()
        _active.append(self)
        with _threads_refused():
            try:
                yield
            finally:
                _active.remove(self)

    def judge(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Raise if this is forbidden here.

        Raises:
            Forbidden: It is.
        """
        if threading.get_ident() != self._thread:
            return
        verdict = _verdict(event, arguments)
        if verdict is not None:
            error = Forbidden(event, *verdict)
            self.breach = self.breach or error
            raise error


_active: Final[list[Guard]] = []
_installed: Final[list[bool]] = []


def _install() -> None:
    if not _installed:
        _installed.append(True)
        sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _active and event.partition(".")[0] in _TOLD:
        _active[-1].judge(event, arguments)


def _verdict(event: str, arguments: tuple[Any, ...]) -> tuple[str, str] | None:
    """What it is and what to do instead, if it is forbidden."""
    if event == "open":
        return ("open a file for writing", _NO_FILE) if _is_write(*arguments) else None
    if event.startswith("socket."):
        return "use a socket", _NO_SOCKET
    if event in _THREADS:
        return "start a thread", _NO_THREAD
    if event in _COMMANDS:
        return "start a process", _NO_COMMAND
    if event == "time.sleep":
        return "sleep in real time", _NO_SLEEP
    return None


def _is_write(path: object, mode: object, flags: object) -> bool:
    if isinstance(path, int):
        return False  # a file that is open already
    if isinstance(path, str) and ".pyc" in path.rpartition(os.sep)[2]:
        return False  # an import keeps its bytecode
    if isinstance(mode, str):
        return not set(mode).isdisjoint("wax+")
    return isinstance(flags, int) and bool(flags & _WRITES)


@contextlib.contextmanager
def _threads_refused() -> Iterator[None]:
    """Before Python 3.12 no event tells of threads: stand before the method that starts them."""
    if sys.version_info >= (3, 12):
        yield
        return
    start = threading.Thread.start

    def judged(self: threading.Thread) -> None:
        _hook("_thread.start_new_thread", ())
        start(self)

    threading.Thread.start = judged  # type: ignore[method-assign]
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]
