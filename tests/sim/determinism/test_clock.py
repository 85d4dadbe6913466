"""Virtual time: it jumps to what is due, in order, and makes ties where a grid is set."""

from __future__ import annotations

import functools
import math

import pytest
import trio
from hypothesis import given, strategies as st

from understudy_sim.clock import EPOCH_S, JumpClock
from understudy_sim.ports import Sim
from understudy_sim.simulation import simulate

times = st.floats(min_value=0, max_value=1e6, allow_nan=False)


def wakes(at_s: list[float], quantum: float = 0.0) -> list[tuple[float, int]]:
    """When each of these sleepers woke: odd ones on trio's deadlines, even ones on our timers."""
    woke: list[tuple[float, int]] = []

    async def main(sim: Sim) -> None:
        async def sleeper(number: int, until_s: float) -> None:
            if number % 2:
                await trio.sleep_until(until_s)
            else:
                await sim.time.sleep_until(until_s)
            woke.append((trio.current_time(), number))

        async with trio.open_nursery() as nursery:
            for number, until_s in enumerate(at_s):
                nursery.start_soon(sleeper, number, until_s)

    simulate(main, seed=0, quantum=quantum)
    return woke


@given(st.lists(times, max_size=8))
def test_everybody_wakes_exactly_when_they_asked_to(at_s: list[float]) -> None:
    woke = wakes(at_s)
    assert sorted(woke) == sorted((at, number) for number, at in enumerate(at_s))
    assert [at for at, _ in woke] == sorted(at_s)


@given(st.lists(times, max_size=8), st.integers(-10, 0))
def test_on_a_grid_everybody_wakes_at_the_first_grid_point_not_before_their_time(
    at_s: list[float], exponent: int
) -> None:
    quantum = 2.0**exponent
    expected = sorted(math.ceil(at / quantum) * quantum for at in at_s)
    assert [at for at, _ in wakes(at_s, quantum)] == expected


def test_a_quantum_makes_contests_where_there_were_none() -> None:
    at_s = [0.1 + n / 1000 for n in range(0, 20, 2)]  # timers and deadlines, all apart
    assert len({at for at, _ in wakes(at_s)}) == 10
    assert len({at for at, _ in wakes(at_s, 2.0**-4)}) == 1


@pytest.mark.parametrize("quantum", [-1.0, 0.01, 3.0, math.inf, math.nan])
def test_a_quantum_that_is_no_power_of_two_is_refused(quantum: float) -> None:
    with pytest.raises(ValueError, match="power of two"):
        JumpClock(quantum_s=quantum)


@pytest.mark.parametrize("quantum", [0.0, 2.0**-7])
@pytest.mark.parametrize(("replies_first", "winner"), [(False, "timeout"), (True, "reply")])
def test_who_wins_a_tie_of_reply_and_timeout_is_a_choice(
    replies_first: bool, winner: str, quantum: float
) -> None:
    async def main(sim: Sim) -> str:
        send, receive = trio.open_memory_channel[None](0)

        async def answer() -> None:
            await sim.time.sleep_until(1.0)
            await send.send(None)  # one more hop before it is there

        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            with trio.move_on_at(1.0):
                await receive.receive()
                nursery.cancel_scope.cancel()
                return "reply"
            nursery.cancel_scope.cancel()
        return "timeout"

    done = simulate(main, seed=0, replies_first=replies_first, quantum=quantum)
    assert done.result == winner


def test_cancelled_alarms_do_not_fire_and_equal_ones_fire_in_order() -> None:
    fired: list[str] = []

    async def main(sim: Sim) -> None:
        for name in ("a", "b", "c"):
            alarm = sim.time.at(1.0, functools.partial(fired.append, name))
            if name == "b":
                alarm.cancel()
        with trio.move_on_after(0.5):
            await sim.time.sleep(100.0)
        await sim.time.sleep_until(2.0)
        alarm.cancel()
        assert trio.current_time() == 2.0

    assert simulate(main, seed=0).ended_at_s == 2.0
    assert fired == ["a", "c"]


def test_a_timer_set_by_a_timer_waits_for_the_next_pass_and_holds_up_nobody() -> None:
    fired: list[str] = []

    async def main(sim: Sim) -> list[str]:
        def again() -> None:
            fired.append("first")
            sim.time.at(0.5, lambda: fired.append("anew"))

        async def on_time() -> None:
            await sim.time.sleep_until(2.0)
            fired.append("woken in the same pass")

        sim.time.at(1.0, again)
        sim.time.at(1.5, lambda: fired.append("second"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(on_time)
            await trio.lowlevel.checkpoint()
            sim.time.freeze_all(10.0)
        await sim.time.sleep(0.0)
        return fired

    order = ["first", "second", "woken in the same pass", "anew"]
    assert simulate(main, seed=0).result == order


def test_after_a_freeze_everything_is_overdue_at_once() -> None:
    async def main(sim: Sim) -> list[float]:
        woke: list[float] = []

        async def sleeper(until_s: float) -> None:
            await trio.sleep_until(until_s)
            woke.append(trio.current_time())

        async with trio.open_nursery() as nursery:
            for until_s in (1.0, 2.0, 30.0):
                nursery.start_soon(sleeper, until_s)
            await trio.lowlevel.checkpoint()
            sim.time.freeze_all(10.0)
        return woke

    assert simulate(main, seed=0).result == [10.0, 10.0, 30.0]


def test_the_wall_clock_follows_virtual_time_and_may_be_put_wrong() -> None:
    async def main(sim: Sim) -> tuple[float, float, float]:
        await sim.time.sleep(5.0)
        right = sim.clock.wall()
        sim.clock.skew_s = -3600.0
        return right, sim.clock.wall(), sim.clock.now()

    assert simulate(main, seed=0).result == (EPOCH_S + 5.0, EPOCH_S - 3595.0, 5.0)


def test_ids_count() -> None:
    async def main(sim: Sim) -> list[str]:
        return [sim.ids.request_id() for _ in range(2)]

    assert simulate(main, seed=0).result == ["req-000001", "req-000002"]
