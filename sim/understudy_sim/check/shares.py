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
_COUNTED_MAX = 20_000


@attrs.define(eq=False, slots=True)
class _Scope:
    """What one closed breaker has counted since it closed: times, and whether they were bad."""

    closed: bool = True
    blind: bool = False
    counted: deque[tuple[float, bool]] = attrs.Factory(lambda: deque(maxlen=_COUNTED_MAX))
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
        self._scopes[event.scope] = _Scope(event.target == _CLOSED, event.why == _RESTORED)

    def _on_counted(self, seq: int, event: BreakerCounted) -> Violation | None:
        scope = self._scopes.setdefault(event.scope, _Scope())
        if not scope.closed or scope.blind or event.verdict not in (_OK, _FAILED):
            return None
        if scope.owed is not None:
            owed, scope.owed = scope.owed, None
            said = f"{event.scope} stayed closed although its window is full of failures"
            return self.broken("share", said, owed, (seq, event))
        bad = event.verdict == _FAILED
        policy = self.rules.breaker_of(event.scope)
        reach_s = max(policy.short_window_s, policy.long_window_s)
        while scope.counted and scope.counted[0][0] < event.at_s - reach_s:
            scope.counted.popleft()
        scope.counted.append((event.at_s, bad))
        if bad and _trips(policy, scope.counted, event.at_s):
            scope.owed = seq, event
        return None


def _trips(policy: BreakerPolicy, counted: deque[tuple[float, bool]], now: float) -> bool:
    """Do the outcomes of either window open it? Windows are buckets that stand still in time."""
    if policy.ratio is None:
        return False
    for length_s, buckets, least in (
        (policy.short_window_s, policy.short_buckets, policy.short_min),
        (policy.long_window_s, policy.long_buckets, policy.long_min),
    ):
        width = length_s / buckets
        oldest = math.floor(now / width) - buckets + 1
        inside = [bad for at, bad in counted if math.floor(at / width) >= oldest]
        if len(inside) >= least and sum(inside) >= policy.ratio * len(inside):
            return True
    return False
