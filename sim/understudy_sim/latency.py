"""Distributions: what a time or a size is drawn from, as a pure function of one uniform number."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct

from understudy_actors.runtime.ports import Randomness

Amount: TypeAlias = Annotated[float, Meta(ge=0.0, le=1e9)]

_NORMAL: Final = NormalDist()
_SMALLEST: Final = 2.0**-54  # below every draw but 0, of which no quantile is finite


class Fixed(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="fixed"):
    """Always `value`. A bare number or duration in a document means this."""

    value: Amount


class Lognormal(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="lognormal"):
    """A long right tail: half of the draws are below `median`, `sigma` is that of the logarithm."""

    median: Amount
    sigma: Annotated[float, Meta(ge=0.0, le=5.0)] = 0.5


class Empirical(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="empirical"):
    """One of the measured `values`, each as likely; repeat one to weigh it."""

    values: Annotated[tuple[Amount, ...], Meta(min_length=1, max_length=100_000)]


Distribution: TypeAlias = Fixed | Lognormal | Empirical


def draw(distribution: Distribution, uniform: float) -> float:
    """The value at which `distribution` puts `uniform`, a number in [0, 1)."""
    match distribution:
        case Fixed(value=value):
            return value
        case Lognormal(median=median, sigma=sigma):
            if not sigma:
                return median
            return median * math.exp(sigma * _NORMAL.inv_cdf(max(uniform, _SMALLEST)))
        case Empirical(values=values):
            return values[int(uniform * len(values))]


def draw_keyed(
    distribution: Distribution, randomness: Randomness, stream: str, index: int = 0
) -> float:
    """The value that belongs to `index` of a named stream."""
    if isinstance(distribution, Fixed):
        return distribution.value
    return draw(distribution, randomness.uniform(stream, index))


def count_keyed(
    distribution: Distribution, randomness: Randomness, stream: str, index: int = 0
) -> int:
    """The same as a whole number, at least 1."""
    return max(1, round(draw_keyed(distribution, randomness, stream, index)))
