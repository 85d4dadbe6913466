"""Rate limits of a simulated provider: buckets that fill evenly, and what is left of credit."""

from __future__ import annotations

from typing import Final

import attrs

from understudy_sim.fleet import Limits, Provider

_ROUNDING: Final = 1e-9


@attrs.define(slots=True)
class Bucket:
    """Holds up to `size`, fills at `per_s`, and starts full."""

    per_s: float
    size: float
    level: float
    filled_at: float

    def wait_s(self, amount: float, now: float) -> float:
        """How long until `amount` can be taken; what is larger than the bucket needs a full one."""
        self.level = min(self.size, self.level + max(0.0, now - self.filled_at) * self.per_s)
        self.filled_at = now
        missing = min(amount, self.size) - self.level
        return missing / self.per_s if missing > _ROUNDING else 0.0

    def take(self, amount: float) -> None:
        """Take it."""
        self.level -= min(amount, self.size)


@attrs.define(slots=True)
class Meters:
    """What one provider counts of its only account.

    `billed_usd` is what it has charged so far; `counts` says whether it has limits a minute.
    """

    limits: Limits
    credit_usd: float | None
    requests: Bucket | None
    tokens: Bucket | None
    billed_usd: float = 0.0

    @property
    def broke(self) -> bool:
        """Whether the credit is used up."""
        return self.credit_usd is not None and self.billed_usd >= self.credit_usd

    @property
    def counts(self) -> bool:
        """Whether it has limits a minute."""
        return self.requests is not None or self.tokens is not None

    def levels(self) -> dict[str, tuple[float, float, float]]:
        """Of each limit: what fits into a minute, what is left of it, seconds until it is whole."""
        found: dict[str, tuple[float, float, float]] = {}
        for name, bucket in (("requests", self.requests), ("tokens", self.tokens)):
            if bucket is not None:
                used, limit = bucket.size - bucket.level, bucket.per_s * 60
                found[name] = limit, max(0.0, limit - used), used / bucket.per_s
        return found

    def wait_s(self, tokens: int, now: float) -> float:
        """Count a request; if it is over a limit, do not, and tell how long that will be so."""
        if self.requests is None and self.tokens is None:
            return 0.0
        wait_s = max(
            self.requests.wait_s(1, now) if self.requests is not None else 0.0,
            self.tokens.wait_s(tokens, now) if self.tokens is not None else 0.0,
        )
        if wait_s > 0:
            return wait_s
        if self.requests is not None:
            self.requests.take(1)
        if self.tokens is not None:
            self.tokens.take(tokens)
        return 0.0


def meters(provider: Provider, now: float) -> Meters:
    """Fresh meters."""
    limits = provider.limits
    return Meters(
        limits,
        provider.credit_usd,
        _bucket(limits.requests_per_min, limits.burst_s, now),
        _bucket(limits.tokens_per_min, limits.burst_s, now),
    )


def _bucket(per_min: float | None, burst_s: float, now: float) -> Bucket | None:
    if per_min is None:
        return None
    size = max(1.0, per_min * burst_s / 60)
    return Bucket(per_min / 60, size, size, now)
