"""Strategies that are one sort key."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from understudy_actors.dispatcher.strategies.base import View
from understudy_actors.dispatcher.strategies.score import Prior
from understudy_actors.domain.candidate import Candidate


@attrs.define(slots=True)
class Priority:
    """The configured order: pure failover."""

    name: str = "priority"

    def rank(self, candidates: Sequence[Candidate], view: View) -> Sequence[Candidate]:
        """The order in which they come: the dispatcher hands them over as configured."""
        return candidates


@attrs.define(slots=True)
class LeastBusy:
    """Fewest attempts in flight for its weight."""

    name: str = "least_busy"

    def rank(self, candidates: Sequence[Candidate], view: View) -> Sequence[Candidate]:
        """Lowest in_flight / (weight · ramp) first; between equals the one picked longest ago."""
        return sorted(
            candidates,
            key=lambda c: (c.in_flight / (c.spec.weight * c.ramp), c.picked, c.index),
        )


@attrs.define(slots=True)
class Cheapest:
    """Lowest expected price for the estimated tokens; free quota first, unknown prices last."""

    name: str = "cheapest"
    _prior: Prior = attrs.Factory(Prior)

    def rank(self, candidates: Sequence[Candidate], view: View) -> Sequence[Candidate]:
        """Lowest price first; between equals the faster one."""
        prior = self._prior.of(candidates, view.now, view.output_tokens)

        def key(candidate: Candidate) -> tuple[float, float, int]:
            price = view.price_usd(candidate)
            latency = candidate.health.latency_s(view.now, view.output_tokens, prior)
            return (math.inf if price is None else price, latency, candidate.index)

        return sorted(candidates, key=key)


@attrs.define(slots=True)
class Fastest:
    """Lowest expected latency, corrected for failures, whatever the load."""

    name: str = "fastest"
    _prior: Prior = attrs.Factory(Prior)

    def rank(self, candidates: Sequence[Candidate], view: View) -> Sequence[Candidate]:
        """Lowest latency / success first; between equals the one picked longest ago."""
        prior = self._prior.of(candidates, view.now, view.output_tokens)

        def key(candidate: Candidate) -> tuple[float, int, int]:
            health = candidate.health
            expected_s = health.seconds_per_success(view.now, view.output_tokens, prior)
            return (expected_s, candidate.picked, candidate.index)

        return sorted(candidates, key=key)


@attrs.define(slots=True)
class BestQuality:
    """Highest configured quality; between equals the more reliable, then the configured order."""

    name: str = "best_quality"

    def rank(self, candidates: Sequence[Candidate], view: View) -> Sequence[Candidate]:
        """Best quality first."""
        return sorted(
            candidates,
            key=lambda c: (-c.spec.quality, -c.health.success(view.now), c.index),
        )


@attrs.define(slots=True)
class Economy:
    """Fast and cheap together, for simple tasks: seconds times price, free ones by speed."""

    name: str = "economy"
    _prior: Prior = attrs.Factory(Prior)

    def rank(self, candidates: Sequence[Candidate], view: View) -> Sequence[Candidate]:
        """Lowest product of price and latency first; unknown prices last."""
        prior = self._prior.of(candidates, view.now, view.output_tokens)

        def key(candidate: Candidate) -> tuple[float, float, int]:
            price = view.price_usd(candidate)
            latency = candidate.health.latency_s(view.now, view.output_tokens, prior)
            return (math.inf if price is None else price * latency, latency, candidate.index)

        return sorted(candidates, key=key)
