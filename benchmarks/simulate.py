"""How fast a simulation runs: `python -m benchmarks.simulate [--quick] [--json] [--profile FILE]`.

Simulated requests for each second of CPU time on one core, the engine opened as in production. By
steps: the bare run with its events kept; with the digest over all of them; with every checker too,
which is what a campaign runs. Beside them, in the same run, the same traffic as a naive model that
knows two providers, a timeout and one retry, and nothing else (`benchmarks.naive`): on a bare trio
loop with `MockClock`, and on simpy. They say what an event loop alone costs, not what this engine
should cost. At last an outage of ten minutes at 200 requests a second, with everything on; --quick
plays a tenth of it and multiplies.

--profile writes where the time goes, part by part, as a page in Markdown.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import naive, shares
from benchmarks.report import Record, record, report
from benchmarks.traffic import OUTAGE_S, outage, steady
from understudy_sim.check import ALL, Reference, Rules, check
from understudy_sim.run import Run
from understudy_sim.scenario import Scenario
from understudy_sim.world import run

GOAL: Final = 20_000.0
"""Simulated requests a second and core, with trace, digest and checkers on, that we want."""
OUTAGE_GOAL_S: Final = 15.0
PER_SECOND: Final = "requests/s"

Once = Callable[[], int]


def engine_alone(document: Scenario) -> int:
    """Run it and keep the events; returns how many requests there were."""
    return len(run(document).requests)


def with_digest(document: Scenario) -> int:
    """The same with the digest over all events."""
    return len(_digested(document).requests)


def with_checkers(document: Scenario) -> int:
    """What a campaign runs: events, digest, every monitor and the reference model."""
    ran = _digested(document)
    found = check(ran.events, (*ALL, Reference), rules=Rules.of(document.config))
    assert not found, found[0].sentence
    return len(ran.requests)


def _digested(document: Scenario) -> Run:
    ran = run(document)
    assert ran.semantic_digest
    return ran


def per_second(once: Once, rounds: int) -> float:
    """Requests for each second of this process's CPU time: the median of several rounds."""
    once()  # warm up
    return statistics.median(_rate(once) for _ in range(rounds))


def _rate(once: Once) -> float:
    gc.collect()
    started = time.process_time()
    requests = once()
    return requests / (time.process_time() - started)


def baselines(requests: int, rounds: int) -> tuple[list[Record], str]:
    """The naive models, trio's first, and what could not be measured and why."""
    drawn = naive.draws(requests)
    expected = naive.on_trio(drawn)
    bare = per_second(lambda: naive.on_trio(drawn).requests, rounds)
    records = [record("naive model, bare trio loop with MockClock", bare, PER_SECOND)]
    if importlib.util.find_spec("simpy") is None:
        return records, "; simpy: skipped, it is not installed (pip install simpy)"
    on_simpy = naive.on_simpy()
    assert on_simpy(drawn) == expected, "the two naive models part"
    rate = per_second(lambda: on_simpy(drawn).requests, rounds)
    return [*records, record("naive model, simpy", rate, PER_SECOND, baseline=bare)], ""


def measure(requests: int, rounds: int, *, outage_part: float) -> tuple[list[Record], str]:
    """All records, and what could not be measured and why."""
    records, skipped = baselines(requests, rounds)
    bare, document = records[0].value, steady(requests)
    for case, once in (
        ("engine, events kept", engine_alone),
        ("engine, events and digest", with_digest),
        ("engine, events, digest and all checkers", with_checkers),
    ):
        rate = per_second(lambda once=once: once(document), rounds)  # type: ignore[misc]
        goal = GOAL if once is with_checkers else None
        records.append(record(case, rate, PER_SECOND, baseline=bare, goal=goal))
    records.append(record("events a request", len(run(document).events) / requests, "events"))
    down = outage(OUTAGE_S * outage_part)
    gc.collect()
    started = time.process_time()
    with_checkers(down)
    took_s = (time.process_time() - started) / outage_part
    part = "" if outage_part == 1 else f", {outage_part:g} of it"
    case = f"outage, {OUTAGE_S / 60:g} min at 200 requests/s, everything on{part}"
    records.append(record(case, took_s, "s", budget=OUTAGE_GOAL_S))
    return records, skipped


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer requests and rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="write where the time goes")
    options = parser.parse_args()
    size, rounds = (1_000, 3) if options.quick else (5_000, 5)
    if options.profile is not None:
        options.profile.write_text(shares.page(steady(size), rounds, GOAL), encoding="utf-8")
    else:
        records, skipped = measure(size, rounds, outage_part=0.1 if options.quick else 1.0)
        note = "value: simulated requests for each CPU second, unless in seconds of CPU time"
        report("simulate", records, as_json=options.json, note=note + skipped)
