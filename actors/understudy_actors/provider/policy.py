"""What a breaker and the holds are told by configuration: plain, validated numbers."""

from __future__ import annotations

import math
from typing import Any, Final

from msgspec import Struct

_EXPONENT_MAX: Final = 64  # keeps factor ** exponent finite whatever was configured


class BreakerPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a breaker opens, for how long, and how it finds its way back.

    Attributes:
        run_threshold: This many failures in a row open it (K0), >= 1.
        growth: Let that number grow with the logarithm of traffic, so that a steady background
            of failures opens no busier endpoint more often than a quiet one.
        growth_from: Outcomes in the long window from which it grows (n0), >= 1.
        background: The background failure rate it allows for (p*), in (0, 1).
        ratio: Share of failures in a window that opens it, in (0, 1]; None: no such rule.
        short_window_s, short_buckets, short_min: The quick window, and the outcomes it needs.
        long_window_s, long_buckets, long_min: The slow one, for sparse traffic.
        cooldown_s: First cooldown in seconds, > 0.
        factor: What each failed probe multiplies it by, >= 1.
        cap_s: The longest it grows to, >= cooldown_s.
        slow_probe_cap_s: A failed probe makes the cooldown at least twice its own duration, but
            not more than this; 0: it does not. By default no longer than any other cooldown grows:
            where each failure takes 30 s, one who is well again was left alone for a minute more,
            to spare one slow request in a thousand.
        retry_after_cap_s: A `Retry-After` is a floor for the cooldown, up to this; 0: it is not.
        jitter: Cooldowns are uniform in [half, full] (equal jitter), not exactly full.
        max_probes: Probes lent at once while half-open, >= 1.
        close_after: Probes that must succeed before it closes, >= 1.
        lease_grace_s: A probe's lease is its attempt timeout and this, >= 0.
        inconclusive_limit: So many probes without information open it again, >= 1.
        calm_s: One step of the exponent is forgotten for every so many seconds closed, > 0.
        ramp_s, ramp_floor: Slow start after closing: its length (0: none), and its first weight.
    """

    run_threshold: int = 5
    growth: bool = True
    growth_from: float = 6.0
    background: float = 0.2
    ratio: float | None = 0.5
    short_window_s: float = 15.0
    short_buckets: int = 10
    short_min: int = 20
    long_window_s: float = 120.0
    long_buckets: int = 12
    long_min: int = 10
    cooldown_s: float = 5.0
    factor: float = 2.0
    cap_s: float = 15.0
    slow_probe_cap_s: float = 15.0
    retry_after_cap_s: float = 3600.0
    jitter: bool = True
    max_probes: int = 1
    close_after: int = 2
    lease_grace_s: float = 10.0
    inconclusive_limit: int = 3
    calm_s: float = 60.0
    ramp_s: float = 30.0
    ramp_floor: float = 0.1

    def __post_init__(self) -> None:
        """Check every bound.

        Raises:
            ValueError: Names the key, its value and what would do.
        """
        for key in ("run_threshold", "short_buckets", "short_min", "long_buckets", "long_min"):
            _at_least(self, key, 1)
        for key in ("max_probes", "close_after", "inconclusive_limit", "factor", "growth_from"):
            _at_least(self, key, 1)
        for key in ("short_window_s", "long_window_s", "cooldown_s", "calm_s"):
            _above_zero(self, key)
        for key in ("slow_probe_cap_s", "retry_after_cap_s", "lease_grace_s", "ramp_s"):
            _at_least(self, key, 0)
        _at_least(self, "cap_s", self.cooldown_s)
        _within(self, "ramp_floor", 0 < self.ramp_floor <= 1, "above 0 and at most 1")
        _within(self, "background", 0 < self.background < 1, "between 0 and 1, both excluded")
        if self.ratio is not None:
            _within(self, "ratio", 0 < self.ratio <= 1, "above 0 and at most 1, or null for none")

    def full_s(self, exponent: int) -> float:
        """The cooldown before jitter and floors, in seconds; exponent 0 counts as 1."""
        return min(self.cap_s, self.cooldown_s * self.factor ** (max(1, exponent) - 1))

    @property
    def top_exponent(self) -> int:
        """The smallest exponent at which the cooldown is at its cap.

        It never rises above: a longer outage would lengthen no cooldown, only the fading after it.
        """
        if self.factor == 1:
            return 1
        exponent = 1
        while self.full_s(exponent) < self.cap_s and exponent < _EXPONENT_MAX:
            exponent += 1
        return exponent

    @property
    def longest_s(self) -> float:
        """No cooldown of this policy is longer, in seconds."""
        return max(self.cap_s, self.slow_probe_cap_s, self.retry_after_cap_s)

    def threshold(self, outcomes: int) -> int:
        """How many failures in a row open it at this many outcomes in the long window.

        K(n) = K0 + ceil(ln(max(1, n / n0)) / ln(1 / p*)): a constant false-alarm rate, because a
        run of K background failures among n outcomes has a chance of about p* ** K * n.
        """
        steps = 0
        if self.growth:
            # Counted, not computed from logarithms: rounding would misplace the exact powers.
            reach = self.growth_from
            while outcomes > reach:
                reach /= self.background
                steps += 1
        return self.run_threshold + steps


class HoldPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the holds are that no provider gave an end to, in seconds.

    Attributes:
        credit_s: The first hold for used-up credit, > 0; doubles while the error comes back.
        auth_s: The first hold for a refused key, > 0; doubles likewise.
        model_s: The hold for an unknown model, > 0.
        cap_s: The longest that doubling reaches, >= credit_s and auth_s.
        stated_cap_s: The longest that a provider's own reset time is believed, > 0.
        lease_grace_s: The lease of the call that tries a hold's end is its timeout and this, >= 0.
    """

    credit_s: float = 300.0
    auth_s: float = 600.0
    model_s: float = 3600.0
    cap_s: float = 6 * 3600.0
    stated_cap_s: float = 24 * 3600.0
    lease_grace_s: float = 10.0

    def __post_init__(self) -> None:
        """Check every bound.

        Raises:
            ValueError: Names the key, its value and what would do.
        """
        for key in ("credit_s", "auth_s", "model_s", "stated_cap_s"):
            _above_zero(self, key)
        _at_least(self, "lease_grace_s", 0)
        _at_least(self, "cap_s", max(self.credit_s, self.auth_s))


def classic(trip_after: int = 5, cooldown_s: float = 60.0) -> BreakerPolicy:
    """The textbook breaker: exactly `trip_after` failures in a row, exactly `cooldown_s` seconds.

    No windows, no jitter, no growth, no floors, one probe, and one success closes it.
    """
    return BreakerPolicy(
        run_threshold=trip_after,
        growth=False,
        ratio=None,
        cooldown_s=cooldown_s,
        factor=1.0,
        cap_s=cooldown_s,
        slow_probe_cap_s=0.0,
        retry_after_cap_s=0.0,
        jitter=False,
        close_after=1,
        ramp_s=0.0,
    )


def expire(trip_after: int = 3, cooldown_s: float = 300.0) -> BreakerPolicy:
    """An unhealthy mark that expires: `classic` with the numbers usual for it.

    The first request after the expiry is the probe, so a provider that is still broken costs one
    failover and not `trip_after` of them.
    """
    return classic(trip_after, cooldown_s)


def _at_least(policy: Struct, key: str, least: float) -> None:
    value: Any = getattr(policy, key)
    _within(policy, key, least <= value < math.inf, f"a finite number of at least {least:g}")


def _above_zero(policy: Struct, key: str) -> None:
    value: Any = getattr(policy, key)
    _within(policy, key, 0 < value < math.inf, "a finite number above 0")


def _within(policy: Struct, key: str, ok: bool, wanted: str) -> None:
    if not ok:
        raise ValueError(f"`{key}` must be {wanted}, got {getattr(policy, key)!r}")


DEFAULT: Final = BreakerPolicy()
DEFAULT_HOLDS: Final = HoldPolicy()
