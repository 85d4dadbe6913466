"""The kit catches a strategy that breaks its laws, and says which; the built-in ones keep them."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Sequence
from typing import ClassVar

import attrs
import pytest

from understudy_actors.dispatcher.strategies import BUILT_IN
from understudy_actors.dispatcher.strategies.base import View
from understudy_actors.domain.candidate import Candidate
from understudy_sim.testing import LawBroken, verify_strategy

Ranked = Sequence[Candidate]
DECLARED = {"weighted": "weight", "random": "weight", "round_robin": "equal"}


class Loyal:
    """Whoever served last serves again."""

    name = "loyal"

    def rank(self, candidates: Ranked, view: View) -> Ranked:
        return sorted(candidates, key=lambda c: (-c.picked, c.index))


class Twice(Loyal):
    def rank(self, candidates: Ranked, view: View) -> Ranked:
        return [candidates[0], *candidates]


class InsteadOf(Loyal):
    def rank(self, candidates: Ranked, view: View) -> Ranked:
        return [candidates[0], *candidates[:-1]]


class Forgetful(Loyal):
    def rank(self, candidates: Ranked, view: View) -> Ranked:
        return [c for c in candidates if c.in_flight < 7] or candidates


class Inventive(Loyal):
    def rank(self, candidates: Ranked, view: View) -> Ranked:
        return [attrs.evolve(c) for c in candidates]


class Ambient(Loyal):
    def rank(self, candidates: Ranked, view: View) -> Ranked:
        return sorted(candidates, key=lambda _: random.random())


class ByAddress(Loyal):
    def rank(self, candidates: Ranked, view: View) -> Ranked:
        return sorted(candidates, key=id)


class ByTime(Loyal):
    def rank(self, candidates: Ranked, view: View) -> Ranked:
        turn = time.perf_counter_ns() // 1000 % len(candidates)
        return [*candidates[turn:], *candidates[:turn]]


class ByClass(Loyal):
    """Its memory is not its own but all instances'."""

    turns = itertools.count()

    def rank(self, candidates: Ranked, view: View) -> Ranked:
        turn = next(self.turns) % 7 % len(candidates)
        return [*candidates[turn:], *candidates[:turn]]


class Meddling(Loyal):
    def rank(self, candidates: Ranked, view: View) -> Ranked:
        candidates[0].in_flight += 1
        return candidates


class Vaccinating(Loyal):
    def rank(self, candidates: Ranked, view: View) -> Ranked:
        candidates[-1].health.on_ok(view.now, view.now, 0.1)  # type: ignore[attr-defined]
        return candidates


class InPlace(Loyal):
    def rank(self, candidates: Ranked, view: View) -> Ranked:
        candidates.sort(key=lambda c: c.index)  # type: ignore[attr-defined]
        return candidates


class Fragile(Loyal):
    def rank(self, candidates: Ranked, view: View) -> Ranked:
        return sorted(candidates, key=lambda c: c.spec.price.input_per_mtok)  # type: ignore[union-attr]


class IgnoresWeights(Loyal):
    shares = "weight"

    def rank(self, candidates: Ranked, view: View) -> Ranked:
        return sorted(candidates, key=lambda c: (c.picked, c.index))


class IgnoresItsOwn(Loyal):
    """It names its shares, and goes by the configured order."""

    shares: ClassVar = {"alpha": 9.0, "beta": 1.0}

    def rank(self, candidates: Ranked, view: View) -> Ranked:
        return candidates


BREAKERS: list[tuple[type, str]] = [
    (Twice, "permutation"),
    (InsteadOf, "permutation"),
    (Forgetful, "permutation"),
    (Inventive, "permutation"),
    (Ambient, "depends on the arguments alone"),
    (ByAddress, "depends on the arguments alone"),
    (ByTime, "depends on the arguments alone"),
    (ByClass, "depends on the arguments alone"),
    (Meddling, "never changed"),
    (Vaccinating, "never changed"),
    (InPlace, "raises nothing"),
    (Fragile, "raises nothing"),
    (IgnoresWeights, "shared out as the strategy declares"),
    (IgnoresItsOwn, "shared out as the strategy declares"),
]


@pytest.mark.parametrize(
    ("strategy", "law"), BREAKERS, ids=lambda each: getattr(each, "__name__", "")
)
def test_a_strategy_that_breaks_a_law_is_told_which(strategy: type, law: str) -> None:
    with pytest.raises(LawBroken, match=law) as told:
        verify_strategy(strategy)
    assert law in told.value.law
    assert told.value.what, "and how"


def test_a_duplicate_is_named() -> None:
    with pytest.raises(LawBroken, match=r"p0/m stands 2 times in its order of 1 candidates"):
        verify_strategy(Twice)


def test_a_strategy_that_keeps_the_laws_passes_as_class_instance_and_factory() -> None:
    verify_strategy(Loyal, seeds=(1,))
    verify_strategy(Loyal(), worlds=False)
    verify_strategy(lambda: Loyal(), worlds=False)


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_built_in_strategies_keep_their_laws(name: str) -> None:
    verify_strategy(BUILT_IN[name], shares=DECLARED.get(name), seeds=(7,))


def test_what_is_no_strategy_is_told_so() -> None:
    with pytest.raises(LawBroken, match="`rank"):
        verify_strategy(object)  # type: ignore[arg-type]


def test_shares_must_be_something_that_can_be_shared() -> None:
    with pytest.raises(ValueError, match="above 0"):
        verify_strategy(Loyal, shares={"alpha": 0.0}, worlds=False)


class Lying:
    """Breaks its law only in traffic: after two hundred calls."""

    name = "lying"

    def __init__(self) -> None:
        self.calls = 0

    def rank(self, candidates: Ranked, view: View) -> Ranked:
        self.calls += 1
        return [*candidates, *candidates] if self.calls > 200 else candidates


def test_what_only_traffic_brings_to_light_is_found_in_a_world() -> None:
    verify_strategy(Lying, worlds=False)
    with pytest.raises(LawBroken, match="permutation"):
        verify_strategy(Lying)


def test_global_random_states_are_put_back() -> None:
    random.seed(5)
    expected = random.Random(5).random()
    verify_strategy(Loyal, worlds=False)
    assert random.random() == expected
