"""What an engine was configured with, as far as a law of the trace depends on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import attrs

from understudy.cache.cache import CacheRule
from understudy.caching import rule_of
from understudy.config import (
    KINDS,
    Config,
    Kind,
    breaker_of,
    dispatcher_settings,
    endpoints,
    guard_rule,
    holds_of,
    rate_rule,
)
from understudy.zones import IanaZone
from understudy_actors.dispatcher.hedge import HedgeRule
from understudy_actors.dispatcher.order import WaitingRule
from understudy_actors.dispatcher.retry import GuardRule, RetryRule
from understudy_actors.dispatcher.strategies import BUILT_IN
from understudy_actors.domain.bulkhead import ShareRule
from understudy_actors.domain.candidate import EndpointSpec
from understudy_actors.domain.rates import RateRule
from understudy_actors.ledger.account import Limit
from understudy_actors.ledger.windows import Zone
from understudy_actors.provider.policy import (
    DEFAULT as DEFAULT_BREAKER,
    DEFAULT_HOLDS,
    BreakerPolicy,
    HoldPolicy,
)

_RETRY: Final = RetryRule()
_GUARD: Final = GuardRule()
_HEDGE: Final = HedgeRule()
_WAITING: Final = WaitingRule()
_UTC: Final = IanaZone("UTC")


def provider_of(scope: str) -> str:
    """The provider that owns a scope: `p` of `p`, `p/model` and `domain d of p`."""
    if scope.startswith("domain "):
        return scope.rpartition(" of ")[2]
    return scope.partition("/")[0]


@attrs.frozen(slots=True)
class Rules:
    """The numbers behind the laws; the defaults are the engine's own.

    Attributes:
        late_s: How much later than due a thing may happen while the engine runs, in seconds: the
            grain of its clock and what one turn takes.
        breakers: Breaker policy of each provider; `breaker` for the others.
        retries: Retry rule of each provider; `retry` for the others.
        guard: Failover guard; None: there is none.
        timeouts: Longest attempt of each provider in seconds; `timeout_s` for the others.
        slots: Concurrency limit that each provider's endpoints start from; `slot` for the others.
        slot_bounds: The least and the most that it may become; `slot_bound` for the others.
        holds: Hold policy of each provider; `hold` for the others.
        max_attempts: Of requests that do not say.
        budget_ratio, budget_per_second, budget_cap: Of the retry budget.
        queue_capacity: How many requests may wait for a slot.
        waiting: In what order they are served.
        shares: Which compartments there are; None: none.
        reroute_refused_content: Whether a content refusal may be tried elsewhere.
        hedge: When second copies may be sent.
        limits, zone: Budgets, and where their days begin.
        cache: How answers are kept; None: they are not.
        durability: Of the store; None without one.
        rest_s: After so long without any change everything is written.
        minutes: Limits a minute of each provider, and of each model (by its endpoint's name), that
            has any; those on tokens only where every answer has a bound (`max_output`).
        fleet: Every endpoint in configured order, for the reference model.
        chained: Operations with an order of their own, which the reference model leaves alone.
        fallbacks: Model or group to those whose endpoints come after its own.
    """

    late_s: float = 0.25
    breakers: Mapping[str, BreakerPolicy] = MappingProxyType({})
    breaker: BreakerPolicy = DEFAULT_BREAKER
    retries: Mapping[str, RetryRule] = MappingProxyType({})
    retry: RetryRule = _RETRY
    guard: GuardRule | None = _GUARD
    timeouts: Mapping[str, float] = MappingProxyType({})
    timeout_s: float = 120.0
    slots: Mapping[str, int] = MappingProxyType({})
    slot: int = 8
    slot_bounds: Mapping[str, tuple[int, int]] = MappingProxyType({})
    slot_bound: tuple[int, int] = (1, 256)
    holds: Mapping[str, HoldPolicy] = MappingProxyType({})
    hold: HoldPolicy = DEFAULT_HOLDS
    max_attempts: int = 5
    budget_ratio: float = 0.2
    budget_per_second: float = 0.2
    budget_cap: float = 20.0
    queue_capacity: int = 1000
    waiting: WaitingRule = _WAITING
    shares: ShareRule | None = None
    reroute_refused_content: bool = False
    hedge: HedgeRule = _HEDGE
    limits: tuple[Limit, ...] = ()
    zone: Zone = _UTC
    cache: CacheRule | None = None
    durability: str | None = None
    rest_s: float = 10.0
    minutes: Mapping[str, RateRule] = MappingProxyType({})
    fleet: tuple[EndpointSpec, ...] = ()
    chained: frozenset[str] = frozenset()
    fallbacks: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    @classmethod
    def of(
        cls, config: Config, *, kinds: Mapping[str, Kind] = KINDS, late_s: float = 0.25
    ) -> Rules:
        """The rules of an engine's configuration."""
        settings = dispatcher_settings(config, BUILT_IN, kinds)
        specs = tuple(endpoints(config, kinds=kinds))
        timeouts: dict[str, float] = {}
        for spec in specs:
            timeouts[spec.provider] = max(spec.timeout_s, timeouts.get(spec.provider, 0.0))
        providers = config.providers.items()
        return cls(
            late_s=late_s,
            breakers={name: breaker_of(config, each) for name, each in providers},
            retries=settings.retry,
            retry=settings.default_retry,
            guard=guard_rule(config.retry.guard),
            timeouts=timeouts,
            slots={name: each.concurrency.start for name, each in providers},
            slot_bounds={n: (e.concurrency.min, e.concurrency.max) for n, e in providers},
            holds={name: holds_of(each.hold) for name, each in providers},
            max_attempts=config.max_attempts,
            budget_ratio=settings.budget_ratio,
            budget_per_second=settings.budget_per_second,
            budget_cap=settings.budget_cap,
            queue_capacity=settings.queue_capacity,
            waiting=settings.waiting,
            shares=config.max_share.rule(),
            reroute_refused_content=settings.reroute_refused_content,
            hedge=settings.hedge,
            limits=tuple(each.limit() for each in config.budgets),
            zone=IanaZone(config.time_zone),
            cache=rule_of(config),
            durability=config.store.durability if config.store is not None else None,
            rest_s=max(10.0, 4 * config.store.interval_s) if config.store is not None else 10.0,
            minutes=_minutes(config, specs),
            fleet=specs,
            chained=frozenset(settings.chains),
            fallbacks=settings.fallbacks,
        )

    def breaker_of(self, scope: str) -> BreakerPolicy:
        """The breaker policy of a scope."""
        return self.breakers.get(provider_of(scope), self.breaker)

    def retry_of(self, endpoint: str) -> RetryRule:
        """The retry rule of an endpoint."""
        return self.retries.get(provider_of(endpoint), self.retry)

    def timeout_of(self, scope: str) -> float:
        """The longest attempt of a scope, in seconds."""
        return self.timeouts.get(provider_of(scope), self.timeout_s)

    def hold_of(self, scope: str) -> HoldPolicy:
        """The hold policy of a scope."""
        return self.holds.get(provider_of(scope), self.hold)

    def slot_bounds_of(self, endpoint: str) -> tuple[int, int]:
        """The least and the most that an endpoint's concurrency limit may become."""
        return self.slot_bounds.get(provider_of(endpoint), self.slot_bound)

    def slots_of(self, endpoint: str) -> int:
        """The concurrency limit that an endpoint starts from."""
        return self.slots.get(provider_of(endpoint), self.slot)


def _minutes(config: Config, specs: tuple[EndpointSpec, ...]) -> dict[str, RateRule]:
    found: dict[str, RateRule] = {}
    for name, each in config.providers.items():
        own = [spec for spec in specs if spec.provider == name]
        found[name] = _bounded(rate_rule(each), own)
        found |= {spec.name: _bounded(spec.rates, [spec]) for spec in own}
    return {scope: rule for scope, rule in found.items() if rule.any}


def _bounded(rule: RateRule, specs: Sequence[EndpointSpec]) -> RateRule:
    """Without a bound on answers nobody can say before how many tokens they will have."""
    if all(spec.max_output_tokens is not None for spec in specs):
        return rule
    return RateRule(requests=rule.requests, input_tokens=rule.input_tokens)


DEFAULT: Final = Rules()
