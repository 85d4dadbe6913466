"""The score of one candidate: expected seconds until it answers, and how far to trust that.

    cost = L(request) · (in_flight + 1)^b / (success · weight · ramp)

with L decaying to the median of its peers and success to 1 while nothing is observed. A failure is
no latency sample: it only lowers `success`, so an endpoint that fails fast never looks fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low
from typing import Final

import attrs

from understudy_actors.domain.candidate import Candidate

UNKNOWN_S: Final = 1.0
"""Latency of a tier in which nothing was observed yet."""
REFRESH_S: Final = 1.0
"""The median of the peers moves slowly: it is taken again after this long."""


def prior_s(candidates: Sequence[Candidate], now: float, output_tokens: float) -> float:
    """Median of what was observed among `candidates`, or `UNKNOWN_S` if nothing was."""
    seen = [
        latency
        for each in candidates
        if (latency := each.health.latency_s(now, output_tokens, -1.0)) > 0.0
    ]
    return median_low(seen) if seen else UNKNOWN_S


@attrs.define(slots=True)
class Prior:
    """Remembers the median of a tier for `REFRESH_S`, so that a pick need not sort."""

    _value: float = UNKNOWN_S
    _size: int = -1
    _until: float = -1.0

    def of(self, candidates: Sequence[Candidate], now: float, output_tokens: float) -> float:
        """The median, taken again when it is old or the tier changed its size."""
        if now >= self._until or len(candidates) != self._size:
            self._value = prior_s(candidates, now, output_tokens)
            self._size = len(candidates)
            self._until = now + REFRESH_S
        return self._value


def costs(
    candidates: Sequence[Candidate], now: float, output_tokens: float, prior: float, b: float
) -> list[float]:
    """The cost of giving one more request to each of `candidates`; the lowest is the best."""
    found: list[float] = []
    for each in candidates:
        expected_s = each.health.seconds_per_success(now, output_tokens, prior)
        load = (each.in_flight + 1) ** b if b != 1.0 else each.in_flight + 1
        found.append(expected_s * load / (each.spec.weight * each.ramp))
    return found
