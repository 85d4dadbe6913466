"""Engines on asyncio loops, real ones; books that must balance, and nothing that may be left."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, ParamSpec, TypeVar

import trio

from tests.engine.house import QUIET, Books
from understudy import Request
from understudy.bridges import AsyncioEngine

P = ParamSpec("P")
T = TypeVar("T")
HI = Request.chat("hi")
PATIENCE_S = 30.0
"""Whoever waits longer than this, waits for ever."""


def on_asyncio(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """A test that runs on an asyncio loop of its own, and leaves nothing on it."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with asyncio.Runner() as runner:
            return runner.run(tidily(test(*args, **kwargs)))

    return run


async def tidily(body: Coroutine[Any, Any, T]) -> T:
    """Run the body; afterwards no task may be left, and no guest."""
    async with asyncio.timeout(PATIENCE_S):
        result = await body
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not trio.lowlevel.in_trio_run()
    gc.collect()
    return result


@contextlib.asynccontextmanager
async def house(
    config: Mapping[str, Any] | None = None, *, drain_s: float = 10.0, **functions: Any
) -> AsyncIterator[tuple[AsyncioEngine, Books]]:
    """An engine over functions of asyncio's, silent; its books are balanced when it has closed."""
    books: Books | None = None
    async with AsyncioEngine.open(
        {**QUIET, **(config or {})},
        functions=functions,
        environ={},
        drain_s=drain_s,
    ) as engine:
        books = Books(engine)
        yield engine, books
    books.balance()
