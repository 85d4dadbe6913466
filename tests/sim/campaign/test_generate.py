"""A generated document is a function of its seed, valid, small, and unlike the next one."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st

from understudy_actors.runtime.ports import Randomness
from understudy_sim.dice import Dice
from understudy_sim.generate import POLICIES, QUANTA, generate
from understudy_sim.generate_faults import FAMILIES, SEQUELS
from understudy_sim.scenario import canonical_json, from_json
from understudy_sim.world import run

MANY = [generate(seed) for seed in range(200)]
seeds = st.integers(0, 2**64 - 1)


@settings(max_examples=50)
@given(seeds)
def test_every_seed_has_one_valid_document(seed: int) -> None:
    made = generate(seed)
    assert made == generate(seed)
    assert from_json(canonical_json(made)) == made
    assert made.config.providers.keys() == {each.name for each in made.fleet}


@pytest.mark.parametrize("seed", range(0, 60, 5))
def test_every_document_runs_to_its_end_and_is_small(seed: int) -> None:
    ran = run(generate(seed))
    assert ran.progress == "done"
    assert 1 <= len(ran.requests) <= 1000


@settings(max_examples=50)
@given(seeds, st.lists(st.text("abc/", max_size=5), max_size=5))
def test_a_draw_depends_on_its_name_alone(seed: int, others: list[str]) -> None:
    dice, fresh = Dice(Randomness(seed)), Dice(Randomness(seed))
    for other in others:
        dice.chance(other)
    assert dice.uniform("mine") == fresh.uniform("mine")
    assert dice.pick("mine", "abc") == fresh.pick("mine", "abc")
    assert dice.under("a").under("b").whole("c", 0, 99) == fresh.under("a/b").whole("c", 0, 99)


@given(seeds, st.floats(0.01, 10), st.floats(1, 100))
def test_draws_keep_to_their_bounds(seed: int, low: float, factor: float) -> None:
    dice, high = Dice(Randomness(seed)), low * factor
    slack = 1.01  # three digits are kept
    assert low / slack <= dice.between("x", low, high) <= high * slack
    assert low / slack <= dice.even("x", low, high) <= high * slack
    assert 3 <= dice.whole("x", 3, 5) <= 5
    assert dice.some("x", "abc")


def test_each_family_of_faults_is_in_about_half_of_the_documents() -> None:
    kinds = [{fault.kind for fault in each.faults} for each in MANY]
    for name, own in FAMILIES.items():
        share = sum(not found.isdisjoint(own) for found in kinds) / len(MANY)
        assert 0.35 < share < 0.75, name


def test_in_some_documents_a_fault_follows_on_another_of_the_same_target() -> None:
    following = [
        (first.kind, then.kind)
        for each in MANY
        for first in each.faults
        for then in each.faults
        if then.kind in SEQUELS
        and first.selector == then.selector
        and first.until_s is not None
        and 0.0 <= then.from_s - first.until_s <= 10.0
    ]
    assert {then for _, then in following} == set(SEQUELS)
    assert len({first for first, _ in following}) > 5


def test_all_policies_quanta_and_strategies_occur() -> None:
    assert {each.schedule.policy for each in MANY} == set(POLICIES)
    assert {each.schedule.quantum_s for each in MANY} == set(QUANTA)
    assert len({each.config.strategy for each in MANY}) == 10
    arrivals = Counter(type(c.arrivals).__name__ for each in MANY for c in each.clients)
    assert len(arrivals) == 6
    assert {len(each.fleet) for each in MANY} == {1, 2, 3, 4}
