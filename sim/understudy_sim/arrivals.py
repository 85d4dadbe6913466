"""When requests arrive: a pure function of a client's pattern and the keyed randomness.

Random patterns are Poisson processes, made by running unit exponentials through the inverse of the
expected number of arrivals (Çinlar, *Introduction to Stochastic Processes*, 1975). The k-th gap is
drawn for k alone, so leaving one request out moves no other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct, field

from understudy_actors.runtime.ports import Randomness
from understudy_sim.fault_kinds import Rate, Seconds, Share
from understudy_sim.latency import Distribution, Fixed

REQUESTS_MAX: Final = 2_000_000
_BISECTIONS: Final = 60  # of an interval that is one expected arrival long
Count: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]


class _Pattern(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
):
    """What every pattern has: its name, under `kind`."""


class Poisson(_Pattern, frozen=True, tag="poisson"):
    """Independent arrivals, `rate` a second on average."""

    rate: Rate


class Steady(_Pattern, frozen=True, tag="steady"):
    """Evenly spaced arrivals, `rate` a second."""

    rate: Rate


class Ramp(_Pattern, frozen=True, tag="ramp"):
    """Independent arrivals; the rate goes evenly `from_rate` `to_rate` over the client's time."""

    from_rate: Rate
    to_rate: Rate


class Diurnal(_Pattern, frozen=True, tag="diurnal"):
    """Independent arrivals at a rate that swings around `rate` by the share `swing`, as a sine."""

    rate: Rate
    swing: Share = 0.8
    period_s: Annotated[float, Meta(ge=1.0, le=1e9)] = field(default=86_400.0, name="period")


class Burst(_Pattern, frozen=True, tag="burst"):
    """`size` requests spread at random over `within_s`, and again every `every_s`."""

    size: Count
    within_s: Seconds = field(default=0.0, name="within")
    every_s: Annotated[float, Meta(ge=1e-3, le=1e9)] | None = field(default=None, name="every")


class Recorded(_Pattern, frozen=True, tag="recorded"):
    """Arrivals at these times, in seconds from the client's start."""

    at: Annotated[tuple[Seconds, ...], Meta(max_length=REQUESTS_MAX)]


class Users(_Pattern, frozen=True, tag="users"):
    """`count` users who each wait for their answer, think, and ask again (closed loop)."""

    count: Count
    think: Distribution = Fixed(1.0)


OpenLoop: TypeAlias = Poisson | Steady | Ramp | Diurnal | Burst | Recorded
Arrivals: TypeAlias = OpenLoop | Users


def arrival_times(
    pattern: OpenLoop, randomness: Randomness, client: str, length_s: float
) -> Iterator[tuple[int, float]]:
    """Number and time of each arrival in [0, `length_s`), in order of time."""
    match pattern:
        case Recorded(at=at):
            found: Iterator[tuple[int, float]] = iter(
                sorted(enumerate(at), key=lambda each: each[1])
            )
        case Steady(rate=rate):
            found = ((number, number / rate) for number in itertools.count())
        case Burst():
            found = _burst(pattern, randomness, client, length_s)
        case _:
            found = _random(pattern, randomness, client, length_s)
    in_time = itertools.takewhile(lambda each: each[1] < length_s, found)
    return itertools.islice(in_time, REQUESTS_MAX)


def _random(
    pattern: Poisson | Ramp | Diurnal, randomness: Randomness, client: str, length_s: float
) -> Iterator[tuple[int, float]]:
    stream, expected, at = f"arrivals/{client}", 0.0, 0.0
    for number in itertools.count():
        expected -= math.log(1.0 - randomness.uniform(stream, number))
        if isinstance(pattern, Poisson):
            at = expected / pattern.rate
        elif _expected(pattern, length_s, length_s) < expected:
            return
        else:
            at = _when(pattern, expected, at, length_s)
        yield number, at


def _expected(pattern: Ramp | Diurnal, at: float, length_s: float) -> float:
    """How many arrivals are expected until `at`."""
    if isinstance(pattern, Ramp):
        growth = (pattern.to_rate - pattern.from_rate) / length_s
        return pattern.from_rate * at + growth * at * at / 2
    turns = 2 * math.pi / pattern.period_s
    return pattern.rate * (at + pattern.swing * (1 - math.cos(turns * at)) / turns)


def _when(pattern: Ramp | Diurnal, expected: float, after: float, length_s: float) -> float:
    """The time at which `expected` arrivals are expected."""
    low, high = after, length_s
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _expected(pattern, middle, length_s) < expected:
            low = middle
        else:
            high = middle
    return high


def _burst(
    pattern: Burst, randomness: Randomness, client: str, length_s: float
) -> Iterator[tuple[int, float]]:
    stream = f"arrivals/{client}"
    for turn in itertools.count():
        start = turn * (pattern.every_s or length_s)
        if start >= length_s:
            return
        numbers = range(turn * pattern.size, (turn + 1) * pattern.size)
        drawn = [(n, start + randomness.uniform(stream, n) * pattern.within_s) for n in numbers]
        yield from sorted(drawn, key=lambda each: each[1])
