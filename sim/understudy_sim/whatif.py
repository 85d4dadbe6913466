"""A scenario out of somebody's own configuration: each of its providers becomes a simulated one.

What a configuration does not say of a provider (how fast it is, how much it can carry) has to be
assumed, and every assumption is told in words.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, Final

import attrs
from msgspec import Struct

from understudy.config import KINDS, Config, endpoints, kind_of, parse as parse_config
from understudy_actors.domain.candidate import EndpointSpec
from understudy_sim.fleet import Price
from understudy_sim.reading import Refused
from understudy_sim.scenario import Scenario, parse

BEFORE_S: Final = 60.0
AFTER_S: Final = 120.0
OUTAGES: Final[Mapping[str, Mapping[str, Any]]] = {
    "refuse": {"kind": "refuse"},
    "error": {"kind": "status", "statuses": [500, 502, 503]},
    "hang": {"kind": "hang"},
    "slow": {"kind": "slow", "multiplier": 10.0},
    "rate-limit": {"kind": "rate_limit", "retry_after": "truth"},
}
"""What being down looks like from outside."""

_SIMULATED: Final = frozenset({"openai", "anthropic", "openai_compatible"})
_ASSUMED_PRICE: Final = Price(input=1.0, output=4.0)


class Load(Struct, frozen=True, kw_only=True):
    """What is asked of the engine: chat requests, `rps` a second on average."""

    rps: float
    prompt_tokens: float = 500.0
    output_tokens: float = 200.0
    model: str | None = None
    deadline_s: float | None = None


class Outage(Struct, frozen=True, kw_only=True):
    """Who is down for how long, and how that shows (see `OUTAGES`)."""

    provider: str
    for_s: float
    shows_as: str = "refuse"


@attrs.frozen
class WhatIf:
    """What is to be run.

    Attributes:
        broken: The scenario with the outage.
        healthy: The same one without it.
        assumptions: What both of them assume.
        notes: What the configuration itself stands in the way of, if anything.
    """

    broken: Scenario
    healthy: Scenario
    assumptions: tuple[str, ...]
    notes: tuple[str, ...]


def what_if(
    table: Mapping[str, Any],
    outage: Outage,
    load: Load,
    *,
    seed: int = 1,
    latency_s: float = 0.8,
    tokens_per_s: float = 100.0,
) -> WhatIf:
    """The scenarios of an outage under a configuration.

    Args:
        table: The configuration, as read from its file.
        outage: What happens, a minute after the start.
        load: What is asked meanwhile, and two minutes longer.
        seed: Root of every random value.
        latency_s: Median time to an answer's first token, of every provider.
        tokens_per_s: Pace of the answers.

    Raises:
        ConfigError: The configuration cannot run.
        Refused: It has no such provider, or one that cannot be simulated.
    """
    config = parse_config(table)
    specs = [each for each in endpoints(config) if each.enabled and not each.degraded]
    fleet = {each.provider: [s for s in specs if s.provider == each.provider] for each in specs}
    _check(config, fleet, outage)
    document = {
        "name": f"{outage.provider} down",
        "description": f"{outage.provider} is down for {outage.for_s:g} s ({outage.shows_as}).",
        "seed": seed,
        "horizon": BEFORE_S + outage.for_s + AFTER_S,
        "clients": [_client(load)],
        "fleet": [
            _member(config, name, own, latency_s, tokens_per_s) for name, own in fleet.items()
        ],
        "faults": [
            {
                **OUTAGES[outage.shows_as],
                "from": BEFORE_S,
                "for": outage.for_s,
                "selector": {"provider": outage.provider},
            }
        ],
        "engine": _engine(table, fleet),
    }
    calm = f"As {outage.provider} down, without the outage."
    healthy = {**document, "name": "no outage", "description": calm, "faults": []}
    return WhatIf(
        broken=parse(document),
        healthy=parse(healthy),
        assumptions=tuple(_assumptions(specs, load, latency_s, tokens_per_s)),
        notes=tuple(_notes(config, specs, outage, load, latency_s, tokens_per_s)),
    )


def _check(config: Config, fleet: Mapping[str, list[EndpointSpec]], outage: Outage) -> None:
    names = ", ".join(fleet) or "none"
    if outage.provider not in fleet:
        raise Refused(
            "", f"the configuration has no provider {outage.provider!r} that is in use: {names}"
        )
    if outage.shows_as not in OUTAGES:
        raise Refused("", f"{outage.shows_as!r} is no outage; use {', '.join(OUTAGES)}")
    for name in fleet:
        kind = kind_of(name, config.providers[name], KINDS)
        if kind.adapter not in _SIMULATED:
            raise Refused(
                f"providers.{name}",
                f"a provider of kind {kind.name} cannot be simulated; disable it",
            )


def _client(load: Load) -> dict[str, Any]:
    client = {
        "name": "client",
        "arrivals": {"kind": "poisson", "rate": load.rps},
        "prompt_tokens": {"kind": "lognormal", "median": load.prompt_tokens},
        "output_tokens": {"kind": "lognormal", "median": load.output_tokens},
        "model": load.model,
        "deadline": load.deadline_s,
    }
    return {key: value for key, value in client.items() if value is not None}


def _member(
    config: Config, name: str, own: list[EndpointSpec], latency_s: float, tokens_per_s: float
) -> dict[str, Any]:
    kind = kind_of(name, config.providers[name], KINDS)
    price = _price(own[0])
    provider = config.providers[name]
    member: dict[str, Any] = {
        "name": name,
        "wire": "anthropic" if kind.adapter == "anthropic" else "openai",
        "models": [each.model for each in own],
        "latency": {"kind": "lognormal", "median": latency_s, "sigma": 0.4},
        "tokens_per_s": tokens_per_s,
        "price": {"input": price.input, "output": price.output},
    }
    if provider.region is not None:
        member["region"] = provider.region
    return member


def _price(spec: EndpointSpec) -> Price:
    if spec.price is None:
        return _ASSUMED_PRICE
    return Price(input=spec.price.input_per_mtok, output=spec.price.output_per_mtok)


def _engine(table: Mapping[str, Any], fleet: Mapping[str, list[EndpointSpec]]) -> dict[str, Any]:
    """The configuration itself, with what its kinds imply written out: a fleet has no kinds."""
    engine = copy.deepcopy(dict(table))
    engine.pop("log", None)
    providers = engine.setdefault("providers", {})
    for name, own in fleet.items():
        entry = dict(providers.get(name) or {})
        written = {m["name"]: m for m in entry.get("models", ()) if isinstance(m, Mapping)}
        entry["models"] = [_model(each, written.get(each.model, {})) for each in own]
        for key in ("kind", "base_url", "key", "headers", "health_check"):
            entry.pop(key, None)
        providers[name] = entry
    return engine


def _model(spec: EndpointSpec, written: Mapping[str, Any]) -> dict[str, Any]:
    price = _price(spec)
    return {
        **written,
        "name": spec.model,
        "operations": list(spec.operations),
        "price": {"input": price.input, "output": price.output},
    }


def _assumptions(
    specs: list[EndpointSpec], load: Load, latency_s: float, tokens_per_s: float
) -> list[str]:
    told = [
        f"every provider begins to answer after {latency_s:g} s (median), writes {tokens_per_s:g} "
        "tokens/s, and has no limit to what it can carry",
        f"requests are chats with prompts of {load.prompt_tokens:g} tokens and answers of "
        f"{load.output_tokens:g} (medians), arriving independently at {load.rps:g} a second",
    ]
    prices = (f"{s.name} {_price(s).input:g}/{_price(s).output:g}" for s in specs if s.price)
    if known := ", ".join(prices):
        told.append(f"prices per 1,000,000 tokens in/out, as configured or published: {known} USD")
    if unknown := ", ".join(each.name for each in specs if each.price is None):
        given = f"{_ASSUMED_PRICE.input:g}/{_ASSUMED_PRICE.output:g}"
        told.append(f"prices that nobody knows are taken as {given} USD: {unknown}")
    return told


def _notes(
    config: Config,
    specs: list[EndpointSpec],
    outage: Outage,
    load: Load,
    latency_s: float,
    tokens_per_s: float,
) -> list[str]:
    """Whether the engine may have as much in flight as the load needs (Little's law)."""
    needed = math.ceil(load.rps * (latency_s + load.output_tokens / tokens_per_s))

    def most(some: list[EndpointSpec]) -> int:
        return sum(config.providers[each.provider].concurrency.max for each in some)

    notes: list[str] = []
    for who, room in (
        ("all providers together admit", most(specs)),
        (f"without {outage.provider} the others admit", most(_without(specs, outage))),
    ):
        if room < needed and not notes:
            notes.append(
                f"about {needed} requests are in flight at once, and {who} {room} "
                "(providers.NAME.concurrency.max): raise it, or what is more is turned away"
            )
    begun = sum(config.providers[each.provider].concurrency.start for each in specs)
    if begun < needed:
        notes.append(
            f"about {needed} requests are in flight at once, and a fresh engine admits {begun} and "
            "learns from there (providers.NAME.concurrency.initial): both runs begin with that"
        )
    return notes


def _without(specs: list[EndpointSpec], outage: Outage) -> list[EndpointSpec]:
    return [each for each in specs if each.provider != outage.provider]
