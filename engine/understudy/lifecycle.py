"""Opening and closing an engine: what starts first stops last, and nothing is left behind."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

import trio

from understudy.accounts.accounts import closed, taken
from understudy.adapters.registry import Registry
from understudy.assembly import Parts, assemble
from understudy.config import Config, discover, find
from understudy.design import Origin, StrategyMaker
from understudy.engine import Engine
from understudy.ports import Ports
from understudy.price_age import old_prices
from understudy.store.opening import store_of
from understudy.store.port import Store
from understudy.telemetry import outside
from understudy.transport.factory import default_transport, list_models
from understudy.transport.http import Transport
from understudy.winding import LAST_WORD_S, idle, wind_up
from understudy_actors.dispatcher.strategies import BUILT_IN, Strategy
from understudy_actors.domain.money_events import PricesOld
from understudy_actors.runtime.actor import Ref

DRAIN_S: Final = 10.0
"""How long a closing engine waits for the requests under way."""


class open_engine:
    """Open an engine for the length of an `async with` block.

    Args:
        config: A path, a dict, a `Config`; None takes the file in UNDERSTUDY_CONFIG, else discovers
        the
            providers whose keys stand in the environment and the servers on this machine.
        functions: The user's own functions as providers, by name.
        strategies: The user's own strategies: instances, or what makes one, by name.
        registry: Kinds of adapters, if there are more than the built-in ones.
        ports: Clock, ids and randomness, for simulations.
        transport: What moves bytes, for simulations.
        store: What keeps batches in place of the section `store`'s database, for simulations.
        environ: Where keys and settings are read from.
        drain_s: How long a closing engine waits for requests under way, in seconds.

    Raises:
        ConfigError: On entering: the configuration cannot run.
        StoreFailed: On entering: the store cannot be opened or read, or another process has it.
    """

    def __init__(
        self,
        config: str | Path | Mapping[str, Any] | Config | None = None,
        *,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        strategies: Mapping[str, Strategy | StrategyMaker] | None = None,
        registry: Registry | None = None,
        ports: Ports | None = None,
        transport: Transport | None = None,
        store: Store | None = None,
        environ: Mapping[str, str] | None = None,
        drain_s: float = DRAIN_S,
    ) -> None:
        self._source = config
        self._functions = functions
        self._strategies = {n: _maker(s) for n, s in (strategies or {}).items()}
        self._registry = registry or Registry()
        self._ports = ports
        self._transport = transport
        self._store = store
        self._environ = environ if environ is not None else os.environ
        self._drain_s = drain_s
        self._failure: Exception | None = None
        self._nursery_manager: Any = None
        self._nursery: trio.Nursery | None = None
        self._parts: Parts | None = None

    async def __aenter__(self) -> Engine:
        config = find(
            self._source,
            self._environ,
            functions=self._functions,
            strategies={*BUILT_IN, *self._strategies},
        )
        transport = self._transport or default_transport(config)
        store: Store | None = None
        try:
            if config is None:
                config = await discover(self._environ, list_models(transport))
            ports = self._ports or Ports()
            kept = None
            if config.store is not None:
                store = self._store or store_of(config.store, self._environ, ports.clock)
                kept = store, await store.load()
            parts = self._parts = assemble(
                config,
                self._origin(),
                ports=ports,
                transport=transport,
                escalate=self._escalate,
                kept=kept,
            )
            outside.prepare(parts, self._environ)
        except BaseException:
            with trio.CancelScope(shield=True):
                if store is not None:
                    await store.close()
                await transport.aclose()
            raise
        self._nursery_manager = trio.open_nursery()
        nursery = self._nursery = await self._nursery_manager.__aenter__()
        outside.start(parts, nursery)
        _tell_old_prices(parts)
        nursery.start_soon(parts.wheel.run, parts.ports.clock, name="understudy timers")
        if parts.keeping is not None:
            parts.keeping.tell_opened(parts.trace)
            if parts.wiring.book is not None and parts.trace.on:
                parts.trace.emit(taken(parts.wiring.book, parts.ports.clock.now()))
            nursery.start_soon(parts.keeping.writer.run, name="understudy store")
        parts.rounds.follow(parts, nursery)
        return self.make(parts, nursery)

    def _origin(self) -> Origin:
        return Origin(
            self._source, self._environ, self._functions, self._strategies, self._registry
        )

    def make(self, parts: Parts, nursery: trio.Nursery) -> Engine:
        """The engine itself, for what `async with` gives; bridges make one of their own."""
        return Engine(parts, nursery)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        parts, nursery = self._parts, self._nursery
        assert parts is not None
        assert nursery is not None
        drain_s = 0.0 if error is not None else self._drain_s
        with trio.CancelScope(shield=True):
            await close(parts, drain_s)
        nursery.cancel_scope.cancel()
        await self._nursery_manager.__aexit__(None, None, None)
        if self._failure is not None:
            raise self._failure

    def _escalate(self, ref: Ref, error: Exception) -> None:
        """An actor that the engine cannot do without crashes again and again: end the block."""
        self._failure = error
        error.add_note(f"{ref.name} crashed too often: the engine cannot go on without it")
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()


def _tell_old_prices(parts: Parts) -> None:
    """A warning, if prices in use are old; only those hear it who listen from the beginning."""
    clock, specs = parts.ports.clock, (each.spec for each in parts.candidates)
    old = old_prices(specs, clock.wall(), parts.config.price_max_age_s)
    if old is not None and parts.trace.on:
        parts.trace.emit(
            PricesOld(at_s=clock.now(), as_of=old.as_of, days=old.days, endpoints=old.endpoints)
        )


async def close(parts: Parts, drain_s: float) -> None:
    """Refuse new work, let what is under way finish, cancel what is left, stop in reverse order."""
    await wind_up(parts, drain_s)
    if parts.keeping is not None:
        await parts.keeping.writer.finish()
    parts.system.stop()
    await idle(parts, LAST_WORD_S)
    if parts.keeping is not None:
        await parts.keeping.store.close()
    await outside.finish(parts)
    if parts.wiring.book is not None and parts.trace.on:
        parts.trace.emit(closed(parts.wiring.book, parts.ports.clock.now()))
    await parts.transport.aclose()
    for stream in list(parts.streams):
        stream.close()


def _maker(strategy: Strategy | StrategyMaker) -> StrategyMaker:
    if isinstance(strategy, type) or not isinstance(strategy, Strategy):
        return cast(StrategyMaker, strategy)
    only = strategy
    return lambda: only
