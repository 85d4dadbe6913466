"""Strategies that hand out shares: round robin, exact weights, weighted chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from understudy_actors.dispatcher.strategies.base import View
from understudy_actors.domain.candidate import Candidate


@attrs.define(slots=True)
class SmoothWeighted:
    """Smooth weighted round robin: exact shares, spread as evenly as they can be.

    Each pick adds every present candidate's weight to its credit, takes the one with the most
    credit, and takes the sum of the weights from it. The credits of those present always sum to
    what they summed before; absent ones keep theirs, frozen, and a changed weight keeps the credit.

    A credit is worth so many picks: when the sum of the weights changes, all are scaled with it.
    Otherwise a heavy one that leaves would leave the light ones debts of a hundred picks.
    Source: nginx, ngx_http_upstream_round_robin, but for the scaling.
    """

    name: str = "weighted"
    _credit: dict[int, float] = attrs.Factory(dict)
    _total: float = 0.0

    def rank(self, candidates: Sequence[Candidate], view: View) -> Sequence[Candidate]:
        """The one whose turn it is, then the rest by credit."""
        credit = self._credit
        weights = [self._weight(each) for each in candidates]
        total = sum(weights)
        if total != self._total:
            for index in credit:
                credit[index] *= total / self._total
            self._total = total
        for each, weight in zip(candidates, weights, strict=True):
            credit[each.index] = credit.get(each.index, 0.0) + weight
        order = sorted(candidates, key=lambda c: (-credit[c.index], c.index))
        credit[order[0].index] -= total
        return order

    def _weight(self, candidate: Candidate) -> float:
        return candidate.spec.weight


@attrs.define(slots=True)
class RoundRobin(SmoothWeighted):
    """Everybody in turn: smooth weighted round robin with equal weights."""

    name: str = "round_robin"

    def _weight(self, candidate: Candidate) -> float:
        return 1.0


@attrs.define(slots=True)
class WeightedRandom:
    """A random order in which each comes first with a chance proportional to its weight.

    One exponential draw for each, at the rate of its weight; the smallest comes first (Efraimidis
    and Spirakis, "Weighted random sampling with a reservoir").
    """

    name: str = "random"

    def rank(self, candidates: Sequence[Candidate], view: View) -> Sequence[Candidate]:
        """A weighted shuffle."""
        keyed = [
            (-math.log1p(-view.draws.uniform()) / (c.spec.weight * c.ramp), c.index, c)
            for c in candidates
        ]
        keyed.sort(key=lambda entry: entry[:2])
        return [entry[2] for entry in keyed]
