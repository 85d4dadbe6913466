"""Engines on asyncio loops, real ones; books that must balance, and nothing that may be left."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Final, TypeVar

import pytest
import trio
import uvloop

from tests.engine.house import QUIET, Books
from understudy import Request
from understudy.bridges import AsyncioEngine
from understudy.bridges.asyncio_engine import open_asyncio_engine
from understudy.bridges.pump import Pump, Tick
from understudy_sim.mock import MockSettings, running_mock

T = TypeVar("T")
HI = Request.chat("hi")
MODES: Final = ("asyncio", "uvloop", "threaded")
"""asyncio's own loop, uvloop's, and asyncio's with trio waiting in a thread of its own."""
PATIENCE_S = 30.0
"""Whoever waits longer than this, waits for ever."""
MODE: ContextVar[str] = ContextVar("MODE", default="asyncio")


class Threaded(Pump):
    """A pump for a release of trio that cannot be waited for."""

    def _open(self, tick: Tick) -> None:
        self.clock.threaded = True


class open_threaded_engine(open_asyncio_engine):
    """An engine whose trio waits in a thread."""

    _pump: type[Pump] = Threaded


def on_asyncio(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that runs on a loop of its own, once in each mode, and leaves nothing on it."""

    def run(*args: Any, mode: str = "asyncio", **kwargs: Any) -> None:
        token = MODE.set(mode)
        factory = uvloop.new_event_loop if mode == "uvloop" else None
        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(tidily(test(*args, **kwargs)))
        finally:
            MODE.reset(token)
        gc.collect()  # what was lost warns here

    functools.update_wrapper(run, test)
    del run.__wrapped__  # type: ignore[attr-defined]
    signature = inspect.signature(test)
    mode = inspect.Parameter("mode", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), mode]
    )
    marked: Callable[..., None] = pytest.mark.parametrize("mode", MODES)(run)
    return marked


async def tidily(body: Coroutine[Any, Any, T]) -> T:
    """Run the body; afterwards no task may be left, and no guest."""
    async with asyncio.timeout(PATIENCE_S):
        result = await body
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not trio.lowlevel.in_trio_run()
    return result


@contextlib.asynccontextmanager
async def house(
    config: Mapping[str, Any] | None = None, *, drain_s: float = 10.0, **functions: Any
) -> AsyncIterator[tuple[AsyncioEngine, Books]]:
    """An engine over functions of asyncio's, silent; its books are balanced when it has closed."""
    books: Books | None = None
    opener = open_threaded_engine if MODE.get() == "threaded" else AsyncioEngine.open
    try:
        async with opener(
            {**QUIET, **(config or {})}, functions=functions, environ={}, drain_s=drain_s
        ) as engine:
            assert engine._guest.pump.threaded == (MODE.get() == "threaded")
            books = Books(engine)
            yield engine, books
    finally:
        if books is not None:
            books.balance()


@contextlib.contextmanager
def mock_provider(settings: MockSettings) -> Iterator[str]:
    """A mock provider on a real socket, in a thread of its own; gives its base URL."""
    started, stop, url = threading.Event(), trio.Event(), ""
    token: trio.lowlevel.TrioToken | None = None

    async def serve() -> None:
        nonlocal url, token
        token = trio.lowlevel.current_trio_token()
        async with running_mock(settings) as mock:
            url = f"{mock.url}/v1"
            started.set()
            await stop.wait()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    try:
        assert started.wait(PATIENCE_S)
        yield url
    finally:
        if token is not None:
            token.run_sync_soon(stop.set)
        thread.join()
