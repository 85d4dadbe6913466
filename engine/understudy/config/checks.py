"""Checks over the whole: names that nothing answers to, and providers that cannot work."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from understudy.config.faults import BadKey, bad_value, did_you_mean, show
from understudy.config.kinds import FUNCTION, KINDS, LOCAL, OPTIONS
from understudy.config.provider import ProviderConfig
from understudy.config.resolve import Kinds, declared_operations, endpoints, members, models_of
from understudy.config.schema import Config
from understudy.zones import IanaZone, UnknownZone
from understudy_actors.dispatcher.select import serves
from understudy_actors.domain.errors import ConfigError
from understudy_actors.domain.operation import BUILT_IN
from understudy_actors.ledger.account import EACH


def check(config: Config, *, strategies: Collection[str], kinds: Kinds = KINDS) -> None:
    """Refuse a configuration that could not run.

    Args:
        strategies: The names of all strategies.
        kinds: Every known kind of provider.

    Raises:
        ConfigError: Names every problem that was found, one a line.
    """
    found = problems(config, strategies=strategies, kinds=kinds)
    if len(found) == 1:
        raise found[0]
    if found:
        raise ConfigError("\n".join(str(each) for each in found))


def problems(config: Config, *, strategies: Collection[str], kinds: Kinds = KINDS) -> list[BadKey]:
    """Everything that is wrong with a configuration whose values are right one by one."""
    return [
        *_strategies(config, strategies),
        *_some_provider(config),
        *_providers(config, kinds),
        *_references(config, kinds),
        *_fallbacks(config, kinds),
        *_budgets(config, kinds),
        *_cached(config, kinds),
        *_alerts(config),
    ]


def _alerts(config: Config) -> Iterator[BadKey]:
    """Messages and lines of the log tell them apart by their names."""
    names = [each.name for each in config.alerts]
    for place, name in enumerate(names):
        if name in names[:place]:
            why = f"is {show(name)}, which another one is called: name each of them"
            yield BadKey(why, "name").under(place).under("alerts")


def _cached(config: Config, kinds: Kinds) -> Iterator[BadKey]:
    """An operation that nobody has heard of is a slip of the pen."""
    known = {*BUILT_IN, *config.operations}
    for name, provider in config.providers.items():
        for model in models_of(name, provider, kinds):
            known.update(declared_operations(provider, model) or ())
    for place, each in enumerate(config.cache.operations):
        if each not in known:
            fault = bad_value(each, f"one of {', '.join(sorted(known))}", known)
            yield _at(fault.under(place), "cache", "operations")


def _budgets(config: Config, kinds: Kinds) -> Iterator[BadKey]:
    try:
        IanaZone(config.time_zone)
    except UnknownZone as error:
        yield BadKey(f"is wrong: {error}", "time_zone")
    for place, each in enumerate(config.budgets):
        if each.provider is not None and each.provider not in config.providers:
            known = ", ".join(sorted(config.providers))
            fault = bad_value(each.provider, f"one of {known}", config.providers)
            yield fault.under("provider").under(place).under("budgets")
    for key, scoped in (("budgets", config.budgets), ("limits", config.limits)):
        for place, route in enumerate(each.route for each in scoped):
            if route not in (None, EACH) and not _is_route(route, config, kinds):
                known_routes = [*config.groups, *config.operations]
                right = "a group, a model or an operation of this configuration"
                fault = bad_value(route, right, known_routes)
                yield fault.under("route").under(place).under(key)


def _fallbacks(config: Config, kinds: Kinds) -> Iterator[BadKey]:
    for model, listed in config.fallbacks.items():
        for place, name in enumerate((model, *listed)):
            path = ("fallbacks", model) if place else ("fallbacks",)
            what = "a group or model that a provider of this configuration serves"
            if not _is_served(name, config, kinds):
                fault = bad_value(name, what, config.groups)
                yield _at(fault.under(place - 1) if place else fault, *path)
            elif name in (model, *listed)[:place]:
                why = f"is {show(name)}, which comes before it already"
                yield _at(BadKey(why).under(place - 1), *path)
        if not listed:
            yield _at(BadKey("is empty: name at least one group or model"), "fallbacks", model)


def _is_served(name: str, config: Config, kinds: Kinds) -> bool:
    if any((each.kind or own) not in kinds for own, each in config.providers.items()):
        return True  # reported where it stands
    return any(serves(spec, name) for spec in endpoints(config, kinds=kinds))


def _is_route(name: str, config: Config, kinds: Kinds) -> bool:
    """Could a request ask for it? A provider whose kind is unknown is reported where it stands."""
    if any((each.kind or own) not in kinds for own, each in config.providers.items()):
        return True
    specs = endpoints(config, kinds=kinds)
    return any(serves(spec, name) or name in spec.operations for spec in specs)


def _strategies(config: Config, known: Collection[str]) -> Iterator[BadKey]:
    named: dict[tuple[str, ...], str] = {("strategy",): config.strategy}
    for name, own in config.operations.items():
        if own.strategy is not None:
            named["operations", name, "strategy"] = own.strategy
    for level in ("simple", "medium", "complex"):
        if (chosen := getattr(config.complexity, level)) is not None:
            named["complexity", level] = chosen
    for path, name in named.items():
        if name not in known:
            yield _at(bad_value(name, f"one of {', '.join(sorted(known))}", known), *path)


def _some_provider(config: Config) -> Iterator[BadKey]:
    if not config.providers:
        yield BadKey("must hold at least one provider, such as `[providers.openai]`", "providers")
    elif not any(each.enabled for each in config.providers.values()):
        yield BadKey("are all switched off: set `enabled = true` for one", "providers")


def _providers(config: Config, kinds: Kinds) -> Iterator[BadKey]:
    seen: dict[str, str] = {}
    for name, provider in config.providers.items():
        if (twin := seen.setdefault(name.casefold(), name)) != name:
            yield _at(
                BadKey(f'differs from "{twin}" only in upper and lower case'), "providers", name
            )
        for problem in _provider(name, provider, kinds):
            yield _at(problem, "providers", name)


def _provider(name: str, provider: ProviderConfig, kinds: Kinds) -> Iterator[BadKey]:
    kind = kinds.get(provider.kind or name)
    if kind is None:
        written = provider.kind or name
        known = ", ".join(sorted(kinds))
        guess = did_you_mean(written, kinds)
        what = f"is {show(written)}" if provider.kind else "is missing"
        yield BadKey(f"{what}: it must be one of {known}{guess}", "kind")
        return
    if kind.needs_models and not provider.models:
        example = kind.models[0] if kind.models else "its-name"
        yield BadKey(f'is missing: list at least one, such as models = ["{example}"]', "models")
    if kind.needs_address and provider.base_url is None:
        yield BadKey("is missing: a provider of this kind has no usual address", "base_url")
    if kind.name == FUNCTION.name and provider.function is None:
        yield BadKey(f"is missing: pass functions={{{name!r}: ...}} in code", "function")
    if kind.name != FUNCTION.name and provider.function is not None:
        yield BadKey(f'belongs to providers of kind "{FUNCTION.name}"', "function")
    if kind.name != LOCAL.name and provider.reply is not None:
        yield BadKey(f'belongs to providers of kind "{LOCAL.name}"', "reply")
    if (own := OPTIONS.get(kind.adapter)) is not None:  # one's own adapter knows its own best
        for problem in _options(provider.options, own):
            yield problem.under("options")


def _options(given: Mapping[str, Any], known: Mapping[str, type]) -> Iterator[BadKey]:
    for name, value in given.items():
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            yield BadKey(f"is no option of its kind (known: {names})", name)
        elif type(value) is not known[name]:
            yield bad_value(value, f"a value of type {known[name].__name__}").under(name)


def _references(config: Config, kinds: Kinds) -> Iterator[BadKey]:
    for operation, own in config.operations.items():
        if own.chain is not None:
            for problem in _listed(own.chain, config, kinds, operation):
                yield _at(problem, "operations", operation, "chain")
    for name, listed in config.groups.items():
        for problem in _listed(listed, config, kinds, None):
            yield _at(problem, "groups", name)


def _listed(
    listed: tuple[str, ...], config: Config, kinds: Kinds, operation: str | None
) -> Iterator[BadKey]:
    if not listed:
        yield BadKey("is empty: name at least one provider/model")
    seen: set[str] = set()
    for place, reference in enumerate(listed):
        found = members(reference, config, kinds)
        if not found:
            # A provider without models is reported where it stands.
            if reference not in config.providers:
                yield _unknown(reference, config, kinds).under(place)
        elif seen.issuperset(found):
            yield BadKey(f"is {show(reference)}, which is listed already").under(place)
        elif operation is not None:
            for problem in _unserved(found, config, operation):
                yield problem.under(place)
        seen.update(found)


def _unknown(reference: str, config: Config, kinds: Kinds) -> BadKey:
    known = [
        *config.providers,
        *(f"{n}/{m.name}" for n, p in config.providers.items() for m in models_of(n, p, kinds)),
    ]
    return bad_value(reference, "a configured provider/model, or a provider", known)


def _unserved(found: list[str], config: Config, operation: str) -> Iterator[BadKey]:
    for full in found:
        name, _, wanted = full.partition("/")
        provider = config.providers[name]
        model = next((each for each in provider.models if each.name == wanted), None)
        declared = declared_operations(provider, model) if model else provider.operations
        if declared is not None and operation not in declared:
            can = ", ".join(declared) or "nothing"
            yield BadKey(f'is "{full}", whose `operations` are {can}: add "{operation}" to them')


def _at(problem: BadKey, *path: str) -> BadKey:
    for step in reversed(path):
        problem = problem.under(step)
    return problem
