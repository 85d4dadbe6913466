"""The share of failures that must open a breaker, worked out again from what it counted."""

from __future__ import annotations

import math
from collections import deque

import attrs

from understudy_actors.domain.events import BreakerCounted, BreakerMoved
from understudy_actors.provider.policy import BreakerPolicy
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch, Witness

_OK, _FAILED, _CLOSED, _RESTORED = "ok", "failed", "closed", "restored"


@attrs.define(eq=False, slots=True)
class _Window:
    """Outcomes of the last while, in buckets that stand still in time.

    `filled` holds, for each bucket that is not empty, its number, its outcomes and its failures.
    """

    width_s: float
    buckets: int
    least: int
    filled: deque[list[int]] = attrs.Factory(deque)
    outcomes: int = 0
    failures: int = 0

    def take(self, at_s: float, *, bad: bool) -> None:
        """Count one outcome, and forget those that are too old."""
        filled, number = self.filled, math.floor(at_s / self.width_s)
        if not filled or filled[-1][0] != number:
            filled.append([number, 0, 0])
        filled[-1][1] += 1
        filled[-1][2] += bad
        self.outcomes += 1
        self.failures += bad
        while filled[0][0] <= number - self.buckets:
            _, outcomes, failures = filled.popleft()
            self.outcomes -= outcomes
            self.failures -= failures

    def trips(self, ratio: float) -> bool:
        """Whether this share of failures is reached, by enough outcomes."""
        return self.outcomes >= self.least and self.failures >= ratio * self.outcomes


def _windows(policy: BreakerPolicy) -> tuple[_Window, ...]:
    short_s, long_s = policy.short_window_s, policy.long_window_s
    return (
        _Window(short_s / policy.short_buckets, policy.short_buckets, policy.short_min),
        _Window(long_s / policy.long_buckets, policy.long_buckets, policy.long_min),
    )


@attrs.define(eq=False, slots=True)
class _Scope:
    """What one closed breaker has counted since it closed."""

    windows: tuple[_Window, ...]
    closed: bool = True
    blind: bool = False
    owed: Witness | None = None


class FailureShares(Watch):
    """A steady share of failures opens a breaker too, however well mixed with successes."""

    name = "R4"
    claim = "a closed breaker opens when the configured share of a window's outcomes are failures"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._scopes: dict[str, _Scope] = {}
        self.hears = {BreakerMoved: self._on_moved, BreakerCounted: self._on_counted}

    def _on_moved(self, seq: int, event: BreakerMoved) -> None:  # noqa: ARG002
        # What a restart remembers of its windows is not told: blind until the next move.
        windows = _windows(self.rules.breaker_of(event.scope))
        self._scopes[event.scope] = _Scope(windows, event.target == _CLOSED, event.why == _RESTORED)

    def _on_counted(self, seq: int, event: BreakerCounted) -> Violation | None:
        scope = self._scopes.get(event.scope)
        if scope is None:
            fresh = _Scope(_windows(self.rules.breaker_of(event.scope)))
            scope = self._scopes[event.scope] = fresh
        if not scope.closed or scope.blind or event.verdict not in (_OK, _FAILED):
            return None
        if scope.owed is not None:
            owed, scope.owed = scope.owed, None
            said = f"{event.scope} stayed closed although its window is full of failures"
            return self.broken("share", said, owed, (seq, event))
        bad = event.verdict == _FAILED
        ratio = self.rules.breaker_of(event.scope).ratio
        for window in scope.windows:
            window.take(event.at_s, bad=bad)
        if bad and ratio is not None and any(each.trips(ratio) for each in scope.windows):
            scope.owed = seq, event
        return None
