"""Functions of programs that do not run on trio, as providers: run where these expect it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

import trio
from msgspec.structs import replace

from understudy.adapters.base import Adapter
from understudy.adapters.function import is_async
from understudy.adapters.registry import Registry
from understudy.bridges.crossing import in_host
from understudy.bridges.guest import Guest

FUNCTION: Final = "function"
"""The kind of provider that is a function of the user's."""


class Functions(Registry):
    """Another registry, whose functions go through `wrap` first."""

    def __init__(
        self, registry: Registry, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        super().__init__()
        own = registry.get(FUNCTION)

        def make(options: Mapping[str, Any]) -> Adapter:
            function = options.get(FUNCTION)
            if callable(function):
                options = {**options, FUNCTION: wrap(function)}
            return own.make(options)

        self._kinds = {name: registry.get(name) for name in registry.names}
        self._kinds[FUNCTION] = replace(own, make=make)


def awaited_in_host(guest: Guest[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` for trio tasks: if what it returns can be awaited, asyncio awaits it."""

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        answer = function(*arguments, **named)
        return in_host(guest.pump, answer) if inspect.isawaitable(answer) else answer

    return call


def in_a_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` for trio tasks: unless it is async it runs in a worker thread, and may block.

    When its caller gives up, the thread goes on by itself and its result is dropped: a deadline
    must not wait for a thread that cannot be stopped.
    """
    if is_async(function):
        return function

    @functools.wraps(function)
    async def call(*arguments: Any, **named: Any) -> Any:
        run = functools.partial(function, *arguments, **named)
        answer = await trio.to_thread.run_sync(run, abandon_on_cancel=True)
        return await answer if inspect.isawaitable(answer) else answer

    return call
