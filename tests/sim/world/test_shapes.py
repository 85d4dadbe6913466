"""How strong a fault is at a time: laws, which also have to catch faults planted in the code."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import pytest
from hypothesis import Phase, example, given, settings, strategies as st

from tests.support.mutants import Mutant
from understudy_sim import fault_kinds
from understudy_sim.faults import Injector, Schedule

Law: TypeAlias = Callable[[ModuleType], None]
quickly = settings(max_examples=60, phases=(Phase.explicit, Phase.generate), database=None)


def plain_faults_are_all_or_nothing(module: ModuleType) -> None:
    fault = module.Reset(from_s=10.0, until_s=20.0)
    assert [fault.strength(at) for at in (9.9, 10.0, 19.9, 20.0)] == [0, 1, 1, 0]
    assert module.Reset().strength(1e9) == 1
    assert (fault.over_s, module.Reset().over_s) == (20.0, None)


def it_rises_and_fades_evenly(module: ModuleType) -> None:
    fault = module.Reset(from_s=10.0, until_s=30.0, rise_s=10.0, fade_s=20.0)
    assert [fault.strength(at) for at in (10.0, 15.0, 20.0, 29.0, 30.0, 40.0, 45.0, 50.0)] == [
        0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.25, 0.0,
    ]  # fmt: skip
    assert fault.active(49.9)
    assert not fault.active(50.0)
    assert fault.over_s == 50.0


def it_is_there_for_its_duty(module: ModuleType) -> None:
    @given(
        every=st.floats(1, 60),
        duty=st.floats(0.1, 0.9),
        jitter=st.floats(0, 1),
        late=st.floats(0, 0.999),
    )
    @quickly
    def check(every: float, duty: float, jitter: float, late: float) -> None:
        fault = module.Reset(from_s=5.0, every_s=every, duty=duty, jitter=jitter)
        at = [5.0 + every * (3 + step / 500) for step in range(500)]
        on = [fault.strength(each, late) == 1 for each in at]
        assert abs(sum(on) / 500 - duty) < 0.01
        assert on.index(True) / 500 == pytest.approx(late * jitter * (1 - duty), abs=0.01)
        assert {fault.cycle(each) for each in at[1:-1]} == {3}

    check()


def it_knows_when_it_lets_go(module: ModuleType) -> None:
    @given(
        every=st.none() | st.floats(1, 60),
        until=st.none() | st.floats(20, 200),
        since=st.floats(0, 19),
        late=st.floats(0, 0.999),
    )
    @example(every=60.0, until=20.0, since=10.0, late=0.0)
    @quickly
    def check(every: float | None, until: float | None, since: float, late: float) -> None:
        fault = module.Reset(until_s=until, every_s=every, duty=0.4, jitter=0.5)
        if not fault.strength(since, late):
            return
        ends = fault.ends_in_s(since, late)
        if ends is None:
            assert every is None
            assert until is None
            return
        assert fault.strength(since + max(0.0, ends * 0.999 - 1e-6), late)
        assert not fault.strength(since + ends + 1e-6, late)

    check()


def selectors_know_whom_they_cover(module: ModuleType) -> None:
    for own, covered in (
        ({}, True),
        ({"provider": "a"}, True),
        ({"provider": "b"}, False),
        ({"region": "eu"}, True),
        ({"region": "us"}, False),
        ({"provider": "a", "region": "us"}, False),
    ):
        selector = module.Selector(**own)
        assert selector.covers("a", "eu") is covered
        facts = module.Facts(number=1, provider="a", region="eu")
        assert selector.matches(facts) is covered


LAWS: list[Law] = [
    plain_faults_are_all_or_nothing,
    it_rises_and_fades_evenly,
    it_is_there_for_its_duty,
    it_knows_when_it_lets_go,
    selectors_know_whom_they_cover,
]


def planted(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "understudy_sim.fault_kinds", old, new)


MUTANTS = [
    planted(
        "it fades at once", "strength *= 1 - (since_s - self.until_s) / self.fade_s", "strength = 0"
    ),
    planted(
        "it rises at once", "strength = (since_s - self.from_s) / self.rise_s", "strength = 1.0"
    ),
    planted(
        "it never begins to fade",
        "if self.until_s is not None and since_s >= self.until_s:",
        "if False:",
    ),
    planted("it is over before it faded", "else self.until_s + self.fade_s", "else self.until_s"),
    planted(
        "cycles count from zero",
        "int((since_s - self.from_s) / self.every_s)",
        "int(since_s / self.every_s)",
    ),
    planted("jitter is ignored", "late * self.jitter * (1 - self.duty) * every_s", "0.0"),
    planted(
        "jitter runs over",
        "late * self.jitter * (1 - self.duty) * every_s",
        "late * self.jitter * every_s",
    ),
    planted("duty is the pause", "self.duty * every_s\n", "(1 - self.duty) * every_s\n"),
    planted(
        "a cycle never ends it", "return pause if ends is None else min(pause, ends)", "return ends"
    ),
    planted(
        "an end never ends it", "return pause if ends is None else min(pause, ends)", "return pause"
    ),
    planted("regions are ignored", "and (self.region is None or self.region == facts.region)", ""),
    planted(
        "regions cover all",
        "in (None, provider) and self.region in (None, region)",
        "in (None, provider)",
    ),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law(law: Law) -> None:
    law(fault_kinds)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_the_laws_catch(mutant: Mutant) -> None:
    assert mutant.caught_by(LAWS), f"no law noticed that {mutant}"


def test_the_luck_of_a_cycle_is_drawn_for_each_and_follows_the_seed() -> None:
    fault = fault_kinds.Reset(every_s=10.0, duty=0.2, jitter=1.0)

    def begins(seed: int) -> list[int]:
        plan = Injector(Schedule(faults=(fault,)), "alpha", seed, 0.0)
        facts: Any = fault_kinds.Facts(number=1, provider="alpha")
        hit = [plan.decide(facts, step / 10).fault is not None for step in range(1000)]
        return [hit[turn : turn + 100].index(True) for turn in range(0, 1000, 100)]

    assert begins(1) == begins(1)
    assert begins(1) != begins(2)
    assert len(set(begins(1))) > 5
