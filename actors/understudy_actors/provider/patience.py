"""How long a stream may be silent: learned from what the endpoint usually takes.

    limit = max(least, 4 x median, 2 x 99th percentile) of the last samples, at most `most`
    limit <- limit + (most - limit) * (1 - exp(-age / 3600 s))

A fixed number is wrong for somebody: it waits a minute for an endpoint that starts in 300 ms, or
kills one that thinks for 20 s before each good answer. Only silence much longer than usual is
evidence, hence the multiples; with less than `SAMPLES_MIN` samples nothing is known, and the limit
is `most`. It widens while no stream succeeds, or an endpoint that has become slower than its limit
could never show that it is slow and not silent.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

MEDIANS: Final = 4.0
TAILS: Final = 2.0
SAMPLES_MIN: Final = 5
WIDEN_S: Final = 3600.0


def patience_s(samples: Collection[float], age_s: float, least: float, most: float) -> float:
    """The longest silence, in seconds, that is not evidence against the endpoint.

    Args:
        samples: Seconds of silence before good streams went on.
        age_s: How long ago the last of these streams ended.
        least, most: Configured bounds in seconds.
    """
    if len(samples) < SAMPLES_MIN:
        return most
    median, tail = quantile(samples, 0.5), quantile(samples, 0.99)
    assert median is not None
    assert tail is not None
    learned = min(most, max(least, MEDIANS * median, TAILS * tail))
    return learned + (most - learned) * -math.expm1(-max(0.0, age_s) / WIDEN_S)


def quantile(samples: Collection[float], q: float) -> float | None:
    """The nearest-rank quantile for q in [0, 1]: the smallest sample with a share q at or below."""
    if not samples:
        return None
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]
