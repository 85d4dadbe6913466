"""A gateway on a real socket, before mock providers on real sockets and functions of our own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from typing import Any, Final, ParamSpec

import attrs
import msgspec
import trio
import uvicorn

from understudy import ChatOutput, EmbeddingOutput, Image, ImageOutput, Request, ToolCall
from understudy.bridges import AsyncioEngine
from understudy.config import LogConfig
from understudy.gateway import Limits, create_app
from understudy.gateway.guard import Guard
from understudy.gateway.server import listen, settings
from understudy_actors.domain.request import ChatInput, EmbeddingInput, ImageInput
from understudy_sim.mock import MockHandle, MockSettings, running_mock
from understudy_sim.mock.settings import Behaviour

P = ParamSpec("P")
PATIENCE_S: Final = float(os.environ.get("UNDERSTUDY_PATIENCE_S", "60"))
QUIET: Final = {"log": {"level": "off"}, "retry": {"attempts": 0}}
OFFERED: Final = ("chat", "embedding", "image", "image_edit")
OSLO: Final = ToolCall("call_oslo", "get_weather", '{"city": "Oslo"}')


async def oracle(request: Request) -> Any:
    """A provider that can do everything that this gateway speaks of."""
    asked = request.input
    if isinstance(asked, EmbeddingInput):
        return EmbeddingOutput(tuple((float(len(text)), 0.5, -2.0) for text in asked.texts))
    if isinstance(asked, ImageInput):
        return ImageOutput((Image(b64="iVBORw0KGgo="),) * asked.n)
    assert isinstance(asked, ChatInput)
    if asked.tools and all(each.role != "tool" for each in asked.messages):
        return ChatOutput("", "tool_calls", (OSLO,))
    if asked.json_schema is not None:
        return ChatOutput('{"text": "yes"}')
    said = asked.messages[-1].content
    words = said if isinstance(said, str) else " ".join(getattr(p, "text", "") for p in said)
    return ChatOutput(f"you said: {words}")


@attrs.frozen
class Service:
    """A gateway that serves: its address, its engine, and the mocks behind it."""

    url: str
    engine: AsyncioEngine
    mocks: list[MockHandle]


def on_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that runs on an asyncio loop of its own, and leaves nothing on it."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def tidily() -> None:
            async with asyncio.timeout(PATIENCE_S):
                await test(*args, **kwargs)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left

        with asyncio.Runner() as runner:
            runner.run(tidily())

    return run


@contextlib.asynccontextmanager
async def serving(
    config: Mapping[str, Any] | None = None,
    *,
    behaviours: tuple[Behaviour, ...] = (),
    limits: Limits | None = None,
    guard: Guard | None = None,
    log: LogConfig | None = None,
    each: Mapping[str, Any] | None = None,
    **functions: Any,
) -> AsyncIterator[Service]:
    """Serve; mocks are providers `m0`, `m1`, ... by priority, and all have what `each` says."""
    with _mocks(behaviours) as handles:
        opened: list[AsyncioEngine] = []
        own = {n: {"operations": [*OFFERED], "priority": 50} for n in functions}
        all_of_them = {**_providers(handles), **own}
        providers = {name: {**said, **(each or {})} for name, said in all_of_them.items()}
        made = {**QUIET, "strategy": "priority", "providers": providers, **(config or {})}

        def opening() -> Any:
            return AsyncioEngine.open(made, functions=functions, environ={}, drain_s=5.0)

        app = create_app(opening, limits=limits, guard=guard, log=log, on_ready=opened.append)
        listener = listen("127.0.0.1", 0)
        server = _Quiet(settings(app, drain_s=5))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:
                await asyncio.sleep(0.01)
                assert not task.done(), "the server did not start"
            port = listener.getsockname()[1]
            yield Service(f"http://127.0.0.1:{port}", opened[0], handles)
        finally:
            server.should_exit = True
            await task
            listener.close()


class _Quiet(uvicorn.Server):
    """A server in a test: signals are the test run's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _providers(handles: list[MockHandle]) -> dict[str, Any]:
    return {
        f"m{at}": {
            "kind": "openai-compatible",
            "base_url": handle.url + "/v1",
            "models": ["m"],
            "priority": at,
            "price": {"input": 1.0, "output": 2.0},
            "retry": {"attempts": 0},
        }
        for at, handle in enumerate(handles)
    }


@contextlib.contextmanager
def _mocks(behaviours: tuple[Behaviour, ...]) -> Iterator[list[MockHandle]]:
    """Mock providers in a thread of their own: they run on trio, and this loop has its guest."""
    if not behaviours:
        yield []
        return
    ready: queue.Queue[Any] = queue.Queue()

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            handles = [
                await stack.enter_async_context(
                    running_mock(MockSettings(provider=f"m{at}", seed=at, behaviour=each))
                )
                for at, each in enumerate(behaviours)
            ]
            end = trio.Event()
            ready.put((handles, end, trio.lowlevel.current_trio_token()))
            await end.wait()

    thread = threading.Thread(target=trio.run, args=(run,), daemon=True)
    thread.start()
    handles, end, token = ready.get(timeout=PATIENCE_S)
    try:
        yield handles
    finally:
        token.run_sync_soon(end.set)
        thread.join(PATIENCE_S)


def decode(body: bytes) -> Any:
    """JSON."""
    return msgspec.json.decode(body)
