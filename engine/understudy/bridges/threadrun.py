"""A trio run in a thread of its own, for programs of threads: one hop a call, and no polling."""

from __future__ import annotations

import _thread
import atexit
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, ParamSpec, TypeVar

import trio

from understudy.bridges.call import Call
from understudy.bridges.forks import Birthplace
from understudy.bridges.held import Enter, Held, Leave
from understudy.routing.endings import shutting_down
from understudy_actors.domain.errors import ShuttingDown

T = TypeVar("T")
P = ParamSpec("P")
House = TypeVar("House")

THREADS_MAX: Final = 256
"""Functions of the user's that may block at the same time, each in a worker thread."""
INTERRUPTED_S: Final = 0.01
"""How often whoever was interrupted looks whether its call has ended."""
NAME: Final = "understudy"
"""What the thread is called."""
INSIDE: Final = (
    "this is the thread that the engine runs in, and it would wait for itself: async functions "
    "and listeners run there. Await what is to be awaited, or call the engine from a thread."
)


class ThreadCall(Call[T]):
    """A call that a thread waits for."""

    __slots__ = ("_leave", "_lock")

    def __init__(
        self,
        leave: Callable[[Callable[[], None]], None],
        function: Callable[..., Awaitable[T]],
        arguments: tuple[Any, ...],
    ) -> None:
        super().__init__(function, arguments)
        self._leave = leave
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def wait(self, post: Callable[[ThreadCall[T]], None]) -> T:
        """Post it, wait for its end, and return or raise what it did.

        Whoever is interrupted meanwhile (Ctrl-C, in the main thread) cancels it, and waits until it
        has ended; being interrupted again ends that wait as well.
        """
        try:
            post(self)
            self._lock.acquire()
        except BaseException:
            self._leave(self._cancel)
            while not self._done:  # it may have been interrupted with the lock in its hands
                self._lock.acquire(timeout=INTERRUPTED_S)
            raise
        finally:
            self._hand_over()
        return self._outcome()

    def _cancel(self) -> None:
        """On the side of trio: nobody waits for its result."""
        self.left = True
        if self._scope is None:
            self._finish()
        elif not self._done:
            self._scope.cancel()

    def _finish(self) -> None:
        if not self._done:
            self._done = True
            self._lock.release()


class ThreadRun(Generic[House]):
    """Holds a block of trio's open in a thread, and runs calls of other threads beside that block.

    The thread ends when the block is left, or when the program does.
    """

    def __init__(self, enter: Enter[House], leave: Leave) -> None:
        self._held = Held(enter, leave, _nobody_sleeps)
        self._born = Birthplace()
        self._inbox: deque[Call[Any]] = deque()
        self._told = False  # trio is about to look into the inbox
        self._over = False  # and this it will never do again
        self._token: trio.lowlevel.TrioToken | None = None
        self._begun = threading.Event()  # trio runs
        self._opened = threading.Event()
        self._house: House | None = None
        self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)

    @property
    def inside(self) -> bool:
        """Is this the thread in which trio runs?"""
        return _thread.get_ident() == self._thread.ident

    # On the side of threads

    def open(self) -> House:
        """Start the run and enter the block; raises what entering it raised."""
        try:
            self._thread.start()
            self._opened.wait()
        except BaseException:
            self._begun.wait()
            self._soon(self._held.scope.cancel)
            self._thread.join()
            raise
        if self._house is None:
            self._thread.join()
            raise self._held.failure or shutting_down()
        atexit.register(self.close, None)
        return self._house

    def close(self, error: BaseException | None) -> None:
        """Leave the block and end the run; `error` is what ended the block in the caller's thread.

        An interrupt while it waits ends what is under way; a second one leaves it to itself.

        Raises:
            BaseException: What leaving the block raised, or what had ended it before.
        """
        if self._born.left:
            return
        if self.inside:
            raise RuntimeError(INSIDE)
        atexit.unregister(self.close)
        self._soon(self._held.goodbye if error is None else self._held.scope.cancel)
        try:
            self._thread.join()
        except BaseException:
            self._soon(self._held.scope.cancel)
            self._thread.join()
            raise
        if self._held.failure is not None:
            raise self._held.failure

    def run(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Run a coroutine of trio's, and wait for it; see `ThreadCall.wait`.

        Raises:
            ShuttingDown: The block was left before it had ended.
            RuntimeError: The caller is the engine's own thread, or in a forked process.
        """
        self._born.check()
        if self.inside:
            raise RuntimeError(INSIDE)
        return ThreadCall(self._soon, function, arguments).wait(self._post)

    def do(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call a function in trio's thread, between its steps, and wait for it.

        Raises:
            ShuttingDown: The block has been left.
            RuntimeError: The caller is in a forked process.
        """
        if self.inside:
            return function(*arguments, **named)

        async def call() -> T:
            return function(*arguments, **named)

        return self.run(call)

    def _post(self, call: Call[Any]) -> None:
        self._inbox.append(call)
        if not self._told:
            self._told = True
            self._soon(self._take)
        if self._over:
            self._take()

    def _soon(self, function: Callable[[], None]) -> None:
        """Have trio call something; if it has ended there is nothing left to be done by it."""
        if self._token is not None:
            try:
                self._token.run_sync_soon(function)
            except trio.RunFinishedError:
                self._over = True

    # On the side of trio

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:  # the thread's own end helps nobody
            self._held.failure = self._held.failure or error
        finally:
            self._over = True
            self._take()
            self._begun.set()
            self._opened.set()

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._begun.set()
        trio.to_thread.current_default_thread_limiter().total_tokens = THREADS_MAX
        await self._held.run(self._entered)

    def _entered(self, house: House) -> None:
        self._house = house
        self._opened.set()

    def _take(self) -> None:
        self._told = False  # before looking: whoever comes later tells again
        while self._inbox:
            try:
                call = self._inbox.popleft()
            except IndexError:  # another thread was faster: trio has ended
                return
            try:
                self._held.workers.begin(call)
            except ShuttingDown:
                call.refuse()


def _nobody_sleeps() -> None:
    """trio wakes by itself when it is told something."""
