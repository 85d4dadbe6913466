"""The ways to hold an engine, each behind the same few words: so that one test is for all."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Final, TypeVar

import trio
import uvloop

from tests.engine.house import QUIET, Books
from understudy import open_engine
from understudy.bridges import AsyncioEngine, BlockingEngine
from understudy.bridges.blocking_streams import BlockingStream

T = TypeVar("T")
Scenario = Callable[["Driver"], Coroutine[Any, Any, None]]
WAITING: Final = ("route", "with_fallback", "test_provider", "check", "reload", "drain")
"""Verbs that are awaited."""
PATIENCE_S = 60.0


class Driver:
    """Runs a scenario: a coroutine function that is given this."""

    name: str

    def play(self, scenario: Scenario) -> None:
        """Run it to its end."""
        raise NotImplementedError

    def opener(self, config: Mapping[str, Any], **more: Any) -> Any:
        """What is entered by `async with`, and gives the engine."""
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        """Wait, in a provider's function."""
        raise NotImplementedError

    async def gather(self, calls: list[Callable[[], Awaitable[T]]]) -> list[T]:
        """Make calls side by side."""
        raise NotImplementedError

    def inside(self, engine: Any) -> Any:
        """The engine itself."""
        return engine

    @contextlib.asynccontextmanager
    async def house(
        self, config: Mapping[str, Any] | None = None, **functions: Any
    ) -> AsyncIterator[tuple[Any, Books]]:
        """A silent engine over functions; its books are balanced when it has closed."""
        books: Books | None = None
        try:
            async with self.opener({**QUIET, **(config or {})}, functions=functions) as engine:
                books = Books(self.inside(engine))
                yield engine, books
        finally:
            if books is not None:
                books.balance()


class OnTrio(Driver):
    """The engine itself."""

    name = "trio"
    sleep = staticmethod(trio.sleep)

    def play(self, scenario: Scenario) -> None:
        async def main() -> None:
            with trio.fail_after(PATIENCE_S):
                await scenario(self)

        trio.run(main)

    def opener(self, config: Mapping[str, Any], **more: Any) -> Any:
        return open_engine(config, environ={}, **more)

    async def gather(self, calls: list[Callable[[], Awaitable[T]]]) -> list[T]:
        found: dict[int, T] = {}

        async def one(place: int, call: Callable[[], Awaitable[T]]) -> None:
            found[place] = await call()

        async with trio.open_nursery() as nursery:
            for place, call in enumerate(calls):
                nursery.start_soon(one, place, call)
        return [found[place] for place in range(len(calls))]


class OnAsyncio(Driver):
    """The engine as a guest of a loop."""

    def __init__(self, name: str, factory: Callable[[], asyncio.AbstractEventLoop] | None) -> None:
        self.name = name
        self._factory = factory

    sleep = staticmethod(asyncio.sleep)  # type: ignore[assignment]

    def play(self, scenario: Scenario) -> None:
        async def main() -> None:
            async with asyncio.timeout(PATIENCE_S):
                await scenario(self)

        with asyncio.Runner(loop_factory=self._factory) as runner:
            runner.run(main())

    def opener(self, config: Mapping[str, Any], **more: Any) -> Any:
        return AsyncioEngine.open(config, environ={}, **more)

    async def gather(self, calls: list[Callable[[], Awaitable[T]]]) -> list[T]:
        return await asyncio.gather(*(call() for call in calls))


class OnThreads(Driver):
    """The engine in a thread behind all callers. What is awaited here never waits: it blocks."""

    name = "threads"

    def play(self, scenario: Scenario) -> None:
        at_once(scenario(self))

    def opener(self, config: Mapping[str, Any], **more: Any) -> Any:
        return _Opened(BlockingEngine.open(config, environ={}, **more))

    def inside(self, engine: Any) -> Any:
        return engine._engine._engine

    sleep = staticmethod(trio.sleep)

    async def gather(self, calls: list[Callable[[], Awaitable[T]]]) -> list[T]:
        found: dict[int, T] = {}
        failed: list[BaseException] = []

        def one(place: int, call: Callable[[], Awaitable[T]]) -> None:
            try:
                found[place] = at_once(call())
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=one, args=each) for each in enumerate(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        if failed:
            raise failed[0]
        return [found[place] for place in range(len(calls))]


def at_once(awaitable: Awaitable[T]) -> T:
    """The result of a coroutine that never waits."""
    turns = awaitable.__await__()
    try:
        next(turns)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waited for something outside of the engine")


class _Opened:
    """A `with` block, entered by `async with`."""

    def __init__(self, block: Any) -> None:
        self._block = block

    async def __aenter__(self) -> Any:
        return _Awaited(self._block.__enter__())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._block.__exit__(kind, error, trace)


class _Awaited:
    """A blocking engine whose verbs are awaited."""

    def __init__(self, engine: BlockingEngine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._engine, name)
        if name not in WAITING:
            return verb

        async def call(*arguments: Any, **named: Any) -> Any:
            return verb(*arguments, **named)

        return call

    def stream(self, request: Any) -> Any:
        return _AwaitedStream(self._engine.stream(request))


class _AwaitedStream(_Opened):
    """A blocking stream that is awaited."""

    def __init__(self, stream: BlockingStream) -> None:
        super().__init__(stream)
        self._stream = stream

    async def __aenter__(self) -> Any:
        self._stream.__enter__()
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self._stream)
        except StopIteration:
            raise StopAsyncIteration from None


DRIVERS: Final = (
    OnTrio(),
    OnAsyncio("asyncio", asyncio.SelectorEventLoop),
    OnAsyncio("uvloop", uvloop.new_event_loop),
    OnThreads(),
)
