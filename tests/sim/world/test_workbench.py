"""Laws of servers and buckets; they also have to catch faults planted in the code."""

from __future__ import annotations

import functools
import heapq
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeAlias

import pytest
from hypothesis import Phase, example, given, settings, strategies as st

from tests.support.mutants import Mutant
from understudy_sim import buckets, workbench
from understudy_sim.fleet import Limits, Provider
from understudy_sim.ports import Sim
from understudy_sim.simulation import simulate

Law: TypeAlias = Callable[[ModuleType], None]
Jobs: TypeAlias = Sequence[tuple[float, int]]
quickly = settings(max_examples=25, phases=(Phase.explicit, Phase.generate), database=None)
jobs = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 9)), min_size=1, max_size=12)
"""Gaps between arrivals, and service times."""


def served(
    module: ModuleType,
    work: Jobs,
    servers: Callable[[float], int | None],
    leaves: dict[int, float] | None = None,
) -> tuple[list[float | None], int]:
    """When each job was done, and how many were worked on at once."""
    ends: list[float | None] = [None] * len(work)
    most = 0

    async def main(sim: Sim) -> None:
        nonlocal most
        bench = module.Workbench(sim.time, sim.clock.now, lambda: servers(sim.clock.now()))

        def done(number: int) -> Callable[[], None]:
            return lambda: ends.__setitem__(number, sim.clock.now())

        for number, (gap, service_s) in enumerate(work):
            await sim.time.sleep(gap)
            job = module.Job(float(service_s), done(number))
            bench.add(job)
            if leaves and number in leaves:
                sim.time.at(sim.clock.now() + leaves[number], functools.partial(bench.drop, job))
            most = max(most, bench.busy)
        await sim.time.sleep(500.0)
        assert bench.busy == 0, "every server is free in the end"
        assert bench.waiting == 0

    simulate(main, seed=0)
    return ends, most


def first_come_first_served_on_so_many_servers(module: ModuleType) -> None:
    @given(work=jobs, servers=st.integers(1, 3))
    @quickly
    def check(work: Jobs, servers: int) -> None:
        ends, most = served(module, work, lambda _: servers)
        free, now, expected = [0.0] * servers, 0.0, []
        for gap, service_s in work:
            now += gap
            end = max(now, heapq.heappop(free)) + service_s
            heapq.heappush(free, end)
            expected.append(end)
        assert ends == pytest.approx(expected, abs=1e-6)
        assert most <= servers

    check()


def without_a_bound_nobody_waits(module: ModuleType) -> None:
    work = [(0, 5)] * 30
    ends, most = served(module, work, lambda _: None)
    assert ends == [5.0] * 30
    assert most == 30


def who_leaves_frees_a_server_and_is_never_done(module: ModuleType) -> None:
    work = [(0, 8), (0, 8), (0, 8)]
    assert served(module, work, lambda _: 1, {0: 2.0})[0] == [None, 10.0, 18.0]
    assert served(module, work, lambda _: 1, {1: 2.0})[0] == [8.0, None, 16.0]
    assert served(module, work, lambda _: 1, {0: 50.0, 1: 50.0})[0] == [8.0, 16.0, 24.0]


def lost_servers_are_waited_for(module: ModuleType) -> None:
    ends, _ = served(module, [(0, 2), (0, 2), (0, 2)], lambda now: 0 if now < 10 else 1)
    assert [end is not None and abs(end - (12 + 2 * n)) < 0.6 for n, end in enumerate(ends)] == [
        True
    ] * 3
    ends, _ = served(module, [(0, 2), (3.1, 2)], lambda now: 0 if now < 3.05 else 1)
    assert ends[0] is not None
    assert ends[1] == ends[0] + 2, "nobody is overtaken by who comes when a server is back"
    ends, most = served(module, [(0, 2)] * 4, lambda now: 4 if now < 1 else 1)
    assert ends == [2.0] * 4, "what is begun is finished"
    assert most == 4


LAWS: list[Law] = [
    first_come_first_served_on_so_many_servers,
    without_a_bound_nobody_waits,
    who_leaves_frees_a_server_and_is_never_done,
    lost_servers_are_waited_for,
]


def planted(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "understudy_sim.workbench", old, new)


MUTANTS = [
    planted("one server too many", "(self.busy < servers and not", "(self.busy <= servers and not"),
    planted(
        "newcomers jump the queue", "self.busy < servers and not self._queue", "self.busy < servers"
    ),
    planted(
        "last come first served",
        "self._begin(self._queue.popleft())",
        "self._begin(self._queue.pop())",
    ),
    planted(
        "nobody is next", "        self.busy -= 1\n        self._next()", "        self.busy -= 1"
    ),
    planted(
        "a server is lost",
        "            job.timer.cancel()\n            self._freed()",
        "            job.timer.cancel()",
    ),
    planted("the work of who left goes on", "            job.timer.cancel()\n", ""),
    planted(
        "who left keeps a place", "                self._queue.remove(job)", "                pass"
    ),
    planted("a job is done twice free", "job.dropped = True  # from here", "pass  # from here"),
    planted(
        "nobody looks again", "        if self._looking:\n            return", "        return"
    ),
    planted(
        "looks only once",
        "        self._looking = False\n        self._next()",
        "        self._next()",
    ),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law(law: Law) -> None:
    law(workbench)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_the_laws_catch(mutant: Mutant) -> None:
    assert mutant.caught_by(LAWS, BaseExceptionGroup), f"no law noticed that {mutant}"


def a_bucket_never_gives_more_than_its_rate(module: ModuleType) -> None:
    @given(
        rate=st.floats(6, 600),
        gaps=st.lists(st.floats(0, 20), min_size=3, max_size=40),
        amount=st.integers(1, 5),
    )
    @example(rate=600.0, gaps=[20.0, *[0.0] * 15], amount=1)
    @quickly
    def check(rate: float, gaps: list[float], amount: int) -> None:
        limits = Limits(tokens_per_min=rate, requests_per_min=60.0, burst_s=10.0)
        meters = module.meters(Provider(name="a", limits=limits), 100.0)
        now, taken = 100.0, list[float]()
        for gap in gaps:
            now += gap
            wait_s = meters.wait_s(amount, now)
            if wait_s == 0:
                taken.append(now)
                for count, since in enumerate(reversed(taken), 1):
                    spent = min(amount, max(1.0, rate / 6))
                    assert count * spent <= max(1.0, rate / 6) + (now - since) * rate / 60 + 1e-6
                    assert count <= 10 + (now - since) + 1e-6
            else:
                again = module.meters(Provider(name="a", limits=limits), 100.0)
                assert again.wait_s(amount, now) == 0, "a full one lets it through"
                assert meters.wait_s(amount, now + wait_s * 0.98) > 0
                now += wait_s * 1.0001 + 1e-6
                assert meters.wait_s(amount, now) == 0, "it tells the truth"
                taken.append(now)

    check()


def requests_are_counted(module: ModuleType) -> None:
    limits = Limits(requests_per_min=60.0, burst_s=3.0)
    meters = module.meters(Provider(name="a", limits=limits), 0.0)
    assert [meters.wait_s(1000, 0.0) for _ in range(5)] == [0.0, 0.0, 0.0, 1.0, 1.0]


def credit_ends(module: ModuleType) -> None:
    meters = module.meters(Provider(name="a", credit_usd=1.0), 0.0)
    assert not meters.broke
    meters.billed_usd = 1.0
    assert meters.broke
    assert not module.meters(Provider(name="a"), 0.0).broke


BUCKET_MUTANTS = [
    Mutant(name, "understudy_sim.buckets", old, new)
    for name, old, new in (
        ("it fills by the minute", "Bucket(per_min / 60,", "Bucket(per_min,"),
        ("it has no brim", "min(self.size, self.level +", "(self.level +"),
        ("taking is free", "self.level -= min(amount, self.size)", "pass"),
        ("a refusal costs", "        if wait_s > 0:\n            return wait_s\n", ""),
        ("requests are not counted", "            self.requests.take(1)", "            pass"),
        ("credit never ends", "self.billed_usd >= self.credit_usd", "False"),
        ("it waits too long", "return missing / self.per_s", "return 2 * missing / self.per_s"),
        ("it waits too short", "return missing / self.per_s", "return missing / self.per_s / 2"),
    )
]


@pytest.mark.parametrize("mutant", [None, *BUCKET_MUTANTS], ids=str)
def test_the_laws_of_buckets(mutant: Mutant | None) -> None:
    module: Any = buckets if mutant is None else mutant.plant()
    try:
        a_bucket_never_gives_more_than_its_rate(module)
        requests_are_counted(module)
        credit_ends(module)
    except AssertionError:
        assert mutant is not None
        return
    assert mutant is None, f"no law noticed that {mutant}"
