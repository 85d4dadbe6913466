"""Unfair schedules: one task runs ahead of others, and what they find no fair one can."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import pytest
import trio

from tests.sim.cli.house import small
from understudy_actors.runtime.ports import Randomness
from understudy_sim.check import ALL
from understudy_sim.control import Policy, Replay, Task
from understudy_sim.ports import Sim
from understudy_sim.scenario import canonical_json, from_json, parse
from understudy_sim.simulation import simulate
from understudy_sim.world import run

SEEDS = range(100)
WORK = 8
BYSTANDERS = 3


class Mistaken(Exception):
    """The planted bug showed itself."""


class Uniform:
    """Any of the ready tasks steps alone, each as likely: unfair too, without priorities."""

    def __init__(self, randomness: Randomness) -> None:
        self._bits = randomness.bits

    def arrange(self, contest: int, tasks: Sequence[Task]) -> Sequence[int]:
        return [self._bits("uniform", contest) % len(tasks)]


async def steps(count: int) -> None:
    for _ in range(count):
        await trio.lowlevel.checkpoint()


async def beside(*work: Callable[[], Awaitable[None]]) -> None:
    async with trio.open_nursery() as nursery:
        for each in work:
            nursery.start_soon(each)
        for _ in range(BYSTANDERS):
            nursery.start_soon(steps, WORK)


async def outruns_its_lease(_: Sim) -> None:
    """Depth 1: whoever works takes for granted that the other has renewed the lease by then."""
    renewed = False

    async def work() -> None:
        await steps(WORK)
        if not renewed:
            raise Mistaken

    async def renew() -> None:
        nonlocal renewed
        await steps(1)
        renewed = True

    await beside(work, renew)


async def acts_on_what_it_saw(_: Sim) -> None:
    """Depth 2: between a look and the act on it, the other does all of its work."""
    free, done = True, False

    async def act() -> None:
        saw = free
        await steps(1)
        if saw and done:
            raise Mistaken

    async def take() -> None:
        nonlocal free, done
        await steps(1)
        free = False
        await steps(WORK)
        done = True

    await beside(act, take)


def finds(main: Callable[[Sim], Awaitable[None]], policy: str) -> list[int]:
    """The seeds under which the planted bug shows."""
    found: list[int] = []
    for seed in SEEDS:
        made: Policy | str = Uniform(Randomness(seed)) if policy == "uniform" else policy
        try:
            simulate(main, seed=seed, policy=made)  # type: ignore[arg-type]
        except* Mistaken:
            found.append(seed)
    return found


def test_a_task_that_outruns_another_is_found_far_sooner_than_by_uniform_choice() -> None:
    stress, uniform = finds(outruns_its_lease, "stress"), finds(outruns_its_lease, "uniform")
    assert len(stress) >= 5 * max(1, len(uniform)), (stress, uniform)
    assert stress[0] < min([*uniform, len(SEEDS)])
    for fair in ("fifo", "shuffle", "pct"):
        assert finds(outruns_its_lease, fair) == [], "one step each: nobody is outrun"


def test_an_act_on_an_old_look_is_found_sooner_than_by_uniform_choice() -> None:
    stress, uniform = finds(acts_on_what_it_saw, "stress"), finds(acts_on_what_it_saw, "uniform")
    assert len(stress) > 2 * len(uniform), (stress, uniform)
    assert stress[0] <= min([*uniform, len(SEEDS)])
    assert finds(acts_on_what_it_saw, "shuffle") == []


def test_what_was_found_replays_and_shrinks_to_what_was_held_back() -> None:
    seed = finds(outruns_its_lease, "stress")[0]

    async def main(sim: Sim) -> bool:
        shown = False
        try:
            await outruns_its_lease(sim)
        except* Mistaken:
            shown = True
        return shown

    done = simulate(main, seed=seed, policy="stress", record=True)
    assert done.result is True
    assert {len(order) for order in done.deviations.values()} == {1}
    replay = Replay(done.deviations)
    again = simulate(main, seed=seed, policy=replay, record=True)
    assert (again.result, again.schedule_digest) == (True, done.schedule_digest)
    assert (again.deviations, replay.misfits) == (done.deviations, 0)


def test_time_stands_still_while_somebody_is_held_back() -> None:
    async def main(sim: Sim) -> list[float]:
        seen: list[float] = []

        async def look(count: int) -> None:
            for _ in range(count):
                seen.append(sim.clock.now())
                await trio.lowlevel.checkpoint()

        async def later() -> None:
            await sim.time.sleep(1.0)
            seen.append(sim.clock.now())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(later)
            for count in (1, 5, 9):
                nursery.start_soon(look, count)
        return seen

    for seed in range(20):
        assert simulate(main, seed=seed, policy="stress").result == [0.0] * 15 + [1.0]


@pytest.mark.parametrize("policy", ["fifo", "stress"])
def test_everybody_steps_as_often_as_before(policy: str) -> None:
    async def main(sim: Sim) -> int:
        taken = 0

        async def count() -> None:
            nonlocal taken
            for _ in range(50):
                await trio.lowlevel.checkpoint()
                taken += 1

        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(count)
        return taken

    assert simulate(main, seed=3, policy=policy).result == 300  # type: ignore[arg-type]


def test_whoever_spins_does_not_keep_the_others_waiting_for_ever() -> None:
    async def main(_: Sim) -> None:
        over = False

        async def spin() -> None:
            while not over:
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(spin)
            nursery.start_soon(spin)
            await steps(3)
            over = True

    for seed in range(30):
        assert simulate(main, seed=seed, policy="stress").progress == "done"


def test_the_engine_keeps_its_laws_under_stress() -> None:
    table = {"policy": "stress", "quantum": 2.0**-5}
    for seed in range(5):
        document = small(
            schedule=table, seed=seed, client={"arrivals": {"kind": "poisson", "rate": 8}}
        )
        assert from_json(canonical_json(document)) == document
        ran = run(document, monitors=ALL)
        assert ran.contests > 10
        assert (ran.progress, ran.violations) == ("done", [])
    assert parse(document).schedule.policy == "stress"
