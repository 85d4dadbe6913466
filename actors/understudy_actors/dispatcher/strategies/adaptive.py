"""`adaptive`, the default: the lowest score, over all candidates up to 64 and over two beyond."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final, final, overload

import attrs

from understudy_actors.dispatcher.strategies.base import View
from understudy_actors.dispatcher.strategies.score import Prior, costs
from understudy_actors.domain.candidate import Candidate

FULL_SCAN_MAX: Final = 64
_CANDIDATE: Final = itemgetter(3)


@final
class Swapped(Sequence[Candidate]):
    """Candidates in the given order, but for the first and the best one, who change places.

    It is as long as the fleet is wide and nearly always read at its head alone, and decisions are
    kept for a while: so the order is told when somebody asks, instead of being written down.
    """

    __slots__ = ("_best", "_given")

    def __init__(self, given: Sequence[Candidate], best: int) -> None:
        self._given = given
        self._best = best

    def __len__(self) -> int:
        return len(self._given)

    @overload
    def __getitem__(self, place: int) -> Candidate: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Candidate]: ...

    def __getitem__(self, place: int | slice) -> Candidate | Sequence[Candidate]:
        places = range(len(self._given))[place]
        if isinstance(places, range):
            return tuple(map(self._at, places))
        return self._at(places)

    def _at(self, place: int) -> Candidate:
        if place == 0:
            return self._given[self._best]
        return self._given[0 if place == self._best else place]


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
        keyed = [
            (each_cost[place], each.picked, each.index, each)
            for place, each in enumerate(candidates)
        ]
        keyed.sort()
        return tuple(map(_CANDIDATE, keyed))

    def _best_of_two(
        self, candidates: Sequence[Candidate], view: View, prior: float
    ) -> Sequence[Candidate]:
        bits = view.draws.bits()
        first = (bits & 0xFFFFFFFF) % len(candidates)
        second = (bits >> 32) % (len(candidates) - 1)
        second += second >= first
        a, b = candidates[first], candidates[second]
        cost_a, cost_b = costs((a, b), view.now, view.output_tokens, prior, self.load_exponent)
        best = first if (cost_a, a.picked) <= (cost_b, b.picked) else second
        return Swapped(candidates, best)
