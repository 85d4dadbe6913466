"""A run that gets nowhere is ended and told apart from one that is done; it never hangs."""

from __future__ import annotations

import gc
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest
import trio

from understudy_sim.ports import Sim
from understudy_sim.progress import COLLECT_EVERY, Unstoppable
from understudy_sim.simulation import simulate

Main = Callable[[Sim], Awaitable[None]]


async def wait_for_ever(sim: Sim) -> None:
    await trio.sleep(3.0)
    await trio.Event().wait()


async def wait_for_ever_shielded(sim: Sim) -> None:
    with trio.CancelScope(shield=True):
        await trio.Event().wait()


async def spin(sim: Sim) -> None:
    while True:
        await trio.lowlevel.checkpoint()


async def spin_shielded(sim: Sim) -> None:
    with trio.CancelScope(shield=True):
        await spin(sim)


async def spin_on_timers(sim: Sim) -> None:
    def again() -> None:
        sim.time.at(0.0, again)

    again()
    await trio.sleep_forever()


async def spin_in_tiny_sleeps(sim: Sim) -> None:
    while True:  # noqa: ASYNC110
        await trio.sleep(1e-9)


async def tick(sim: Sim) -> None:
    while True:  # noqa: ASYNC110
        await trio.sleep(1.0)


async def tick_shielded(sim: Sim) -> None:
    with trio.CancelScope(shield=True):
        await tick(sim)


@pytest.mark.parametrize(
    ("main", "progress"),
    [
        (wait_for_ever, "deadlock"),
        (wait_for_ever_shielded, "deadlock"),
        (spin, "livelock"),
        (spin_shielded, "livelock"),
        (spin_on_timers, "livelock"),
        (spin_in_tiny_sleeps, "livelock"),
        (tick, "horizon"),
        (tick_shielded, "horizon"),
    ],
)
def test_what_gets_nowhere_is_ended_and_named(main: Main, progress: str) -> None:
    cleaned = []

    async def tidy(sim: Sim) -> None:
        try:
            await main(sim)
        finally:
            cleaned.append(True)

    done = simulate(tidy, seed=0, horizon_s=1000.0, steps_max=2000)
    assert (done.progress, done.result) == (progress, None)
    assert cleaned, "it was cancelled, and could clean up"


def test_a_deadlock_is_noticed_when_it_happens() -> None:
    assert simulate(wait_for_ever, seed=0).ended_at_s == 3.0


def test_the_horizon_is_where_it_was_set_and_a_run_before_it_is_done() -> None:
    async def nap(sim: Sim) -> str:
        await trio.sleep(999.0)
        return "rested"

    assert simulate(tick, seed=0, horizon_s=10.5).ended_at_s == 10.5
    done = simulate(nap, seed=0, horizon_s=1000.0)
    assert (done.progress, done.result) == ("done", "rested")


def test_many_steps_over_enough_virtual_time_are_no_livelock() -> None:
    async def busy(sim: Sim) -> None:
        for _ in range(1000):
            await trio.sleep(0.01)

    assert simulate(busy, seed=0, steps_max=500).progress == "done"
    assert simulate(busy, seed=0, steps_max=50).progress == "livelock"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_refuses_to_be_cancelled_raises_and_the_next_run_is_unharmed() -> None:
    stubborn = True

    async def refuse(sim: Sim) -> None:
        while stubborn:
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                continue

    with pytest.raises(Unstoppable, match="catches"):
        simulate(refuse, seed=0, steps_max=2000)
    stubborn = False
    gc.collect()
    assert simulate(wait_for_ever, seed=0).progress == "deadlock"


def test_an_exception_reaches_the_caller_as_it_was_raised() -> None:
    async def fail(sim: Sim) -> None:
        raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        simulate(fail, seed=0)


def test_an_exception_after_the_end_says_what_the_end_was() -> None:
    async def fail_late(sim: Sim) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("late")

    with pytest.raises(KeyError) as caught:
        simulate(fail_late, seed=0)
    assert caught.value.__notes__ == ["raised after the simulation had been ended: deadlock"]


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_off_during_a_run_and_as_before_after_it(enabled: bool) -> None:
    async def look(sim: Sim) -> bool:
        return gc.isenabled()

    was = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        assert simulate(look, seed=0).result is False
        assert gc.isenabled() is enabled
        assert gc.get_freeze_count() == 0
    finally:
        (gc.enable if was else gc.disable)()


def test_garbage_is_collected_at_the_same_step_of_every_run() -> None:
    async def litter(sim: Sim) -> list[int]:
        died: list[int] = []
        step = 0

        class Cycle:
            def __init__(self) -> None:
                self.me = self

            def __del__(self) -> None:
                died.append(step)

        for step in range(COLLECT_EVERY * 2):
            if step % 5000 == 1:
                Cycle()
            await trio.lowlevel.checkpoint()
        return died

    first, second = (simulate(litter, seed=0).result for _ in range(2))
    assert first
    assert second
    assert first[:4] == second[:4] == [first[0]] * 4


def test_a_long_run_looks_at_its_past_once() -> None:
    looked: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            looked.append(info["generation"])

    async def busy(sim: Sim) -> None:
        gc.callbacks.append(note)
        for _ in range(COLLECT_EVERY * 3):
            await trio.lowlevel.checkpoint()
        gc.callbacks.remove(note)

    simulate(busy, seed=0)
    assert looked == [1, 1, 1], "a full collection would look at all that was kept so far, again"


def test_abandoned_generators_are_finalized_alike() -> None:
    async def abandon(sim: Sim) -> list[int]:
        ended: list[int] = []

        async def numbers(which: int) -> AsyncGenerator[int, None]:
            try:
                yield which
            finally:
                ended.append(which)

        for which in range(20):
            async for _ in numbers(which):
                break
            await trio.lowlevel.checkpoint()
        return ended

    with pytest.warns(ResourceWarning):
        assert simulate(abandon, seed=0).result == simulate(abandon, seed=0).result


def test_a_run_inside_trio_is_refused() -> None:
    async def main() -> None:
        simulate(wait_for_ever, seed=0)

    with pytest.raises(RuntimeError, match="from within trio"):
        trio.run(main)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_that_does_not_fit_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        simulate(wait_for_ever, seed=seed)
