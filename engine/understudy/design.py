"""What a configuration comes to: every name resolved, every key read, and nothing running yet.

Whatever can be wrong with a configuration is found out here, before anybody is told of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import attrs
from msgspec.structs import replace

from understudy.adapters.base import Adapter, Target, WireAdapter
from understudy.adapters.registry import BUILT_IN as WIRES, Registry
from understudy.config import (
    KINDS,
    Config,
    Kind,
    breaker_of,
    check,
    dispatcher_settings,
    endpoints,
    guard_rule,
    holds_of,
    kind_of,
    rate_rule,
    resolve_address,
    resolve_headers,
    resolve_key,
)
from understudy.prices import lookup
from understudy.routing.calls import counting_of
from understudy_actors.dispatcher.settings import DispatcherSettings
from understudy_actors.dispatcher.strategies import BUILT_IN, Strategy
from understudy_actors.domain.candidate import Candidate
from understudy_actors.provider.health import Health
from understudy_actors.provider.settings import ProviderSettings

StrategyMaker = Callable[[], Strategy]
Source: TypeAlias = str | Path | Mapping[str, Any] | Config | None
_BUILT_IN_WIRES: Final = frozenset(kind.name for kind in WIRES)
_NOBODY: Final[Mapping[str, Candidate]] = MappingProxyType({})


@attrs.frozen(eq=False)
class Origin:
    """What an engine was opened with, and a reload of its configuration goes on with.

    Attributes:
        source: The configuration, as `open_engine` takes it.
        environ: Where keys and settings are read from.
        functions: The user's own functions, by name.
        strategies: What makes one, for the user's own ones, by name.
        registry: Kinds of adapters.
    """

    source: Source = attrs.field(repr=False)
    environ: Mapping[str, str] = attrs.field(repr=False)
    functions: Mapping[str, Callable[..., Any]] | None
    strategies: Mapping[str, StrategyMaker]
    registry: Registry


@attrs.frozen(eq=False)
class Design:
    """A configuration that can run.

    `adapters` and `providers` are by provider, `targets` (only of those reached over HTTP) by
    endpoint name.
    """

    config: Config
    kinds: Mapping[str, Kind]
    settings: DispatcherSettings
    providers: Mapping[str, ProviderSettings]
    adapters: Mapping[str, Adapter]
    candidates: tuple[Candidate, ...]
    targets: Mapping[str, Target]

    def of(self, provider: str) -> tuple[Candidate, ...]:
        """The endpoints of a provider."""
        return tuple(c for c in self.candidates if c.spec.provider == provider)


def design(
    config: Config,
    origin: Origin,
    before: Design | None = None,
    known: Mapping[str, Candidate] = _NOBODY,
) -> Design:
    """Resolve a configuration.

    Args:
        config: The configuration.
        origin: What the engine was opened with.
        before: What it runs by now; None if it does not run yet.
        known: Endpoints that are in use, by name: those that stay go on.

    Raises:
        ConfigError: It cannot run, or a key cannot be read.
    """
    strategies, kinds = {**BUILT_IN, **origin.strategies}, known_kinds(origin.registry)
    check(config, strategies=strategies, kinds=kinds)
    adapters = {
        name: _adapter(name, config, origin.registry, kinds, before) for name in config.providers
    }
    candidates = _candidates(config, kinds, adapters, known)
    return Design(
        config=config,
        kinds=kinds,
        settings=dispatcher_settings(config, strategies, kinds),
        providers={name: _settings(name, config) for name in config.providers},
        adapters=adapters,
        candidates=candidates,
        targets=_targets(config, candidates, adapters, origin.environ, kinds),
    )


def _candidates(
    config: Config,
    kinds: Mapping[str, Kind],
    adapters: Mapping[str, Adapter],
    known: Mapping[str, Candidate],
) -> tuple[Candidate, ...]:
    """One for each endpoint, in configured order; of new ones nothing is known yet."""
    specs = [
        replace(spec, counting=counting_of(adapters[spec.provider]))
        for spec in endpoints(config, lookup=lookup, kinds=kinds)
    ]
    seats = _free_seats(each.seat for each in known.values())
    return tuple(
        known[spec.name].successor(spec, at)
        if spec.name in known
        else Candidate(spec=spec, index=at, health=Health(), seat=next(seats))
        for at, spec in enumerate(specs)
    )


def _free_seats(taken: Iterable[int]) -> Iterator[int]:
    used = frozenset(taken)
    return (seat for seat in count() if seat not in used)


def _settings(name: str, config: Config) -> ProviderSettings:
    provider = config.providers[name]
    return ProviderSettings(
        name=name,
        breaker=breaker_of(config, provider),
        holds=holds_of(provider.hold),
        concurrency_initial=float(provider.concurrency.start),
        concurrency_least=provider.concurrency.min,
        concurrency_most=provider.concurrency.max,
        guard=guard_rule(config.retry.guard),
        rates=rate_rule(provider),
        failure_domain=provider.failure_domain,
    )


def known_kinds(registry: Registry) -> dict[str, Kind]:
    """The kinds that a configuration may name: the built-in ones, and those registered by code."""
    kinds = dict(KINDS)
    for name in registry.names:
        if name in _BUILT_IN_WIRES:
            continue
        own = registry.get(name)
        kinds[name] = Kind(
            name=name,
            adapter=name,
            base_url=own.base_url,
            key_variable=own.key_env,
            models=(name,),
            operations=own.operations,
            needs_models=False,
        )
    return kinds


def _adapter(
    name: str,
    config: Config,
    registry: Registry,
    kinds: Mapping[str, Kind],
    before: Design | None,
) -> Adapter:
    """A provider's adapter: the one that it has, unless it is another one now."""
    provider = config.providers[name]
    was = None if before is None else before.config.providers.get(name)
    if before is not None and was is not None:
        made_from = (provider.kind or name, provider.function, provider.reply)
        if made_from == (was.kind or name, was.function, was.reply):
            return before.adapters[name]
    kind = kind_of(name, provider, kinds)
    options: dict[str, Any] = {}
    if provider.function is not None:
        options = {"function": provider.function, "name": name}
    elif kind.adapter == "local":
        options = {"name": name}
        if provider.reply is not None:
            options["reply"] = provider.reply
    return registry.get(kind.adapter).make(options)


def _targets(
    config: Config,
    candidates: tuple[Candidate, ...],
    adapters: Mapping[str, Adapter],
    environ: Mapping[str, str],
    kinds: Mapping[str, Kind],
) -> dict[str, Target]:
    """Where each endpoint is that is reached over HTTP. A disabled one needs no key."""
    return {
        c.name: _target(c, config, environ, kinds)
        for c in candidates
        if isinstance(adapters[c.spec.provider], WireAdapter) and c.spec.enabled
    }


def _target(
    candidate: Candidate,
    config: Config,
    environ: Mapping[str, str],
    kinds: Mapping[str, Kind],
) -> Target:
    spec = candidate.spec
    provider = config.providers[spec.provider]
    kind = kind_of(spec.provider, provider, kinds)
    headers = resolve_headers(spec.provider, provider, environ)
    return Target(
        provider=spec.provider,
        model=spec.model,
        base_url=resolve_address(spec.provider, provider, environ, kinds),
        key=resolve_key(spec.provider, provider, environ, kinds),
        headers={name: value.reveal() for name, value in headers.items()},
        max_output_tokens=spec.max_output_tokens,
        options={
            **dict(kind.dialect),
            **provider.options,
            **({"errors": provider.errors} if provider.errors else {}),
        },
    )
