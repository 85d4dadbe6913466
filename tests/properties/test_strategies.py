"""The law of a strategy, for every one that ships, and what each of them puts first."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from statistics import median_low
from types import ModuleType
from typing import Any, Final

import attrs
import pytest
from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from tests.actors.dispatcher.made import Seen, candidates, many, spec, view
from understudy_actors.dispatcher.strategies import BUILT_IN
from understudy_actors.dispatcher.strategies.base import Strategy
from understudy_actors.domain.candidate import Candidate, FreeQuota
from understudy_actors.domain.price import Price
from understudy_actors.provider.health import Health

PACKAGE: Final = "understudy_actors.dispatcher.strategies"

prices = st.none() | st.sampled_from([Price(), Price(1.0, 2.0), Price(0.1, 9.0), Price(2.0, 2.0)])


@st.composite
def a_tier(draw: st.DrawFn, least: int = 1, most: int = 7) -> list[Candidate]:
    """Candidates in any state, with many equals among them."""
    made: list[Candidate] = []
    for index in range(draw(st.integers(least, most))):
        if made and draw(
            st.sampled_from([True, False])
        ):  # alike but for the name, and for when it was picked
            twin = replace(made[-1].spec, provider=f"p{index}")
            picked = draw(st.integers(0, 3))
            made.append(attrs.evolve(made[-1], spec=twin, index=index, picked=picked))
            continue
        free = draw(st.sampled_from([None, None, 0, 3]))
        facts = spec(
            f"p{index}",
            weight=draw(st.sampled_from([0.5, 1.0, 1.0, 3.0])),
            quality=draw(st.sampled_from([0.2, 0.5, 0.9])),
            price=draw(prices),
            free_quota=None if free is None else FreeQuota(5),
        )
        seen = Seen(
            draw(st.sampled_from([None, 0.5, 1.0, 2.0, 8.0])),
            draw(st.sampled_from([0.05, 0.5, 1.0])),
        )
        made.append(
            Candidate(
                facts,
                index,
                seen,
                in_flight=draw(st.integers(0, 3)),
                ramp=draw(st.sampled_from([0.1, 0.5, 1.0, 1.0])),
                free_left=free,
                picked=draw(st.integers(0, 3)),
            )
        )
    return made


def facts_of(tier: Sequence[Candidate]) -> list[tuple[Any, ...]]:
    return [attrs.astuple(each, recurse=False) for each in tier]


def check_law(make: Callable[[], Strategy]) -> None:
    """Raise unless strategies made by `make` keep the law of strategies."""

    @settings(database=None, max_examples=40)
    @given(st.lists(a_tier(), min_size=1, max_size=4), st.integers(0, 2**64 - 1))
    def law(tiers: list[list[Candidate]], seed: int) -> None:
        one, other = make(), make()
        for turn, tier in enumerate(tiers):
            before, order = facts_of(tier), list(tier)
            ranked = list(one.rank(tier, view(seed + turn & 2**64 - 1, float(turn))))
            assert sorted(c.index for c in ranked) == [c.index for c in order], "a permutation"
            assert tier == order, "the given order was changed"
            assert facts_of(tier) == before, "a candidate was changed"
            again = other.rank(tier, view(seed + turn & 2**64 - 1, float(turn)))
            assert ranked == list(again), "the seed does not fix the order"

    law()


def prior(tier: Sequence[Candidate]) -> float:
    known = [c.health.latency for c in tier if isinstance(c.health, Seen) and c.health.latency]
    return median_low(known) if known else 1.0


def latency(candidate: Candidate, tier: Sequence[Candidate]) -> float:
    return candidate.health.latency_s(0.0, 500, prior(tier))


def price(candidate: Candidate) -> float:
    """Of 1000 tokens in and 500 out, in USD; infinite if unknown."""
    if candidate.free_left:
        return 0.0
    known = candidate.spec.price
    if known is None:
        return math.inf
    return (1000 * known.input_per_mtok + 500 * known.output_per_mtok) / 1e6 + known.request_usd


def load(candidate: Candidate) -> float:
    return candidate.in_flight / (candidate.spec.weight * candidate.ramp)


def trust(candidate: Candidate) -> float:
    return max(0.05, candidate.health.success(0.0))


def score(candidate: Candidate, tier: Sequence[Candidate]) -> float:
    share = trust(candidate) * candidate.spec.weight * candidate.ramp
    return latency(candidate, tier) * (candidate.in_flight + 1) / share


KEYS: Final[dict[str, Callable[[Candidate, Sequence[Candidate]], tuple[float, ...]]]] = {
    "Adaptive": lambda c, tier: (score(c, tier), c.picked, c.index),
    "Priority": lambda c, _: (c.index,),
    "LeastBusy": lambda c, _: (load(c), c.picked, c.index),
    "Cheapest": lambda c, tier: (price(c), latency(c, tier), c.index),
    "Fastest": lambda c, tier: (latency(c, tier) / trust(c), c.picked, c.index),
    "BestQuality": lambda c, _: (-c.spec.quality, -c.health.success(0.0), c.index),
    "Economy": lambda c, tier: (
        math.inf if price(c) == math.inf else price(c) * latency(c, tier),
        latency(c, tier),
        c.index,
    ),
}
"""What each strategy sorts by, lowest first, said once more."""


def check_keys(module: ModuleType) -> None:
    """Raise unless each strategy of `module` sorts by its key."""

    @settings(database=None, max_examples=60)
    @given(a_tier())
    def sorted_by_key(tier: list[Candidate]) -> None:
        for name, key in KEYS.items():
            if hasattr(module, name):
                ranked = getattr(module, name)().rank(tier, view())
                keys = [tuple(round(part, 9) for part in key(c, tier)) for c in ranked]
                assert keys == sorted(keys), name

    sorted_by_key()


def check_two_choices(module: ModuleType) -> None:
    """Raise unless beyond 64 candidates the better of two random ones comes first."""
    tier = many(66)
    for each in tier:
        each.health = Seen(1.0 + each.index)
    firsts = [module.Adaptive().rank(tier, view(seed))[0].index for seed in range(1500)]
    assert 65 not in firsts, "the worst came first, though it was compared with another"
    assert 0.27 < sum(firsts) / len(firsts) / 66 < 0.39, "the lower of two is a third up"
    assert set(range(30)) <= set(firsts), "somebody is never looked at"
    for each in tier:
        each.health, each.picked = Seen(1.0), each.index
    firsts = [module.Adaptive().rank(tier, view(seed))[0].index for seed in range(300)]
    assert sum(firsts) / len(firsts) / 66 < 0.42, "between equals the one picked longest ago"


def check_swapped(module: ModuleType) -> None:
    """Raise unless an order that is told on demand is the one that would be written down."""

    @settings(database=None, max_examples=100)
    @given(st.integers(1, 8), st.data())
    def as_if_written_down(count: int, data: st.DataObject) -> None:
        tier = many(count)
        best = data.draw(st.integers(0, count - 1))
        order = list(tier)
        order[0], order[best] = order[best], order[0]
        told = module.Swapped(tuple(tier), best)
        assert list(told) == list(reversed(list(reversed(told)))) == order
        assert len(told) == count
        for place in range(-count, count):
            assert told[place] is order[place]
        cut = data.draw(st.slices(count))
        assert list(told[cut]) == order[cut]
        for beyond in (count, -count - 1):
            with pytest.raises(IndexError):
                told[beyond]

    as_if_written_down()


def test_an_order_told_on_demand_is_the_one_that_would_be_written_down() -> None:
    check_swapped(importlib.import_module(f"{PACKAGE}.adaptive"))


happenings = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 5.0, 300.0]),
        st.sampled_from(["ok", "ok", "fail", "silent", "other"]),
        st.sampled_from([0.01, 1.0, 30.0]),
    ),
    max_size=25,
)


def check_score(module: ModuleType) -> None:
    """Raise if a failed attempt can make its endpoint look better."""

    @settings(database=None, max_examples=60)
    @given(happenings, st.sampled_from([0.1, 1.0, 10.0]), st.sampled_from([0.0, 0.5, 1.0]))
    def failing_never_helps(
        history: list[tuple[float, str, float]], prior_s: float, exponent: float
    ) -> None:
        health = Health()
        candidate = Candidate(spec(), 0, health)
        now = 0.0
        for gap_s, kind, elapsed_s in history:
            now += gap_s
            before = module.costs([candidate], now, 100.0, prior_s, exponent)[0]
            if kind == "ok":
                health.on_ok(now, now, elapsed_s)
            elif kind == "other":
                health.on_other(now, None)
            else:
                health.on_fail(now, now, elapsed_s if kind == "silent" else None)
                after = module.costs([candidate], now, 100.0, prior_s, exponent)[0]
                assert after >= before * (1 - 1e-12)
            assert module.costs([candidate], now, 100.0, prior_s, exponent)[0] > 0

    failing_never_helps()
    for exponent in (0.5, 1.0):
        idle, busy, heavy = candidates(spec("a"), spec("b"), spec("c", weight=2.0))
        busy.in_flight = 3
        first, second, third = module.costs([idle, busy, heavy], 0.0, 100.0, 1.0, exponent)
        assert (second, third) == (first * 4**exponent, first / 2), "load costs, weight attracts"


def check_random(module: ModuleType) -> None:
    """Raise unless chances follow the weights, over many seeds."""
    tier = many(3)
    for each, weight in zip(tier, (1.0, 2.0, 5.0), strict=True):
        each.ramp = weight / 5
    draws, firsts = 4000, [0, 0, 0]
    for seed in range(draws):
        firsts[module.WeightedRandom().rank(tier, view(seed))[0].index] += 1
    for count, chance in zip(firsts, (1 / 8, 2 / 8, 5 / 8), strict=True):
        assert abs(count - draws * chance) < 4 * math.sqrt(draws * chance * (1 - chance))


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_strategy_returns_a_permutation_that_its_seed_fixes_and_changes_nothing(
    name: str,
) -> None:
    check_law(BUILT_IN[name])
    assert BUILT_IN[name]().name == name


@pytest.mark.parametrize("module", ["plain", "adaptive"])
def test_every_sorting_strategy_sorts_by_its_key(module: str) -> None:
    check_keys(importlib.import_module(f"{PACKAGE}.{module}"))


def test_beyond_64_candidates_the_better_of_two_comes_first() -> None:
    check_two_choices(importlib.import_module(f"{PACKAGE}.adaptive"))


def test_a_failed_attempt_never_lowers_the_cost() -> None:
    check_score(importlib.import_module(f"{PACKAGE}.score"))


def test_random_chances_follow_the_weights() -> None:
    check_random(importlib.import_module(f"{PACKAGE}.shares"))


def test_cheapest_takes_free_quota_first_and_unknown_prices_last() -> None:
    tier = many(4)
    for each, cost in zip(tier, (None, Price(1, 1), Price(9, 9), Price(0.5, 0.5)), strict=True):
        each.spec = spec(each.spec.provider, price=cost)
    tier[2].free_left = 1
    ranked = BUILT_IN["cheapest"]().rank(tier, view())
    assert [c.index for c in ranked] == [2, 3, 1, 0]


def test_the_median_of_the_peers_is_taken_again_after_a_second() -> None:
    strategy, tier = BUILT_IN["fastest"](), many(3)
    tier[0].health = Seen(4.0)
    assert [c.index for c in strategy.rank(tier, view(now=0.0))] == [0, 1, 2]
    tier[0].health = Seen(3.0)
    tier[1].health = Seen(1.0)
    assert [c.index for c in strategy.rank(tier, view(now=0.5))] == [1, 0, 2], "2 counts as 4 s"
    assert [c.index for c in strategy.rank(tier, view(now=1.5))] == [1, 2, 0], "2 counts as 1 s"
