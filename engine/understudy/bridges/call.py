"""One coroutine of trio's that somebody outside of trio waits for; and nothing of how they wait."""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar, cast

import trio

from understudy.routing.endings import shutting_down

T = TypeVar("T")
_MISSING: Final = object()


class Call(Generic[T]):
    """A coroutine of trio's, run with its caller's context variables.

    What it sets there is set for the caller, as if it had been awaited on the spot.

    Attributes:
        context: What it runs in.
        left: Nobody waits any more.
    """

    __slots__ = (
        "_arguments", "_done", "_error", "_function", "_scope", "_value", "context", "left",
    )  # fmt: skip

    def __init__(self, function: Callable[..., Awaitable[T]], arguments: tuple[Any, ...]) -> None:
        self.context = contextvars.copy_context()
        self.left = False
        self._function = function
        self._arguments = arguments
        self._scope: trio.CancelScope | None = None
        self._done = False
        self._value: T | None = None
        self._error: BaseException | None = None

    async def run(self, scope: trio.CancelScope) -> None:
        """Run it to its end, in the block of `scope`."""
        if self.left:
            return
        self._scope = scope
        try:
            self._value = await self._function(*self._arguments)
        except trio.Cancelled:
            if not self.left:
                self._error = shutting_down()  # by the end of the run
            raise
        except BaseException as error:  # the caller's, whatever it is
            self._error = error
        finally:
            self.context = contextvars.copy_context()
            self._finish()

    def refuse(self) -> None:
        """It will never run: trio has ended."""
        self._error = shutting_down()
        self._finish()

    def _finish(self) -> None:
        """It has ended: let go of whoever waits."""
        self._done = True

    def _hand_over(self) -> None:
        """Set for the caller what was set on the way."""
        for variable, value in self.context.items():
            if variable.get(_MISSING) is not value:
                variable.set(value)

    def _outcome(self) -> T:
        """What it returned, or raised."""
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # else it and its traceback hold each other
        return cast(T, self._value)
