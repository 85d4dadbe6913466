"""The engine for programs of threads, and for scripts: the same verbs, and none is awaited.

trio runs in one thread behind all callers. Every verb hops there once, and its caller sleeps until
it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, NoReturn, overload

from understudy.accounts.accounts import Spenders, TopOf
from understudy.accounts.reports import Costs, DayUsage, TopModel, TopSpender, TopUser
from understudy.bridges.blocking_keys import BlockingKeys
from understudy.bridges.blocking_streams import BlockingEvents, BlockingStream
from understudy.bridges.functions import Functions, in_a_thread
from understudy.bridges.threadrun import ThreadRun
from understudy.cache.shelf import CacheStats
from understudy.choice import Choice, Fallback
from understudy.design import Source
from understudy.differences import Reloaded
from understudy.engine import Engine
from understudy.inspection import TestReport
from understudy.lifecycle import open_engine
from understudy.models import RoutableModel
from understudy.projecting import BudgetProjection
from understudy.reports import ProviderHealth, StatusReport
from understudy.routing.explain import Explanation
from understudy.spending import BudgetStanding
from understudy_actors.dispatcher.strategies.base import Strategy
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import Result
from understudy_actors.runtime.trace import Listener


class open_blocking_engine(open_engine):
    """Open an engine in a thread of its own, for the length of a `with` block.

    It takes what `open_engine` takes. Functions that are not async, as providers and in
    `with_fallback`, may block: each call of one runs in a worker thread. Async ones run on trio.
    `start` is for programs without a place for such a block; their engine is closed by `close`, or
    at the program's end.

    Raises:
        ConfigError: On entering: the configuration cannot run.
    """

    _run: ThreadRun[Engine] | None = None

    def start(self) -> BlockingEngine:
        """Open it until `BlockingEngine.close` is called, or the program ends."""
        if self._run is not None:
            raise RuntimeError("an engine is opened once: ask for another one")
        self._registry = Functions(self._registry, in_a_thread)
        self._run = ThreadRun(super().__aenter__, super().__aexit__)
        return BlockingEngine(self._run.open(), self._run)

    def __enter__(self) -> BlockingEngine:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._run is not None:
            self._run.close(error)

    async def __aenter__(self) -> NoReturn:
        raise TypeError("BlockingEngine is for threads: write `with`, not `async with`")


class BlockingEngine:
    """Routes requests to providers that can serve them now, for any number of threads.

    `with BlockingEngine.open(config) as engine` makes one. It has every verb of `Engine`; each
    returns when it is done. Ctrl-C during one cancels it, and settles what it cost, before
    `KeyboardInterrupt` goes on.

    Attributes:
        keys: As `Engine.keys`.
    """

    open = open_blocking_engine

    def __init__(self, engine: Engine, run: ThreadRun[Engine]) -> None:
        self._engine = engine
        self._run = run
        self.keys = BlockingKeys(engine.keys, run)

    def close(self) -> None:
        """Close it, if no `with` block does: as leaving that block without an error."""
        self._run.close(None)

    # Requests

    def route(self, request: Request) -> Result:
        """See `Engine.route`."""
        return self._run.run(self._engine.route, request)

    def stream(self, request: Request) -> BlockingStream:
        """See `Engine.stream`."""
        return BlockingStream(self._run, self._engine.stream(request))

    def with_fallback(
        self, operation: str, function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Fallback:
        """See `Engine.with_fallback`; a `function` that is not async runs in a worker thread."""
        own = in_a_thread(function)

        async def call() -> Fallback:
            return await self._engine.with_fallback(operation, own, *args, **kwargs)

        return self._run.run(call)

    def select(self, what: str | Request) -> Choice:
        """See `Engine.select`."""
        return self._run.do(self._engine.select, what)

    def report_success(
        self, provider: str, model: str | None = None, *, elapsed_s: float | None = None
    ) -> None:
        """See `Engine.report_success`."""
        self._run.do(self._engine.report_success, provider, model, elapsed_s=elapsed_s)

    def report_failure(
        self,
        provider: str,
        model: str | None = None,
        *,
        error: ErrorClass | str = ErrorClass.SERVER,
        elapsed_s: float | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """See `Engine.report_failure`."""
        self._run.do(
            self._engine.report_failure,
            provider,
            model,
            error=error,
            elapsed_s=elapsed_s,
            retry_after_s=retry_after_s,
        )

    # What is going on

    def status(self) -> StatusReport:
        """See `Engine.status`."""
        return self._run.do(self._engine.status)

    def models(self) -> tuple[RoutableModel, ...]:
        """See `Engine.models`."""
        return self._run.do(self._engine.models)

    def health(self) -> list[ProviderHealth]:
        """See `Engine.health`."""
        return self._run.do(self._engine.health)

    def budgets(self) -> tuple[BudgetStanding, ...]:
        """See `Engine.budgets`."""
        return self._run.do(self._engine.budgets)

    def projection(self) -> tuple[BudgetProjection, ...]:
        """See `Engine.projection`."""
        return self._run.do(self._engine.projection)

    def cache_stats(self) -> CacheStats | None:
        """See `Engine.cache_stats`."""
        return self._run.do(self._engine.cache_stats)

    def clear_cache(self) -> int:
        """See `Engine.clear_cache`."""
        return self._run.do(self._engine.clear_cache)

    def thaw(self, scope: str = "engine", name: str = "") -> None:
        """See `Engine.thaw`."""
        self._run.do(self._engine.thaw, scope, name)

    def costs(self, *, days: int | None = None) -> Costs:
        """See `Engine.costs`."""
        return self._run.do(self._engine.costs, days=days)

    @overload
    def top(
        self, what: Literal["models"] = "models", most: int = 10, *, days: int | None = None
    ) -> tuple[TopModel, ...]: ...

    @overload
    def top(
        self, what: Literal["users"], most: int = 10, *, days: int | None = None
    ) -> tuple[TopUser, ...]: ...

    @overload
    def top(
        self, what: Spenders, most: int = 10, *, days: int | None = None
    ) -> tuple[TopSpender, ...]: ...

    def top(
        self, what: TopOf = "models", most: int = 10, *, days: int | None = None
    ) -> tuple[TopModel, ...] | tuple[TopUser, ...] | tuple[TopSpender, ...]:
        """See `Engine.top`."""
        engine = self._engine
        if what == "models":
            return self._run.do(lambda: engine.top("models", most, days=days))
        return self._run.do(lambda: engine.top(what, most, days=days))

    def usage(self, days: int = 30) -> tuple[DayUsage, ...]:
        """See `Engine.usage`."""
        return self._run.do(self._engine.usage, days)

    def explain(self, request_id: str) -> Explanation | None:
        """See `Engine.explain`."""
        return self._run.do(self._engine.explain, request_id)

    def events(self, *, fine: bool = True) -> BlockingEvents:
        """See `Engine.events`."""
        return BlockingEvents(self._run, self._run.do(self._engine.events, fine=fine))

    def listen(
        self, listener: Listener, *, fine: bool = True, turns: bool = False
    ) -> Callable[[], None]:
        """See `Engine.listen`; the listener is called in the engine's thread."""
        stop = self._run.do(self._engine.listen, listener, fine=fine, turns=turns)
        return lambda: self._run.do(stop)

    def test_provider(self, name: str, *, timeout_s: float = 30.0) -> list[TestReport]:
        """See `Engine.test_provider`."""

        async def call() -> list[TestReport]:
            return await self._engine.test_provider(name, timeout_s=timeout_s)

        return self._run.run(call)

    def check(self, *, timeout_s: float = 5.0) -> StatusReport:
        """See `Engine.check`."""

        async def call() -> StatusReport:
            return await self._engine.check(timeout_s=timeout_s)

        return self._run.run(call)

    def reload(
        self,
        config: Source = None,
        *,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        drain_s: float | None = None,
    ) -> Reloaded:
        """See `Engine.reload`."""

        async def call() -> Reloaded:
            return await self._engine.reload(config, functions=functions, drain_s=drain_s)

        return self._run.run(call)

    def drain(self, within_s: float) -> None:
        """See `Engine.drain`."""

        async def call() -> None:
            await self._engine.drain(within_s)

        self._run.run(call)

    # By hand

    def hold(self, name: str, *, seconds: float | None = None) -> None:
        """See `Engine.hold`."""
        self._run.do(self._engine.hold, name, seconds=seconds)

    def release(self, name: str) -> None:
        """See `Engine.release`."""
        self._run.do(self._engine.release, name)

    def reset(self, name: str | None = None) -> None:
        """See `Engine.reset`."""
        self._run.do(self._engine.reset, name)

    def isolate(self, name: str) -> None:
        """See `Engine.isolate`."""
        self._run.do(self._engine.isolate, name)

    def disable(self, name: str) -> None:
        """See `Engine.disable`."""
        self._run.do(self._engine.disable, name)

    def enable(self, name: str) -> None:
        """See `Engine.enable`."""
        self._run.do(self._engine.enable, name)

    def set_strategy(self, strategy: str | Strategy, *, operation: str | None = None) -> None:
        """See `Engine.set_strategy`."""
        self._run.do(self._engine.set_strategy, strategy, operation=operation)
