"""The simulated providers of a scenario, as its document describes them, and as an engine's
configuration names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct, field

from understudy.config.presets import layered
from understudy_sim.fault_kinds import Rate, RetryAfter, Seconds
from understudy_sim.latency import Distribution, Lognormal
from understudy_sim.mock.wire import WorldWire
from understudy_sim.reading import Refused
from understudy_sim.workload import Name

Model: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/@\-]{0,199}$")]
Parallel: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]
Usd: TypeAlias = Annotated[float, Meta(ge=0.0, le=1e9)]

DOMAIN: Final = ".sim"
_KINDS: Final[Mapping[WorldWire, str]] = {"openai": "openai-compatible", "anthropic": "anthropic"}
_OURS: Final = ("kind", "base_url", "key", "headers")
"""Where a provider lives and what it speaks is the fleet's to say, not a configuration's."""


class Price(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What 1,000,000 tokens cost, in USD."""

    input: Usd = 0.0
    output: Usd = 0.0

    def usd(self, input_tokens: int, output_tokens: int) -> float:
        """What an answer costs."""
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a provider answers 429 beyond.

    Attributes:
        concurrency: Requests in service or waiting at once.
        requests_per_min, tokens_per_min: Buckets that fill evenly; they start full.
        burst_s: How many seconds' worth such a bucket holds.
        retry_after: What the headers say of when to come back; `missing` for no such header.
        says: What the headers of every answer say of the limits: `nothing`, the `truth`, or a lie:
            `negative` numbers, `zero`, `absurd` ones, `none_left` (of a limit that is true), or a
            limit of `one`.
    """

    concurrency: Parallel | None = None
    requests_per_min: Rate | None = None
    tokens_per_min: Rate | None = None
    burst_s: Annotated[float, Meta(ge=1.0, le=3600.0)] = field(default=60.0, name="burst")
    retry_after: RetryAfter = "truth"
    says: Literal["nothing", "truth", "negative", "zero", "absurd", "none_left", "one"] = "nothing"


class Provider(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One simulated provider.

    Attributes:
        name: As in the engine's configuration.
        wire: The format it speaks.
        models: The models it has; no others exist.
        region: For selectors, of faults and of requests.
        capacity: Answers that it works on at once; left out, any number.
        queue: Requests that wait for that; further ones are told that it is full.
        limits: Its rate limits.
        counts: Whether it tells of each request that it counts (for laws of limits; whoever has
            limits a minute does).
        latency: Time to the answer's first token.
        tokens_per_s: Pace of the answer.
        voice: Providers with the same voice say the same to the same request, when they stream;
            left out, it is its name.
        prefill: What it makes of the beginning of an answer that it is to continue.
        refusal_s: Time to an error.
        price: What it bills, and what the engine is told.
        credit_usd: What it bills at most; then it answers 402.
        keeps_working: Whether it goes on with (and bills) a request whose client has left.
    """

    name: Name
    wire: WorldWire = "openai"
    models: Annotated[tuple[Model, ...], Meta(min_length=1, max_length=100)] = ("large",)
    region: Name | None = None
    capacity: Parallel | None = None
    queue: Annotated[int, Meta(ge=0, le=1_000_000)] = 1000
    limits: Limits = Limits()
    counts: bool = False
    latency: Distribution = Lognormal(0.8, 0.4)
    tokens_per_s: Rate | None = 100.0
    voice: Name | None = None
    prefill: Literal["ignore", "continue", "refuse"] = "ignore"
    refusal_s: Seconds = field(default=0.05, name="refusal")
    price: Price = Price(input=1.0, output=4.0)
    credit_usd: Usd | None = None
    keeps_working: bool = True

    @property
    def base_url(self) -> str:
        """Its address."""
        return f"http://{self.name}{DOMAIN}" + ("/v1" if self.wire == "openai" else "")

    @property
    def key_variable(self) -> str:
        """The variable in which the engine finds its key."""
        return "SIM_KEY_" + "".join(c if c.isalnum() else "_" for c in self.name).upper()

    @property
    def key(self) -> str:
        """Its key. It opens nothing."""
        return f"test-key-of-{self.name}"

    def entry(self) -> dict[str, Any]:
        """What an engine's configuration says of it, if the scenario does not say more."""
        continues = {"capabilities": ["prefill"]} if self.prefill != "ignore" else {}
        return {
            "kind": _KINDS[self.wire],
            "base_url": self.base_url,
            "key": f"env:{self.key_variable}",
            "models": list(self.models),
            "region": self.region,
            **continues,
            "price": {"input": self.price.input, "output": self.price.output},
        }


def engine_table(fleet: tuple[Provider, ...], engine: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's configuration: the fleet's entries first, in its order, with `engine` over them.

    Raises:
        Refused: The configuration names a provider that the fleet does not have.
    """
    own = engine.get("providers") or {}
    names = {each.name for each in fleet}
    for name, entry in own.items():
        if name not in names and entry.get("enabled", True) and entry.get("kind", name) != "local":
            raise Refused(
                f"engine.providers.{name}", "the fleet has no such provider; add it there"
            )
    entries = {
        each.name: layered(
            each.entry(), {k: v for k, v in own.get(each.name, {}).items() if k not in _OURS}
        )
        for each in fleet
    }
    extra = {name: entry for name, entry in own.items() if name not in names}
    quiet = {"log": {"level": "off"}}
    return layered(quiet, {k: v for k, v in engine.items() if k != "providers"}) | {
        "providers": {**entries, **extra}
    }


def environ(fleet: tuple[Provider, ...]) -> dict[str, str]:
    """The environment that holds the fleet's keys."""
    return {each.key_variable: each.key for each in fleet}
