"""How fast a simulation runs: `python -m benchmarks.simulate [--quick] [--json] [--profile]`.

Simulated requests for each second of CPU time on one core, the engine opened as in production. By
steps: the bare run with its events kept; with the digest over all of them; with every checker too,
which is what a campaign runs. Beside them the same traffic as a naive model, which knows two
providers, a timeout and one retry, and nothing else: on trio with its own MockClock, and on simpy
if that is installed. They say what the event loop alone costs, not what this engine should cost.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import importlib.util
import pstats
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import trio
import trio.testing

from benchmarks.report import Record, record, report
from understudy_actors.runtime.ports import Randomness
from understudy_sim.check import ALL, Reference, Rules, check
from understudy_sim.run import Run
from understudy_sim.scenario import Scenario, parse
from understudy_sim.world import run

RATE: Final = 50.0
MEDIAN_S, SIGMA = 0.8, 0.4
TIMEOUT_S: Final = 10.0
FAILING: Final = 0.1
TARGET: Final = 10_000.0
"""Simulated requests a second and core, with trace and digest on, that we would like to reach."""


def scenario(requests: int) -> Scenario:
    """Two providers; for the middle third of the time a tenth of the first one's answers fail."""
    horizon_s = requests / RATE
    return parse(
        {
            "name": "benchmark",
            "seed": 1,
            "horizon": horizon_s,
            "clients": [
                {"name": "web", "arrivals": {"kind": "poisson", "rate": RATE}, "deadline": 30}
            ],
            "fleet": [
                {
                    "name": name,
                    "latency": {"kind": "lognormal", "median": MEDIAN_S, "sigma": SIGMA},
                    "tokens_per_s": None,
                }
                for name in ("alpha", "beta")
            ],
            "faults": [
                {
                    "kind": "status",
                    "from": horizon_s / 3,
                    "until": horizon_s * 2 / 3,
                    "share": FAILING,
                    "selector": {"provider": "alpha"},
                }
            ],
            "engine": {
                "strategy": "priority",
                "providers": {
                    "alpha": {"priority": 1, "timeout": TIMEOUT_S, "concurrency": 500},
                    "beta": {"priority": 2, "timeout": TIMEOUT_S, "concurrency": 500},
                },
            },
        }
    )


def engine_alone(document: Scenario) -> int:
    """Run it and keep the events; returns how many requests there were."""
    return len(run(document).requests)


def with_digest(document: Scenario) -> int:
    """The same with the digest over all events."""
    ran = run(document)
    assert ran.semantic_digest
    return len(ran.requests)


def with_checkers(document: Scenario) -> int:
    """What a campaign runs: events, digest, every monitor and the reference model."""
    ran = run(document)
    assert ran.semantic_digest
    assert not _violations(ran)
    return len(ran.requests)


def _violations(ran: Run) -> list[Any]:
    return check(ran.events, (*ALL, Reference), rules=Rules.of(ran.scenario.config))


def naive(document: Scenario) -> Callable[[], int]:
    """The same traffic on trio's own clock: arrivals, a latency, a timeout, one failover."""
    waits, latencies, failing = _draws(document)

    async def ask(number: int) -> None:
        for attempt in range(2):
            with trio.move_on_after(TIMEOUT_S):
                await trio.sleep(latencies[number])
                if attempt or not failing[number]:
                    return

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number, wait_s in enumerate(waits):
                await trio.sleep(wait_s)
                nursery.start_soon(ask, number)

    def once() -> int:
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
        return len(waits)

    return once


def naive_simpy(document: Scenario) -> Callable[[], int]:
    """The same model on simpy, which has no tasks, no cancellation and no event loop."""
    simpy: Any = importlib.import_module("simpy")
    waits, latencies, failing = _draws(document)

    def ask(world: Any, number: int) -> Any:
        for attempt in range(2):
            answer = world.timeout(latencies[number])
            yield answer | world.timeout(TIMEOUT_S)
            if answer.triggered and (attempt or not failing[number]):
                return

    def arrive(world: Any) -> Any:
        for number, wait_s in enumerate(waits):
            yield world.timeout(wait_s)
            world.process(ask(world, number))

    def once() -> int:
        world = simpy.Environment()
        world.process(arrive(world))
        world.run()
        return len(waits)

    return once


def _draws(document: Scenario) -> tuple[list[float], list[float], list[bool]]:
    """Gaps between arrivals, latencies, and whose first attempt fails: drawn before the clock."""
    from understudy_sim.latency import Lognormal, draw

    arrived = [each.arrived_at for each in run(document).requests]
    waits = [b - a for a, b in zip([0.0, *arrived], arrived, strict=False)]
    chance = Randomness(1).uniform
    spread = Lognormal(MEDIAN_S, SIGMA)
    latencies = [draw(spread, chance("latency", n)) for n in range(len(waits))]
    failing = [
        len(waits) / 3 < n < len(waits) * 2 / 3 and chance("fails", n) < FAILING
        for n in range(len(waits))
    ]
    return waits, latencies, failing


def per_second(once: Callable[[], int], rounds: int) -> float:
    """Requests for each second of this process's CPU time: the median of several rounds."""
    once()  # warm up
    rates = []
    for _ in range(rounds):
        gc.collect()
        started = time.process_time()
        requests = once()
        rates.append(requests / (time.process_time() - started))
    return statistics.median(rates)


def measure(requests: int, rounds: int) -> tuple[list[Record], str]:
    """All records, and what could not be measured and why."""
    document = scenario(requests)
    bare = per_second(naive(document), rounds)
    records = [record("naive model on trio, MockClock", bare, "requests/s")]
    skipped = ""
    if importlib.util.find_spec("simpy") is None:
        skipped = "; simpy: skipped, it is not installed (pip install simpy)"
    else:
        rate = per_second(naive_simpy(document), rounds)
        records.append(record("naive model on simpy", rate, "requests/s", baseline=bare))
    for case, once in (
        ("engine, events kept", engine_alone),
        ("engine, events and digest", with_digest),
        ("engine, events, digest and all checkers", with_checkers),
    ):
        rate = per_second(lambda once=once: once(document), rounds)  # type: ignore[misc]
        records.append(record(case, rate, "requests/s", baseline=bare))
    events = len(run(document).events) / requests
    records.append(record("events a request", events, "events"))
    return records, skipped


def profile(requests: int) -> None:
    """Where the time of a checked run goes, by function."""
    document = scenario(requests)
    with cProfile.Profile() as profiler:
        with_checkers(document)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer requests and rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--profile", action="store_true", help="where the time goes")
    options = parser.parse_args()
    size, rounds = (1_000, 3) if options.quick else (5_000, 5)
    if options.profile:
        profile(size)
    else:
        records, skipped = measure(size, rounds)
        note = f"value: simulated requests for each CPU second; goal {TARGET:,.0f} with digest"
        report("simulate", records, as_json=options.json, note=note + skipped)
