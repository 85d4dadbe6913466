"""Prices are facts or unknown, and estimates are rather too high than too low."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from understudy.prices import (
    IMAGE_TOKENS,
    MESSAGE_TOKENS,
    bundled_table,
    estimate_tokens,
    lookup,
    read_table,
)
from understudy_actors.domain.price import Price, cost_micro_usd, expected_usd
from understudy_actors.domain.request import ImagePart, Message, Request, TextPart, Tool, ToolCall
from understudy_actors.domain.result import Usage


def test_a_price_is_found_by_its_id_with_a_date_or_without() -> None:
    mini = Price(0.75, 4.5, 0.075)
    assert lookup("openai", "gpt-5.4-mini") == mini
    assert lookup("openai", "gpt-5.4-mini-2026-03-17") == mini
    haiku = Price(1.0, 5.0, 0.1, cache_write_per_mtok=1.25)
    assert lookup("anthropic", "claude-haiku-4-5-20251001") == haiku
    assert lookup("xai", "grok-imagine-image") == Price(image_usd=0.02)
    picture = Price(5.0, 30.0, image_input_per_mtok=8.0)
    assert lookup("openai", "gpt-image-2") == picture
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
        assert 0 < price.input_per_mtok + price.image_usd <= 100
        assert 0 <= price.output_per_mtok <= 100
        cached = price.cached_input_per_mtok
        assert cached is None or 0 < cached <= price.input_per_mtok
        assert facts.context_tokens is None or facts.context_tokens >= 8000
    known = table.facts("anthropic", "claude-haiku-5-5")
    assert known is not None
    assert (known.context_tokens, known.max_output_tokens) == (1_000_000, 128_000)


def test_long_prompts_have_no_price_where_a_second_one_was_not_written_down() -> None:
    sol = lookup("openai", "gpt-6.1-sol")
    assert sol is not None
    assert cost_micro_usd(sol, Usage(128_000)) == 256_000
    assert cost_micro_usd(sol, Usage(128_001)) is None
    assert expected_usd(sol, 128_001, 1) is None


@pytest.mark.parametrize(("hours", "days"), [(-5000, 0), (0, 0), (23.9, 0), (24, 1), (2160, 90)])
def test_a_table_ages_by_whole_days(hours: float, days: int) -> None:
    table = replace(bundled_table(), as_of="2026-10-21")
    assert table.age_days(datetime(2026, 10, 21, tzinfo=UTC).timestamp() + hours * 3600) == days


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
