"""What a provider actor is configured with."""

from __future__ import annotations

from typing import Final

import attrs

from understudy_actors.dispatcher.retry import GuardRule
from understudy_actors.domain.rates import RateRule
from understudy_actors.provider.policy import (
    DEFAULT,
    DEFAULT_HOLDS,
    BreakerPolicy,
    HoldPolicy,
)

_DEFAULT_GUARD: Final = GuardRule()
_NO_LIMITS: Final = RateRule()


@attrs.frozen
class ProviderSettings:
    """Fixed for the life of a provider actor.

    Attributes:
        name: The provider entry: one account, one key.
        breaker, holds: Policies.
        concurrency_initial, concurrency_least, concurrency_most: Bounds of each endpoint's limit.
        guard: Failover guard of each endpoint; None keeps every bucket full.
        rates: Limits a minute of the account; those of a model stand in its `EndpointSpec`.
        failure_domain: Name of what it shares with others (an address, a region); None: nothing.
    """

    name: str
    breaker: BreakerPolicy = DEFAULT
    holds: HoldPolicy = DEFAULT_HOLDS
    concurrency_initial: float = 8.0
    concurrency_least: int = 1
    concurrency_most: int = 256
    guard: GuardRule | None = _DEFAULT_GUARD
    rates: RateRule = _NO_LIMITS
    failure_domain: str | None = None
