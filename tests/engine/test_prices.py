"""Prices are facts or unknown, and money is exact to the micro-USD, rounded up."""

from __future__ import annotations

import re
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given, strategies as st

from understudy.prices import (
    IMAGE_TOKENS,
    MESSAGE_TOKENS,
    bundled_table,
    cost_micro_usd,
    cost_usd,
    estimate_tokens,
    estimate_usd,
    lookup,
    read_table,
)
from understudy_actors.domain.candidate import Price
from understudy_actors.domain.request import ImagePart, Message, Request, TextPart, Tool, ToolCall
from understudy_actors.domain.result import Usage

tokens = st.integers(0, 10**7)
mills = st.integers(0, 10**5).map(lambda thousandths: thousandths / 1000)
prices = st.builds(Price, mills, mills, st.none() | mills, st.sampled_from([0.0, 0.002]))
usages = st.builds(Usage, tokens, tokens, tokens)


def exact_usd(price: Price, usage: Usage) -> Fraction:
    """The cost, from the decimal prices that were written down."""

    def usd(count: int, per_mtok: float) -> Fraction:
        return count * Fraction(str(per_mtok)) / 1_000_000

    cached = min(usage.cached_tokens, usage.input_tokens)
    given = price.cached_input_per_mtok
    return (
        usd(usage.input_tokens - cached, price.input_per_mtok)
        + usd(cached, price.input_per_mtok if given is None else given)
        + usd(usage.output_tokens, price.output_per_mtok)
        + Fraction(str(price.request_usd))
    )


@given(prices, usages)
def test_a_cost_is_the_exact_one_rounded_up_to_a_micro_usd(price: Price, usage: Usage) -> None:
    micro = cost_micro_usd(price, usage)
    exact = exact_usd(price, usage) * 1_000_000
    assert micro - 1 < exact <= micro
    assert cost_usd(price, usage) == micro / 1e6


@given(prices, usages, tokens)
def test_more_tokens_never_cost_less(price: Price, usage: Usage, more: int) -> None:
    larger = msgspec.structs.replace(usage, output_tokens=usage.output_tokens + more)
    assert cost_micro_usd(price, larger) >= cost_micro_usd(price, usage)


def test_a_float_that_is_a_hair_too_much_costs_no_micro_usd_more() -> None:
    assert cost_micro_usd(Price(0.1), Usage(30)) == 3
    assert estimate_usd(Price(0.15, 0.6), 1000, 500) == 0.00045


def test_a_price_is_found_by_its_id_with_a_date_or_without() -> None:
    mini = Price(0.75, 4.5, 0.075)
    assert lookup("openai", "gpt-5.4-mini") == mini
    assert lookup("openai", "gpt-5.4-mini-2026-03-17") == mini
    assert lookup("anthropic", "claude-haiku-4-5-20251001") == Price(1.0, 5.0, 0.1)
    assert lookup("cohere", "command-a-03-2025") == Price(2.5, 10.0)


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("openai", "gpt-99"),
        ("openai", "gpt-5.4-mini-turbo"),
        ("anthropic", "gpt-5.4-mini"),
        ("openai_compatible", "gpt-5.4-mini"),
        ("openai", ""),
    ],
)
def test_an_unknown_price_is_unknown(kind: str, model: str) -> None:
    assert lookup(kind, model) is None
    assert bundled_table().facts(kind, model) is None


def test_the_table_has_a_date_a_source_and_plausible_rows() -> None:
    table = bundled_table()
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", table.as_of)
    assert table.source
    assert len(table.models) >= 50
    for facts in table.models.values():
        price = facts.price
        assert 0 < price.input_per_mtok <= 100
        assert 0 <= price.output_per_mtok <= 100
        cached = price.cached_input_per_mtok
        assert cached is None or 0 < cached <= price.input_per_mtok
        assert facts.context_tokens is None or facts.context_tokens >= 8000
    known = table.facts("anthropic", "claude-haiku-5-5")
    assert known is not None
    assert (known.context_tokens, known.max_output_tokens) == (1_000_000, 128_000)


def test_a_table_of_another_format_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="providers"):
        read_table(b'{"as_of": "", "source": "", "unit": ""}')


@given(st.text())
def test_an_estimate_is_a_third_of_the_bytes_rounded_up(text: str) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    third = (size + 2) // 3
    assert estimate_tokens(Request.embed(text)) == third
    assert estimate_tokens(Request.image(text)) == third
    assert estimate_tokens(Request.chat(text)) == third + MESSAGE_TOKENS


def test_an_estimate_counts_pictures_tools_calls_and_schemas() -> None:
    picture = ImagePart("data:image/png;base64," + "A" * 10_000)
    seen = Request.chat([Message("user", (TextPart("abc"), picture))])
    assert estimate_tokens(seen) == 1 + IMAGE_TOKENS + MESSAGE_TOKENS
    plain = estimate_tokens(Request.chat("abc"))
    assert estimate_tokens(Request.chat("abc", tools=(Tool("f", "x" * 300),))) > plain + 100
    assert estimate_tokens(Request.chat("abc", json_schema={"x": "y" * 300})) > plain + 100
    call = Message("assistant", tool_calls=(ToolCall("c", "f", "x" * 300),))
    assert estimate_tokens(Request.chat([call])) > 100
    assert estimate_tokens(Request.chat("abc", json_schema={"x": object()})) == plain
    assert estimate_tokens(Request.custom("mine", 1)) == 0
