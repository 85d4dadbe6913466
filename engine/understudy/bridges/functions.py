"""Functions of an asyncio program as providers: whatever they await is awaited in asyncio."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from understudy.adapters.base import Adapter
from understudy.adapters.registry import Registry
from understudy.bridges.crossing import in_host
from understudy.bridges.guest import Guest

FUNCTION: Final = "function"
"""The kind of provider that is a function of the user's."""


class Functions(Registry):
    """Another registry, whose functions are asyncio's."""

    def __init__(self, registry: Registry, guest: Guest[Any]) -> None:
        super().__init__()
        own = registry.get(FUNCTION)

        def make(options: Mapping[str, Any]) -> Adapter:
            function = options.get(FUNCTION)
            if callable(function):
                options = {**options, FUNCTION: awaited_in_host(function, guest)}
            return own.make(options)

        self._kinds = {name: registry.get(name) for name in registry.names}
        self._kinds[FUNCTION] = replace(own, make=make)


def awaited_in_host(function: Callable[..., Any], guest: Guest[Any]) -> Callable[..., Any]:
    """`function` for trio tasks: if what it returns can be awaited, asyncio awaits it."""

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        answer = function(*arguments, **named)
        return in_host(guest.pump, answer) if inspect.isawaitable(answer) else answer

    return call
