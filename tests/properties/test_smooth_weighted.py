"""Smooth weighted round robin against what its history says, in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from types import ModuleType
from typing import Any

from hypothesis import given, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.actors.dispatcher.made import many, spec, view
from understudy_actors.dispatcher.strategies import shares

WEIGHTS = st.sampled_from([0.5, 1.0, 1.0, 2.0, 3.0, 100.0])
COUNT = 4
Pick = tuple[dict[int, Fraction], int]


def credits_of(history: list[Pick]) -> dict[int, Fraction]:
    """What everybody is owed after these picks: shares of each, less the picks themselves."""
    owed = dict.fromkeys(range(COUNT), Fraction(0))
    for weights, winner in history:
        total = sum(weights.values())
        for index, weight in weights.items():
            owed[index] += weight / total
        owed[winner] -= 1
    return owed


def smooth_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """Picks among any that are present, with weights that change."""

    class AnySetAnyWeights(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.strategy: Any = module.SmoothWeighted()
            self.all = many(COUNT)
            self.history: list[Pick] = []
            self.stretch = 0  # where the last stretch with a fixed set and weights began

        @rule(
            present=st.sets(st.integers(0, COUNT - 1), min_size=1),
            times=st.integers(1, 12),
        )
        def pick(self, present: set[int], times: int) -> None:
            here = [self.all[index] for index in sorted(present)]
            weights = {c.index: Fraction(c.spec.weight) for c in here}
            if not self.history or self.history[-1][0] != weights:
                self.stretch = len(self.history)
            owed = credits_of(self.history)
            for _ in range(times):
                ranked = self.strategy.rank(here, view())
                winner = ranked[0].index
                total = sum(weights.values())
                due = {index: owed[index] + weights[index] / total for index in weights}
                assert float(max(due.values()) - due[winner]) < 1e-9, "it was another one's turn"
                self.history.append((weights, winner))
                owed |= due
                owed[winner] -= 1

        @rule(index=st.integers(0, COUNT - 1), weight=WEIGHTS)
        def reweigh(self, index: int, weight: float) -> None:
            candidate = self.all[index]
            candidate.spec = spec(candidate.spec.provider, weight=weight)

        @invariant()
        def nobody_is_far_from_its_share(self) -> None:
            stretch = self.history[self.stretch :]
            if not stretch:
                return
            weights = stretch[0][0]
            total = sum(weights.values())
            for index, weight in weights.items():
                share, ahead = float(weight / total), 0.0
                for _, winner in reversed(stretch):
                    ahead += (winner == index) - share
                    assert abs(ahead) < COUNT

        @invariant()
        def credits_sum_to_nothing(self) -> None:
            assert abs(math.fsum(self.strategy._credit.values())) < 1e-6

    return AnySetAnyWeights


def check_shares(module: ModuleType) -> None:
    """Raise unless each full cycle gives everybody exactly its share."""

    @settings(database=None, max_examples=50)
    @given(st.lists(st.integers(1, 7), min_size=1, max_size=5))
    def exact(weights: list[int]) -> None:
        tier = many(len(weights))
        for each, weight in zip(tier, weights, strict=True):
            each.spec = spec(each.spec.provider, weight=float(weight))
        strategy = module.SmoothWeighted()
        for _ in range(3):
            winners = [strategy.rank(tier, view())[0].index for _ in range(sum(weights))]
            assert [winners.count(index) for index in range(len(weights))] == weights

    exact()
    tier, strategy = many(3), module.RoundRobin()
    tier[0].spec = spec("p0", weight=50.0)
    winners = [strategy.rank(tier, view())[0].index for _ in range(9)]
    assert winners == [0, 1, 2] * 3, "round robin knows no weights"


def test_turns_are_what_the_history_says() -> None:
    run_state_machine_as_test(
        smooth_machine(shares),
        settings=settings(max_examples=40, stateful_step_count=15, deadline=None),
    )


def test_every_full_cycle_gives_exact_shares() -> None:
    check_shares(shares)


def test_turns_are_spread_as_evenly_as_they_can_be() -> None:
    tier = many(3)
    for each, weight in zip(tier, (5.0, 1.0, 1.0), strict=True):
        each.spec = spec(each.spec.provider, weight=weight)
    strategy = shares.SmoothWeighted()
    assert "".join(strategy.rank(tier, view())[0].name[1] for _ in range(7)) == "0010200"


def test_a_heavy_one_that_leaves_leaves_no_debts_to_the_light_ones() -> None:
    tier = many(3)
    tier[2].spec = spec("p2", weight=100.0)
    strategy = shares.SmoothWeighted()
    while strategy.rank(tier, view())[0].index != 0:
        pass
    winners = [strategy.rank(tier[:2], view())[0].index for _ in range(10)]
    assert 4 <= winners.count(0) <= 6
