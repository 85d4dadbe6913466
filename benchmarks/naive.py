"""The traffic of `benchmarks.traffic.steady` as a naive model, once on trio and once on simpy.

Both play the same requests: the same arrivals, latencies and failures, drawn before the clock
runs; each attempt has a timeout, and one that fails is made once more, elsewhere. They know no
wire format, no breaker, no strategy, no limits and no trace.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import trio
import trio.testing
from msgspec import Struct

from benchmarks.traffic import FAILING, MEDIAN_S, RATE, SIGMA, TIMEOUT_S
from understudy_actors.runtime.ports import Randomness
from understudy_sim.arrivals import Poisson, arrival_times
from understudy_sim.latency import Lognormal, draw


class Draws(Struct, frozen=True):
    """Everything that chance decides, by request: gap to the one before, latency, who fails."""

    gaps_s: list[float]
    latencies_s: list[float]
    failing: list[bool]


class Outcomes(Struct, frozen=True):
    """What came of a run: requests made, answered, and attempts in all."""

    requests: int
    answered: int
    attempts: int


def draws(requests: int) -> Draws:
    """Those of so many requests, of which a tenth fails at first in the middle third."""
    length_s, chance = requests / RATE, Randomness(1)
    at = [at_s for _, at_s in arrival_times(Poisson(rate=RATE), chance, "web", length_s)]
    spread = Lognormal(MEDIAN_S, SIGMA)
    return Draws(
        gaps_s=[later - sooner for sooner, later in zip([0.0, *at], at, strict=False)],
        latencies_s=[draw(spread, chance.uniform("latency", n)) for n in range(len(at))],
        failing=[
            length_s / 3 < at_s < length_s * 2 / 3 and chance.uniform("fails", n) < FAILING
            for n, at_s in enumerate(at)
        ],
    )


def on_trio(drawn: Draws) -> Outcomes:
    """Run it on a bare trio loop with trio's own `MockClock`."""
    answered = attempts = 0

    async def ask(number: int) -> None:
        nonlocal answered, attempts
        for attempt in range(2):
            attempts += 1
            with trio.move_on_after(TIMEOUT_S):
                await trio.sleep(drawn.latencies_s[number])
                if attempt or not drawn.failing[number]:
                    answered += 1
                    return

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number, gap_s in enumerate(drawn.gaps_s):
                await trio.sleep(gap_s)
                nursery.start_soon(ask, number)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return Outcomes(len(drawn.gaps_s), answered, attempts)


def on_simpy() -> Callable[[Draws], Outcomes]:
    """What runs it on simpy, which has no event loop, no cancellation and no nurseries.

    Raises:
        ImportError: simpy is not installed.
    """
    simpy: Any = importlib.import_module("simpy")

    def once(drawn: Draws) -> Outcomes:
        answered = attempts = 0

        def ask(world: Any, number: int) -> Any:
            nonlocal answered, attempts
            for attempt in range(2):
                attempts += 1
                answer = world.timeout(drawn.latencies_s[number])
                yield answer | world.timeout(TIMEOUT_S)
                if answer.processed and (attempt or not drawn.failing[number]):
                    answered += 1
                    return

        def arrive(world: Any) -> Any:
            for number, gap_s in enumerate(drawn.gaps_s):
                yield world.timeout(gap_s)
                world.process(ask(world, number))

        world = simpy.Environment()
        world.process(arrive(world))
        world.run()
        return Outcomes(len(drawn.gaps_s), answered, attempts)

    return once
