"""`adaptive`, the default: the lowest score, over all candidates up to 64 and over two beyond."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

import attrs

from understudy_actors.dispatcher.strategies.base import View
from understudy_actors.dispatcher.strategies.score import Prior, costs
from understudy_actors.domain.candidate import Candidate

FULL_SCAN_MAX: Final = 64
_CANDIDATE: Final = itemgetter(3)


@attrs.define(slots=True)
class Adaptive:
    """Scores by observed latency, load and success (see `score`).

    Looks at every candidate: in one process the in-flight counts are exact, so a full scan beats
    two random choices. Beyond `FULL_SCAN_MAX` it compares two at random, which costs the same for
    any number (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing").

    `load_exponent` (0..1) says how much one more call in flight slows an endpoint: 1 for servers
    that queue, 0 for vendors whose latency ignores our load.
    """

    load_exponent: float = 1.0
    name: str = "adaptive"
    _prior: Prior = attrs.Factory(Prior)

    def rank(self, candidates: Sequence[Candidate], view: View) -> Sequence[Candidate]:
        """Lowest cost first; between equals the one picked longest ago."""
        if len(candidates) == 1:
            return candidates
        now, tokens = view.now, view.output_tokens
        prior = self._prior.of(candidates, now, tokens)
        if len(candidates) > FULL_SCAN_MAX:
            return self._best_of_two(candidates, view, prior)
        each_cost = costs(candidates, now, tokens, prior, self.load_exponent)
        keyed: list[tuple[float, int, int, Candidate]] = []
        for cost, each in zip(each_cost, candidates, strict=True):
            keyed.append((cost, each.picked, each.index, each))
        keyed.sort()
        return tuple(map(_CANDIDATE, keyed))

    def _best_of_two(
        self, candidates: Sequence[Candidate], view: View, prior: float
    ) -> Sequence[Candidate]:
        bits = view.draws.bits()
        first = (bits & 0xFFFFFFFF) % len(candidates)
        second = (bits >> 32) % (len(candidates) - 1)
        second += second >= first
        order = list(candidates)
        a, b = order[first], order[second]
        cost_a, cost_b = costs((a, b), view.now, view.output_tokens, prior, self.load_exponent)
        best = first if (cost_a, a.picked) <= (cost_b, b.picked) else second
        order[0], order[best] = order[best], order[0]
        return order
