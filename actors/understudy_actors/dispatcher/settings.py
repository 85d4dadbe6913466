"""What the dispatcher is configured with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from understudy_actors.dispatcher.hedge import HedgeRule
from understudy_actors.dispatcher.order import WaitingRule
from understudy_actors.dispatcher.retry import GuardRule, RetryRule
from understudy_actors.dispatcher.strategies.base import Strategy

_NOTHING: Mapping[str, str] = MappingProxyType({})
_DEFAULT_RETRY: Final = RetryRule()
_DEFAULT_WAITING: Final = WaitingRule()
_DEFAULT_HEDGE: Final = HedgeRule()
_DEFAULT_GUARD: Final = GuardRule()


@attrs.frozen
class DispatcherSettings:
    """Fixed for the life of a dispatcher.

    Attributes:
        strategies: Every known strategy: its name, and what makes a fresh one.
        strategy: The engine's default.
        by_operation: Another default for one operation.
        by_complexity: The strategy for tasks of one complexity.
        chains: Operation to endpoint names in order; operations without one use everybody.
        fallbacks: Model or group to those whose endpoints come after its own, in order.
        retry: Retry rule of each provider; `default_retry` for the others.
        guard: Failover guard; None switches it off.
        reroute_refused_content: Whether a content refusal may be tried elsewhere.
        queue_capacity: How many requests may wait for a slot.
        waiting: In what order they are served.
        hedge: When a second copy of a request may be sent.
    """

    strategies: Mapping[str, Callable[[], Strategy]]
    strategy: str = "adaptive"
    by_operation: Mapping[str, str] = _NOTHING
    by_complexity: Mapping[str, str] = MappingProxyType(
        {"simple": "economy", "complex": "best_quality"}
    )
    chains: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    fallbacks: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    retry: Mapping[str, RetryRule] = MappingProxyType({})
    default_retry: RetryRule = _DEFAULT_RETRY
    budget_ratio: float = 0.2
    budget_per_second: float = 0.2
    budget_cap: float = 20.0
    budget_start: float = 10.0
    guard: GuardRule | None = _DEFAULT_GUARD
    reroute_refused_content: bool = False
    queue_capacity: int = 1000
    waiting: WaitingRule = _DEFAULT_WAITING
    hedge: HedgeRule = _DEFAULT_HEDGE
