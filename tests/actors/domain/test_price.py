"""Costs are exact to the micro-USD, rounded up; no usage costs more than its worst case."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import ModuleType
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, strategies as st

from understudy_actors.domain import price as real
from understudy_actors.domain.result import Usage

tokens = st.integers(0, 10**6)
mills = st.integers(0, 10**5).map(lambda thousandths: thousandths / 1000)
parts = ("cached_input", "reasoning", "cache_write", "image_input")
some = st.fixed_dictionaries({f"{part}_per_mtok": st.none() | mills for part in parts})
usages = st.builds(
    Usage,
    input_tokens=tokens,
    output_tokens=tokens,
    cached_tokens=tokens,
    reasoning_tokens=tokens,
    cache_write_tokens=tokens,
    image_tokens=tokens,
    images=st.integers(0, 9),
)


@st.composite
def prices(draw: st.DrawFn, module: ModuleType) -> Any:
    """Any price, with up to three tiers."""
    bounds = sorted(draw(st.sets(st.integers(0, 10**6), max_size=3)))
    tiers = tuple(module.Tier(each, draw(mills), draw(mills), **draw(some)) for each in bounds)
    return module.Price(
        draw(mills),
        draw(mills),
        request_usd=draw(st.sampled_from([0.0, 0.002, 0.0000007])),
        image_usd=draw(st.sampled_from([0.0, 0.02, 0.0000003])),
        tiers=tiers,
        **draw(some),
    )


def exact_micro_usd(price: Any, usage: Usage) -> Fraction:
    """The cost, from the decimal prices that were written down, token by token."""
    rate = price
    for tier in price.tiers:
        if usage.input_tokens > tier.above_tokens:
            rate = tier
    left, total = usage.input_tokens, Fraction(0)

    def pay(count: int, own: float | None, other: float) -> None:
        nonlocal total
        total += count * Fraction(str(other if own is None else own))

    for count, own in (
        (usage.cached_tokens, rate.cached_input_per_mtok),
        (usage.cache_write_tokens, rate.cache_write_per_mtok),
        (usage.image_tokens, rate.image_input_per_mtok),
    ):
        if own is not None:
            pay(min(count, left), own, 0.0)
            left -= min(count, left)
    pay(left, None, rate.input_per_mtok)
    thoughts = min(usage.reasoning_tokens, usage.output_tokens)
    pay(thoughts, rate.reasoning_per_mtok, rate.output_per_mtok)
    pay(usage.output_tokens - thoughts, None, rate.output_per_mtok)
    fixed = Fraction(str(price.request_usd)) + usage.images * Fraction(str(price.image_usd))
    return total + fixed * 1_000_000


def check_costs(module: ModuleType) -> None:
    """Raise unless a cost is the exact one, rounded up to a micro-USD."""

    @given(prices(module), usages)
    def costs(price: Any, usage: Usage) -> None:
        micro, exact = module.cost_micro_usd(price, usage), exact_micro_usd(price, usage)
        assert micro - 1 < exact <= micro

    costs()


def check_worst(module: ModuleType) -> None:
    """Raise unless no usage within its bounds costs more than the worst case."""

    @given(prices(module), usages, tokens, tokens, st.integers(0, 9))
    def bounds(price: Any, usage: Usage, more: int, longer: int, drawn: int) -> None:
        worst = module.worst_micro_usd(
            price, usage.input_tokens + more, usage.output_tokens + longer, usage.images + drawn
        )
        assert exact_micro_usd(price, usage) <= worst

    bounds()


def check_payable(module: ModuleType) -> None:
    """Raise unless so many tokens are paid for, and not one more."""

    @given(prices(module), st.integers(0, 10**9), tokens, st.integers(0, 3))
    def payable(price: Any, amount: int, given_tokens: int, images: int) -> None:
        found = module.payable_output_tokens(price, amount, given_tokens, images)
        if found is None:
            assert module.worst_micro_usd(price, given_tokens, 10**9, images) <= amount
        elif found < 0:
            assert module.worst_micro_usd(price, given_tokens, 0, images) > amount
        else:
            assert module.worst_micro_usd(price, given_tokens, found, images) <= amount
            assert module.worst_micro_usd(price, given_tokens, found + 1, images) > amount

    payable()


def check_edges(module: ModuleType) -> None:
    """Raise unless each part costs its own, and tiers begin behind the token that they name."""
    for part, usage in {
        "cached_input": Usage(100, cached_tokens=100),
        "cache_write": Usage(100, cache_write_tokens=100),
        "image_input": Usage(100, image_tokens=100),
        "reasoning": Usage(0, 100, reasoning_tokens=100),
    }.items():
        price = module.Price(1.0, 1.0, **{f"{part}_per_mtok": 7.0})
        assert module.cost_micro_usd(price, usage) == 700
        assert module.worst_micro_usd(price, usage.input_tokens, usage.output_tokens) == 700
    tiers = (module.Tier(100, 3.0, 0.0), module.Tier(200, 5.0, 0.0))
    tiered = module.Price(1.0, 0.0, tiers=tiers)
    costs = [module.cost_micro_usd(tiered, Usage(each)) for each in (100, 101, 200, 201)]
    assert costs == [100, 303, 600, 1005]
    worst = [module.worst_micro_usd(tiered, each, 0) for each in (100, 101, 201)]
    assert worst == [100, 303, 1005]
    unknown = module.Price(1.0, 2.0, known_to_tokens=100)
    assert module.cost_micro_usd(unknown, Usage(100, 1)) == 102
    assert module.cost_micro_usd(unknown, Usage(101, 1)) is None
    assert module.expected_usd(unknown, 101, 1) is None


def check_expected(module: ModuleType) -> None:
    """Raise unless what is expected is what nothing cached costs."""

    @given(prices(module), tokens, tokens, st.integers(0, 9))
    def expected(price: Any, given_tokens: int, made: int, images: int) -> None:
        plain = msgspec.structs.replace(price, reasoning_per_mtok=None)
        usage = Usage(given_tokens, made, images=images)
        found = module.expected_usd(price, given_tokens, made, images) * 1e6
        assert found == pytest.approx(float(exact_micro_usd(plain, usage)), rel=1e-9, abs=1e-6)

    expected()


LAWS: Final = (check_edges, check_worst, check_costs, check_payable, check_expected)


@pytest.mark.parametrize("law", LAWS)
def test_prices_keep_the_law(law: Callable[[ModuleType], None]) -> None:
    law(real)


def test_a_float_that_is_a_hair_too_much_costs_no_micro_usd_more() -> None:
    assert real.cost_micro_usd(real.Price(0.1), Usage(30)) == 3
    assert real.cost_micro_usd(real.Price(0.15, 0.6), Usage(1000, 500)) == 450


@pytest.mark.parametrize(
    ("price", "output", "tokens_matter"),
    [
        (real.Price(), False, False),
        (real.Price(request_usd=1.0, image_usd=1.0), False, False),
        (real.Price(1.0), False, True),
        (real.Price(cached_input_per_mtok=1.0), False, True),
        (real.Price(0.0, 1.0), True, True),
        (real.Price(reasoning_per_mtok=1.0), True, True),
        (real.Price(tiers=(real.Tier(10, 0.0, 1.0),)), True, True),
    ],
)
def test_a_price_says_what_it_depends_on(
    price: real.Price, output: bool, tokens_matter: bool
) -> None:
    assert (price.charges_output, price.by_tokens) == (output, tokens_matter)
