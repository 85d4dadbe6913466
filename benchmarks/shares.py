"""Where the time of a simulated request goes, as a page in Markdown.

What follows a run (digest, checkers) is timed by itself. The run is sampled: where it stands is
noted at regular intervals of its CPU time, which costs next to nothing and so distorts nothing.
What Python's own library does counts for whoever calls it.
"""

from __future__ import annotations

import dis
import gc
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Final, TypeAlias

from msgspec import Struct

from benchmarks import naive
from benchmarks.report import versions
from understudy_sim.check import ALL, Reference, Rules, check
from understudy_sim.digest import digest
from understudy_sim.scenario import Scenario
from understudy_sim.world import run

ELSEWHERE: Final = "setting up and the rest"
LOOP: Final = "handing events to monitors"
INTERVAL_S: Final = 0.001
SAMPLES: Final = 2500
_RESUME: Final = dis.opmap["RESUME"]


class Part(Struct, frozen=True):
    """A part of the program: what is in one of these `places`, pieces of paths."""

    name: str
    does: str
    places: tuple[str, ...]


PARTS: Final = (
    Part(
        "events",
        "numbering, keeping and handing on; permits and scores put into words",
        ("runtime/trace.py", "provider/telling.py", "world.py", "domain/events.py"),
    ),
    Part(
        "virtual time and schedule",
        "timers, jumps, order of tasks, watch over progress",
        tuple(
            f"understudy_sim/{each}.py"
            for each in ("clock", "control", "progress", "parking", "pin", "simulation", "ports")
        ),
    ),
    Part(
        "world: clients",
        "arrivals, requests, records",
        tuple(
            f"understudy_sim/{each}.py"
            for each in ("players", "arrivals", "asking", "run", "latency", "workload")
        ),
    ),
    Part(
        "world: providers",
        "reading bytes, faults, service times, answers as bytes",
        ("understudy_sim/",),
    ),
    Part(
        "engine: adapters",
        "bytes of requests, parsing of answers, usage",
        ("understudy/adapters/",),
    ),
    Part(
        "engine: routing",
        "validation, loop over candidates, attempt, settlement, explain record, prices",
        ("engine/understudy/",),
    ),
    Part(
        "engine: actors",
        "ranking, permits, breakers, health, limits, turns",
        ("actors/understudy_actors/",),
    ),
    Part("trio", "tasks, cancel scopes, passes of its loop", ("/trio/", "/outcome/", "outcome._")),
)


Costs: TypeAlias = dict[str, float]


def page(document: Scenario, rounds: int, goal: float, samples: int = SAMPLES) -> str:
    """The page, for `goal` simulated requests a second."""
    run(document)  # warm up
    ran = run(document)
    events, requests = ran.events, len(ran.requests)
    run_us = _least(lambda: run(document), rounds)
    parts = {name: share * run_us / requests for name, share in _sampled(document, samples).items()}
    digest_us = _least(lambda: digest(events), rounds) / requests
    families = _families(events, Rules.of(document.config), rounds, requests)
    drawn = naive.draws(requests)
    bare_us = _least(lambda: naive.on_trio(drawn), rounds) / requests
    rows = [(name, us, does) for name, does, us in _named(parts)]
    rows += [("digest", digest_us, "events as lines of JSON, hashed")]
    rows += [(name, us, does) for name, does, us in families]
    return _written(rows, len(events) / requests, 1e6 / goal, bare_us)


def _written(
    rows: Sequence[tuple[str, float, str]], events: float, goal_us: float, bare_us: float
) -> str:
    total = sum(us for _, us, _ in rows)
    after = sum(us for name, us, _ in rows if name.startswith(("digest", "checkers", LOOP)))
    engine = sum(us for name, us, _ in rows if name.startswith("engine"))
    trio_us = sum(us for name, us, _ in rows if name == "trio")
    verdict = "reached" if total <= goal_us else f"missed by a factor of {total / goal_us:.1f}"
    table = "\n".join(
        f"| {name} | {us:.1f} | {100 * us / total:.0f} % | {does} |" for name, us, does in rows
    )
    largest, most_us, _ = max(rows, key=lambda row: row[1])
    share = 100 * most_us / total
    machine = ", ".join(f"{key} {value}" for key, value in versions().items())
    return f"""# Where the time of a simulated request goes

Written by `python -m benchmarks.simulate --profile docs/simulation-speed.md`; {machine}.
CPU microseconds a request on one core of a machine that others used too: read shares first.

The goal is {1e6 / goal_us:,.0f} simulated requests a second and core with trace, digest and all
checkers on, which is {goal_us:.0f} µs a request. Measured: {total:.0f} µs, or {1e6 / total:,.0f} a
second. **The goal is {verdict}.**

| part | µs a request | share | what it does |
| --- | ---: | ---: | --- |
{table}
| **together** | **{total:.1f}** | 100 % | {events:.1f} events a request |

## Why

- The engine is the very one that serves traffic, with its adapters: {engine:.0f} µs a request. A
  simulation that left any of it out would prove less, so only a faster engine makes it faster.
- trio takes {trio_us:.0f} µs: a task for each request, the cancel scope of its attempt, and two
  passes of the loop (question, answer). A bare trio loop with `MockClock` and a naive model of one
  sleeping task a request takes {bare_us:.0f} µs by itself, more than the goal leaves for all.
  Our clock jumps in one pass where `MockClock` needs two; arrivals and latencies are timers of its
  own, without a scope or an exception.
- Digest and checkers come to {after:.0f} µs for {events:.0f} events, {after / events:.1f} µs each:
  written as a line, hashed, and shown to every monitor that asked for its kind. Without them the
  run alone would still take {total - after:.0f} µs.
- No single place is left whose removal would reach it: the largest, {largest}, is {share:.0f} %.
  simpy runs the naive model several times faster than trio does (`python -m
  benchmarks.simulate` prints both), but an engine on simpy would not be the engine that serves.

How it was measured: the run, the digest and each family of checkers by themselves, the least CPU
time of several rounds; the parts of the run by {SAMPLES:,} samples of it, at regular intervals of
CPU time, so that a share of 1 % is good to a fifth of itself.
"""


def _named(parts: Costs) -> list[tuple[str, str, float]]:
    known = {each.name: each.does for each in PARTS}
    named = [(each.name, each.does, parts.get(each.name, 0.0)) for each in PARTS]
    rest = sum(us for name, us in parts.items() if name not in known)
    return [*named, (ELSEWHERE, "opening the engine, imports, Python's own library", rest)]


def _families(
    events: Any, rules: Rules, rounds: int, requests: int
) -> list[tuple[str, str, float]]:
    """What the monitors of each module take, in microseconds a request, and the loop over all."""
    by_module: dict[str, list[Any]] = {}
    for each in (*ALL, Reference):
        by_module.setdefault(each.__module__.rpartition(".")[2], []).append(each)
    loop = _least(lambda: check(events, (), rules=rules), rounds)
    found = [(LOOP, "one look-up an event", loop / requests)]
    for name, monitors in sorted(by_module.items()):
        us = _least(lambda m=monitors: check(events, m, rules=rules), rounds)  # type: ignore[misc]
        laws = ", ".join(each.name for each in monitors)
        found.append((f"checkers: {name}", laws, max(0.0, us - loop) / requests))
    return found


def _least(once: Callable[[], object], rounds: int) -> float:
    """CPU microseconds that it takes, the least of several rounds."""
    taken: list[float] = []
    for _ in range(rounds):
        gc.collect()
        started = time.process_time()
        once()
        taken.append(time.process_time() - started)
    return min(taken) * 1e6


def _sampled(document: Scenario, samples: int) -> Costs:
    """Share of a run by part: where it stands at regular intervals of its CPU time."""
    found: Counter[str] = Counter()

    def look(_: int, frame: FrameType | None) -> None:
        signal.set_wakeup_fd(-1)  # trio would wake up for each
        found[whose(frame)] += 1

    before = signal.signal(signal.SIGPROF, look)
    try:
        while found.total() < samples:
            signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
            run(document)
            signal.setitimer(signal.ITIMER_PROF, 0.0)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)
    return {name: n / found.total() for name, n in found.items()}


def whose(frame: FrameType | None) -> str:
    """The part whose time has passed.

    Python looks for signals when a function begins, when a loop goes round and after a call: whose
    function has only just begun has done nothing yet, and the time was its caller's.
    """
    if frame is not None and frame.f_code.co_code[frame.f_lasti] == _RESUME:
        frame = frame.f_back
    while frame is not None:
        if (part := part_of(frame.f_code.co_filename)) is not None:
            return part
        frame = frame.f_back
    return ELSEWHERE


def part_of(path: str) -> str | None:
    """The part to which a file belongs; None for Python's own library."""
    path = path.replace("\\", "/")
    for each in PARTS:
        if any(place in path for place in each.places):
            return each.name
    return None
