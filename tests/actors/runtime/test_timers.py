"""Timers fire in order of time, then of setting, and nobody turns the wheel for nothing."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given, settings, strategies as st

from tests.actors.runtime.world import TrioClock
from understudy_actors.runtime import timers as real_timers
from understudy_actors.runtime.timers import TimerWheel


@attrs.define
class Expected:
    at_s: int
    nth: int
    gone: bool = False


steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 99), st.sampled_from(["", "raise", "again"])),
        st.tuples(st.just("set many"), st.integers(2, 12), st.sampled_from(["", "raise"])),
        st.tuples(st.just("cancel"), st.integers(0, 30), st.just("")),
        st.tuples(st.just("cancel most"), st.integers(2, 5), st.just("")),
        st.tuples(st.just("turn"), st.integers(0, 40), st.just("")),
    ),
    max_size=60,
)


class CountingClock(TrioClock):
    """Fails a pump that spins."""

    looked = 0

    def now(self) -> float:
        self.looked += 1
        assert self.looked < 100, "the pump spins"
        return super().now()


def check_timers(module: ModuleType) -> None:
    """Raise if `module` has no proper wheel."""

    @settings(database=None)
    @given(steps)
    def wheel(program: list[tuple[str, int, str]]) -> None:
        errors: list[Exception] = []
        wheel, now_s = module.TimerWheel(errors.append), 0
        model: list[Expected] = []
        handles: list[Any] = []
        fired: list[int] = []
        raised = 0

        def set_timer(at_s: int, manner: str) -> None:
            nth = len(model)

            def callback() -> None:
                fired.append(nth)
                model[nth].gone = True
                if manner == "again":
                    set_timer(at_s, "")
                if manner == "raise":
                    raise ValueError(nth)

            model.append(Expected(at_s, nth))
            handles.append(wheel.at(float(at_s), callback))

        for step, number, manner in program:
            if step == "set":
                set_timer(now_s + number - 2, manner)
                raised += manner == "raise"
            elif step == "set many":
                for nth in range(number):
                    set_timer(now_s + nth * 5 % 17, manner)
                    raised += manner == "raise"
            elif step == "cancel" and handles:
                handles[number % len(handles)].cancel()
                model[number % len(handles)].gone = True
            elif step == "cancel most":
                for each in model:
                    if each.nth % number:
                        handles[each.nth].cancel()
                        each.gone = True
            elif step == "turn":
                now_s += number
                due = [each for each in model if not each.gone and each.at_s <= now_s]
                before = len(model)
                fired.clear()
                wheel.fire_due(float(now_s))
                due += [each for each in model[before:] if each.at_s <= now_s]
                assert fired == [each.nth for each in sorted(due, key=lambda e: (e.at_s, e.nth))]
            alive = [each.at_s for each in model if not each.gone]
            assert len(wheel) == len(alive)
            assert wheel.next_at() == min(alive, default=math.inf)
            assert len(wheel._heap) <= 2 * len(alive) + 1, "cancelled timers pile up"
        assert len(errors) <= raised

    async def pump() -> None:
        clock, fired = CountingClock(), list[tuple[str, float]]()
        wheel = module.TimerWheel(list[Exception]().append)

        def note(name: str) -> Any:
            return lambda: fired.append((name, trio.current_time()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wheel.run, clock)
            await trio.sleep(1)
            wheel.at(11.0, note("late"))
            await trio.sleep(1)
            wheel.at(5.0, note("early"))  # before the one that it sleeps for
            wheel.at(5.0, note("early too"))
            wheel.at(3.0, note("never")).cancel()
            wheel.at(1.0, note("past"))
            await trio.sleep(1000)
            assert fired == [("past", 2), ("early", 5), ("early too", 5), ("late", 11)]
            nursery.cancel_scope.cancel()

    wheel()
    with_limit = trio.testing.MockClock(autojump_threshold=0)
    trio.run(pump, clock=with_limit)


def test_timers_fire_in_order_and_the_pump_sleeps_in_between() -> None:
    check_timers(real_timers)


def test_a_timer_needs_a_time() -> None:
    with pytest.raises(ValueError, match="nan"):
        TimerWheel(list[Exception]().append).at(math.nan, lambda: None)


async def test_time_that_rounds_to_nothing_does_not_make_the_pump_spin() -> None:
    class Coarse(CountingClock):
        def now(self) -> float:
            return super().now() + 1e-17 - 1e9  # an offset that swallows short times

    fired: list[bool] = []
    clock = Coarse()
    wheel = TimerWheel(list[Exception]().append)
    wheel.at(clock.now() + 0.1, lambda: fired.append(True))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wheel.run, clock)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert fired


def test_an_exit_leaves_the_wheel_whole() -> None:
    wheel, fired = TimerWheel(list[Exception]().append), list[int]()

    def leave() -> None:
        raise KeyboardInterrupt

    wheel.at(1.0, leave)
    wheel.at(1.0, lambda: fired.append(1))
    with pytest.raises(KeyboardInterrupt):
        wheel.fire_due(1.0)
    wheel.fire_due(1.0)
    assert fired == [1]
