"""From configuration to the rules the core works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from understudy.config.breaker import breaker_policy
from understudy.config.kinds import KINDS
from understudy.config.provider import ProviderConfig
from understudy.config.resolve import Kinds, chains
from understudy.config.schema import Config
from understudy.config.sections import (
    GuardConfig,
    HedgeConfig,
    HoldConfig,
    ProviderRetryConfig,
    RetryConfig,
)
from understudy_actors.dispatcher.hedge import HedgeRule
from understudy_actors.dispatcher.order import WaitingRule
from understudy_actors.dispatcher.retry import Backoff, GuardRule, RetryRule
from understudy_actors.dispatcher.settings import DispatcherSettings
from understudy_actors.dispatcher.strategies.base import Strategy
from understudy_actors.provider.policy import DEFAULT_HOLDS, BreakerPolicy, HoldPolicy


def breaker_of(config: Config, provider: ProviderConfig) -> BreakerPolicy:
    """A provider's breaker: its own, else the one for all."""
    return breaker_policy(provider.breaker or config.breaker)


def holds_of(hold: HoldConfig) -> HoldPolicy:
    """A provider's holds; doubling never stops below the first one."""
    return HoldPolicy(
        credit_s=hold.credit_s,
        auth_s=hold.auth_s,
        model_s=hold.model_s,
        cap_s=max(DEFAULT_HOLDS.cap_s, hold.credit_s, hold.auth_s),
    )


def retry_rule(common: RetryConfig, own: ProviderRetryConfig | None = None) -> RetryRule:
    """The retry rule of a provider, or without one the rule for all."""
    own = own or ProviderRetryConfig()
    base_s = own.base_s if own.base_s is not None else common.base_s
    cap_s = own.cap_s if own.cap_s is not None else common.cap_s
    return RetryRule(
        attempts=own.attempts if own.attempts is not None else common.attempts,
        backoff=Backoff(
            kind=own.kind or common.kind,
            base_s=base_s,
            cap_s=max(base_s, cap_s),
            jitter=common.jitter == "full",
        ),
        patience_s=common.patience_s,
        on=frozenset(own.on) if own.on is not None else None,
    )


def guard_rule(guard: GuardConfig) -> GuardRule | None:
    """The failover guard; None when it is off."""
    if not guard.enabled:
        return None
    return GuardRule(cap=guard.max, floor=guard.floor, fail=guard.fail, ok=guard.ok)


def hedge_rule(hedge: HedgeConfig) -> HedgeRule:
    """When a second copy of a request may be sent."""
    return HedgeRule(
        quantile=hedge.quantile,
        factor=hedge.factor,
        samples=hedge.samples,
        floor_s=hedge.floor_s,
        ceiling_s=hedge.ceiling_s,
        share=hedge.share,
        burst=hedge.burst,
        concurrent=hedge.concurrent,
    )


def dispatcher_settings(
    config: Config, strategies: Mapping[str, Callable[[], Strategy]], kinds: Kinds = KINDS
) -> DispatcherSettings:
    """What the dispatcher is configured with. `strategies` are all that may be named."""
    unlike = {name: each for name, each in config.providers.items() if each.retry != _SAME}
    by_complexity = {
        "simple": config.complexity.simple,
        "medium": config.complexity.medium,
        "complex": config.complexity.complex,
    }
    return DispatcherSettings(
        strategies=strategies,
        strategy=config.strategy,
        by_operation={n: o.strategy for n, o in config.operations.items() if o.strategy},
        by_complexity={level: name for level, name in by_complexity.items() if name},
        chains=chains(config, kinds),
        fallbacks=config.fallbacks,
        retry={name: retry_rule(config.retry, each.retry) for name, each in unlike.items()},
        default_retry=retry_rule(config.retry),
        budget_ratio=config.retry.budget.ratio,
        budget_per_second=config.retry.budget.per_second,
        budget_cap=config.retry.budget.cap,
        budget_start=config.retry.budget.start,
        guard=guard_rule(config.retry.guard),
        reroute_refused_content=config.reroute_refused_content,
        queue_capacity=config.queue_capacity,
        hedge=hedge_rule(config.hedge),
        waiting=WaitingRule(
            ageing_s=config.waiting.ageing_s,
            standing_s=config.waiting.standing_s,
            window_s=config.waiting.window_s,
            shares=config.waiting.shares,
        ),
    )


_SAME = ProviderRetryConfig()
