"""From configuration to endpoints: chains, groups, prices, addresses and keys made explicit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias, TypeVar

from understudy import prices
from understudy.config.faults import BadKey
from understudy.config.key import KeySource
from understudy.config.kinds import KINDS, Kind, address_variables, usual_operations
from understudy.config.limits import rate_rule
from understudy.config.provider import ModelConfig, ProviderConfig, check_address
from understudy.config.schema import Config
from understudy.config.streams import StreamConfig
from understudy.secret import Secret
from understudy_actors.domain.candidate import EndpointSpec
from understudy_actors.domain.price import Price

Lookup: TypeAlias = Callable[[str, str], Price | None]
"""The published price of (kind, model); None if it is unknown."""
Window: TypeAlias = Callable[[str, str], int | None]
"""The published window of (kind, model) in tokens; None if it is unknown."""
T = TypeVar("T")
Kinds: TypeAlias = Mapping[str, Kind]

PRIORITY: Final = 100
STAND_IN_PRIORITY: Final = 1000


def published_window(kind: str, model: str) -> int | None:
    """The bundled table's word on how many tokens a model holds; None if it has none."""
    facts = prices.bundled_table().facts(kind, model)
    return facts.context_tokens if facts else None


def endpoints(
    config: Config,
    *,
    lookup: Lookup = prices.lookup,
    window: Window = published_window,
    kinds: Kinds = KINDS,
) -> list[EndpointSpec]:
    """Every endpoint in configured order. A price that nobody knows stays unknown.

    Args:
        lookup, window: The published price and window of a model, where the configuration has none.
        kinds: Every known kind of provider.

    Raises:
        ConfigError: A provider's kind is unknown; see `check` for everything else.
    """
    common = (lookup, window, config.stream)
    groups = _turned(config.groups, config, kinds)
    chained = _turned({op: o.chain or () for op, o in config.operations.items()}, config, kinds)
    return [
        _endpoint(name, provider, model, kind, groups, chained, common)
        for name, provider in config.providers.items()
        for kind in (kind_of(name, provider, kinds),)
        for model in models_of(name, provider, kinds)
    ]


def chains(config: Config, kinds: Kinds = KINDS) -> dict[str, tuple[str, ...]]:
    """Operation to the full endpoint names of its chain, for the operations that have one."""
    return {
        name: tuple(dict.fromkeys(each for r in own.chain for each in members(r, config, kinds)))
        for name, own in config.operations.items()
        if own.chain is not None
    }


def members(reference: str, config: Config, kinds: Kinds = KINDS) -> list[str]:
    """The endpoints that `provider/model` (or an alias), or a provider alone, stands for."""
    name, _, wanted = reference.partition("/")
    provider = config.providers.get(name)
    if provider is None:
        return []
    return [
        f"{name}/{model.name}"
        for model in models_of(name, provider, kinds)
        if not wanted or wanted in (model.name, *model.aliases)
    ]


def kind_of(name: str, provider: ProviderConfig, kinds: Kinds = KINDS) -> Kind:
    """The kind of a provider.

    Raises:
        ConfigError: It has none that is known.
    """
    kind = kinds.get(provider.kind or name)
    if kind is None:
        raise BadKey(f"must be one of {', '.join(kinds)}", f"providers.{name}.kind")
    return kind


def models_of(name: str, provider: ProviderConfig, kinds: Kinds = KINDS) -> list[ModelConfig]:
    """The models of a provider: those it lists, else the only one of its kind."""
    if provider.models:
        return list(provider.models)
    kind = kinds.get(provider.kind or name)
    names = () if kind is None or kind.needs_models else kind.models
    return [ModelConfig(name=each) for each in names]


def address(name: str, provider: ProviderConfig, kinds: Kinds = KINDS) -> str | None:
    """Where a provider lives, without a slash at the end; None if it needs no address."""
    url = provider.base_url or kind_of(name, provider, kinds).base_url
    return url.rstrip("/") if url else None


def resolve_address(
    name: str, provider: ProviderConfig, environ: Mapping[str, str], kinds: Kinds = KINDS
) -> str:
    """Where a provider lives, with what its kind takes from the environment; empty if nowhere.

    Raises:
        ConfigError: A variable is not set, or holds what makes no address.
    """
    url = address(name, provider, kinds) or ""
    if provider.base_url is not None or "{" not in url:
        return url
    for variable in address_variables(url):
        if not (value := environ.get(variable, "").strip().rstrip("/")):
            problem = f"needs the environment variable {variable}, which is not set; or write it"
            raise BadKey(problem, f"providers.{name}.base_url")
        url = url.replace(f"{{{variable}}}", value)
    try:
        check_address(url)
    except BadKey as fault:
        raise fault.under("base_url").under(name).under("providers") from None
    return url


def key_source(name: str, provider: ProviderConfig, kinds: Kinds = KINDS) -> KeySource | None:
    """Where a provider's key comes from; None if it needs none.

    The usual variable of a kind is taken only for the usual address: a key must not travel to
    another host because somebody set `base_url`.
    """
    if provider.key is not None or provider.base_url is not None:
        return provider.key
    variable = kind_of(name, provider, kinds).key_variable
    return KeySource(env=variable) if variable else None


def resolve_key(
    name: str, provider: ProviderConfig, environ: Mapping[str, str], kinds: Kinds = KINDS
) -> Secret | None:
    """A provider's key; None if it needs none.

    Raises:
        ConfigError: The variable is not set, or the file cannot be read.
    """
    source = key_source(name, provider, kinds)
    return source.resolve(environ, f"providers.{name}.key") if source else None


def resolve_headers(
    name: str, provider: ProviderConfig, environ: Mapping[str, str]
) -> dict[str, Secret]:
    """A provider's extra headers; reveal them only where they go on the wire.

    Raises:
        ConfigError: A variable is not set, or a file cannot be read.
    """
    path = f"providers.{name}.headers"
    return {
        header: source.resolve(environ, f"{path}.{header}")
        for header, source in provider.headers.items()
    }


def _turned(
    named: Mapping[str, tuple[str, ...]], config: Config, kinds: Kinds
) -> dict[str, tuple[str, ...]]:
    """Endpoint to the names (of groups, of operations) under which it is listed."""
    turned: dict[str, tuple[str, ...]] = {}
    for name, references in named.items():
        for each in (member for r in references for member in members(r, config, kinds)):
            turned[each] = (*turned.get(each, ()), name)
    return turned


def _endpoint(
    name: str,
    provider: ProviderConfig,
    model: ModelConfig,
    kind: Kind,
    groups: Mapping[str, tuple[str, ...]],
    chained: Mapping[str, tuple[str, ...]],
    common: tuple[Lookup, Window, StreamConfig],
) -> EndpointSpec:
    full = f"{name}/{model.name}"
    lookup, window, stream = common
    facts = (kind.prices or kind.name, model.name)
    usual = STAND_IN_PRIORITY if kind.degraded else PRIORITY
    known = prices.bundled_table().facts(*facts)
    quota = model.free_quota or provider.free_quota
    own = model.price or provider.price
    price = own.price() if own is not None else kind.price
    published = lookup(*facts) if price is None else None
    return EndpointSpec(
        provider=name,
        model=model.name,
        operations=_operations(provider, model, kind, chained.get(full, ())),
        groups=_once(kind.groups, model.groups, model.aliases, groups.get(full, ())),
        priority=_first(model.priority, provider.priority, usual),
        weight=_first(model.weight, provider.weight),
        quality=_first(model.quality, provider.quality),
        suits=tuple(str(each) for each in _first(model.suits, provider.suits)),
        price=price or published,
        price_as_of=prices.bundled_table().as_of if price is None and published else None,
        free_quota=quota.quota() if quota else None,
        capabilities=_once(kind.capabilities, provider.capabilities, model.capabilities),
        tags=provider.tags,
        region=provider.region,
        max_context_tokens=model.max_context or window(*facts),
        max_output_tokens=model.max_output,
        known_output_tokens=known.max_output_tokens if known is not None else None,
        max_request_tokens=model.max_request_tokens or provider.max_request_tokens,
        timeout_s=provider.timeout_s,
        stream=(provider.stream or stream).rule(),
        degraded=kind.degraded,
        enabled=provider.enabled,
        failure_domain=provider.failure_domain,
        rates=rate_rule(model),
    )


def _operations(
    provider: ProviderConfig, model: ModelConfig, kind: Kind, chained: tuple[str, ...]
) -> tuple[str, ...]:
    """What the configuration says; where it says nothing, a chain that names it says it too."""
    declared = declared_operations(provider, model)
    return declared if declared is not None else _once(usual_operations(kind, model.name), chained)


def declared_operations(provider: ProviderConfig, model: ModelConfig) -> tuple[str, ...] | None:
    """The operations that the configuration gives a model; None if it gives none."""
    return model.operations if model.operations is not None else provider.operations


def _first(*values: T | None) -> T:
    return next(each for each in values if each is not None)


def _once(*lists: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for some in lists for each in some))


def references(config: Config) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every list of endpoints that is written somewhere, with the path of its key."""
    for name, own in config.operations.items():
        if own.chain is not None:
            yield f"operations.{name}.chain", own.chain
    for name, listed in config.groups.items():
        yield f"groups.{name}", listed
