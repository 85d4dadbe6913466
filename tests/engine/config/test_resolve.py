"""From configuration to endpoints, and what is refused on the way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.engine.config.documents import provider
from tests.engine.config.test_sections import example
from understudy.config import (
    KINDS,
    Config,
    Kind,
    address,
    chains,
    check,
    endpoints,
    parse,
    problems,
)
from understudy.config.kinds import VENDORS
from understudy_actors.domain.candidate import EndpointSpec, FreeQuota, StreamRule
from understudy_actors.domain.errors import ConfigError
from understudy_actors.domain.price import Price

STRATEGIES = ("adaptive", "priority", "cheapest", "economy", "best_quality")


def unknown(kind: str, model: str) -> None:
    """A price table that knows nothing."""


def specs(config: Config) -> dict[str, EndpointSpec]:
    """Endpoints by name."""
    return {each.name: each for each in endpoints(config, lookup=unknown, window=unknown)}


def complaints(table: dict[str, Any]) -> list[str]:
    """What is wrong with it, in words."""
    return [str(each) for each in problems(parse(table), strategies=STRATEGIES)]


def test_the_documented_example_becomes_endpoints() -> None:
    config = example()
    check(config, strategies=STRATEGIES)
    found = specs(config)
    assert list(found) == [
        "openai/gpt-5.4-nano",
        "openai/gpt-5.4-mini",
        "anthropic/claude-haiku-4-5",
        "local/stand-in",
    ]
    assert found["openai/gpt-5.4-mini"] == EndpointSpec(
        provider="openai",
        model="gpt-5.4-mini",
        operations=("chat",),
        groups=("smart", "mini"),
        priority=1,
        weight=2.5,
        quality=0.9,
        suits=("complex",),
        price=Price(0.75, 4.5, 0.075, 0.0),
        free_quota=FreeQuota(100, "day"),
        capabilities=("tools", "vision"),
        tags=("paid",),
        region="eu",
        max_context_tokens=272_000,
        max_output_tokens=128_000,
        known_output_tokens=128_000,
        max_request_tokens=100_000,
        timeout_s=60.0,
        stream=StreamRule(
            first_token_min_s=5.0,
            first_token_max_s=30.0,
            gap_min_s=3.0,
            gap_max_s=20.0,
            splice_max_chars=0,
        ),
        failure_domain="eu-west",
    )
    assert found["openai/gpt-5.4-nano"].groups == ("fast",)
    assert found["anthropic/claude-haiku-4-5"].priority == 100


def test_a_stand_in_comes_last_is_marked_and_serves_any_model() -> None:
    local = specs(example())["local/stand-in"]
    assert (local.degraded, local.priority, local.groups) == (True, 1000, ("*",))
    assert local.price == Price()


def test_a_price_comes_from_configuration_else_from_the_table_else_is_unknown() -> None:
    config = parse(
        {
            "providers": {
                "openai": {"models": [{"name": "a", "price": {"request": 0.5}}, "b", "c"]},
                "groq": {"models": ["d"], "price": {"input": 1, "output": 2}},
                "ollama": {"models": ["e"]},
            }
        }
    )
    asked: list[tuple[str, str]] = []

    def lookup(kind: str, model: str) -> Price | None:
        asked.append((kind, model))
        return Price(9.0, 9.0) if model == "b" else None

    prices = {each.model: each.price for each in endpoints(config, lookup=lookup)}
    assert prices == {
        "a": Price(0.0, 0.0, None, 0.5),
        "b": Price(9.0, 9.0),
        "c": None,
        "d": Price(1.0, 2.0),
        "e": Price(),
    }
    assert asked == [("openai", "b"), ("openai", "c")]


def test_what_is_published_fills_in_unless_the_configuration_says_otherwise() -> None:
    config = parse(
        {
            "providers": {
                **{each.name: {"models": list(each.models)} for each in VENDORS},
                "mine": {
                    "kind": "anthropic",
                    "models": [{"name": "claude-haiku-4-5", "max_context": 9}],
                },
                "box": {
                    "kind": "openai-compatible",
                    "base_url": "http://box",
                    "models": ["gpt-5.4"],
                },
            }
        }
    )
    found = {each.name: each for each in endpoints(config)}
    unpriced = [name for name, each in found.items() if each.price is None]
    assert unpriced == [
        "openrouter/openai/gpt-oss-20b",
        "huggingface/openai/gpt-oss-120b",
        "replicate/black-forest-labs/flux-schnell",
        "fal/fal-ai/flux/schnell",
        "pollinations/flux",
        "box/gpt-5.4",
    ]
    assert found["anthropic/claude-haiku-4-5"].max_context_tokens == 200_000
    assert found["mine/claude-haiku-4-5"].max_context_tokens == 9


def test_operations_are_declared_or_chained_or_go_by_the_name() -> None:
    config = parse(
        {
            "providers": {
                "openai": {
                    "models": [
                        "gpt-5.4",
                        "text-embedding-3-small",
                        "gpt-image-2",
                        {"name": "all", "operations": ["chat", "video"]},
                    ]
                }
            },
            "operations": {"summary": {"chain": ["openai/gpt-5.4"]}},
        }
    )
    assert {each.model: each.operations for each in specs(config).values()} == {
        "gpt-5.4": ("chat", "summary"),
        "text-embedding-3-small": ("embedding",),
        "gpt-image-2": ("image", "image_edit"),
        "all": ("chat", "video"),
    }


@given(st.permutations(["a/m", "a/n", "b/m", "c"]))
def test_a_chain_is_resolved_in_its_own_order(order: list[str]) -> None:
    config = parse(
        {
            "providers": {
                "a": {"kind": "openai", "models": ["m", "n"]},
                "b": {"kind": "groq", "models": ["m"]},
                "c": {"kind": "local"},
            },
            "operations": {"chat": {"chain": order}},
        }
    )
    assert chains(config)["chat"] == tuple("c/stand-in" if n == "c" else n for n in order)
    assert problems(config, strategies=STRATEGIES) == []


def test_a_models_name_may_hold_slashes_and_an_alias_names_it_too() -> None:
    config = parse(
        {
            "providers": {
                "groq": {"models": [{"name": "openai/gpt-oss-20b", "aliases": ["oss"]}]},
            },
            "groups": {"open": ["groq/openai/gpt-oss-20b"], "small": ["groq/oss"]},
        }
    )
    assert specs(config)["groq/openai/gpt-oss-20b"].groups == ("oss", "open", "small")


def test_a_function_is_a_provider() -> None:
    def answer() -> str:
        return "hello"

    config = parse({"functions": {"mine": answer}})
    assert specs(config)["mine/function"].operations == ("chat",)
    assert config.providers["mine"].function is answer
    table = {"providers": {"mine": {"kind": "function", "operations": ["summary"]}}}
    bound = parse(table, functions={"mine": answer})
    assert specs(bound)["mine/function"].operations == ("summary",)
    assert problems(bound, strategies=STRATEGIES) == []
    assert complaints(table) == [
        "`providers.mine.function` is missing: pass functions={'mine': ...} in code"
    ]


def test_a_new_kind_of_provider_is_one_row() -> None:
    kinds = {**KINDS, "mine": Kind(name="mine", adapter="mine", base_url="http://mine.test/")}
    config = parse({"providers": {"mine": {"models": ["m"]}}})
    assert problems(config, strategies=STRATEGIES, kinds=kinds) == []
    assert endpoints(config, lookup=unknown, kinds=kinds)[0].name == "mine/m"
    assert address("mine", config.providers["mine"], kinds) == "http://mine.test"
    assert address("groq", provider(), KINDS) == "https://api.groq.com/openai/v1"
    with pytest.raises(ConfigError, match=r"providers\.mine\.kind"):
        endpoints(config, lookup=unknown)


OPENAI = {"openai": {"models": ["gpt-5.4"]}}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({}, "`providers` must hold at least one provider"),
        (
            {"providers": {"openai": {"enabled": False, "models": ["m"]}}},
            "`providers` are all switched off",
        ),
        (
            {"providers": {"openai": {}}},
            '`providers.openai.models` is missing: list at least one, such as models = ["gpt-',
        ),
        ({"providers": {"opnai": {"models": ["m"]}}}, "did you mean `openai`?"),
        (
            {"providers": {"p": {"kind": "opnai", "models": ["m"]}}},
            '`providers.p.kind` is "opnai": it must be one of ',
        ),
        (
            {"providers": {"p": {"kind": "openai-compatible", "models": ["m"]}}},
            "`providers.p.base_url` is missing",
        ),
        (
            {"providers": {**OPENAI, "OpenAI": {"kind": "openai", "models": ["m"]}}},
            '`providers.OpenAI` differs from "openai" only in upper and lower case',
        ),
        (
            {"providers": {"openai": {"models": ["m"], "reply": "hi"}}},
            '`providers.openai.reply` belongs to providers of kind "local"',
        ),
        (
            {"providers": OPENAI, "strategy": "cheepest"},
            "cheapest, economy, priority (did you mean `cheapest`?)",
        ),
        (
            {"providers": OPENAI, "operations": {"chat": {"strategy": "x"}}},
            '`operations.chat.strategy` is "x"',
        ),
        ({"providers": OPENAI, "complexity": {"simple": "x"}}, '`complexity.simple` is "x"'),
        (
            {"providers": OPENAI, "operations": {"chat": {"chain": ["openai/gpt-5.5"]}}},
            '`operations.chat.chain[0]` is "openai/gpt-5.5": it must be a configured provider',
        ),
        (
            {"providers": OPENAI, "operations": {"chat": {"chain": []}}},
            "`operations.chat.chain` is empty",
        ),
        (
            {"providers": OPENAI, "operations": {"chat": {"chain": ["openai", "openai/gpt-5.4"]}}},
            '`operations.chat.chain[1]` is "openai/gpt-5.4", which is listed already',
        ),
        (
            {
                "providers": {"openai": {"models": ["m"], "operations": ["image"]}},
                "operations": {"chat": {"chain": ["openai"]}},
            },
            '`operations.chat.chain[0]` is "openai/m", whose `operations` are image',
        ),
        (
            {"providers": OPENAI, "groups": {"gpt-4.1": ["nobody/x"]}},
            '`groups."gpt-4.1"[0]` is "nobody/x"',
        ),
    ],
)
def test_what_could_not_run_is_refused(table: dict[str, Any], says: str) -> None:
    assert [each for each in complaints(table) if says in each]
    with pytest.raises(ConfigError) as caught:
        check(parse(table), strategies=STRATEGIES)
    assert says in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        check(parse({"strategy": "x", "providers": {"openai": {}}}), strategies=STRATEGIES)
    assert len(str(caught.value).splitlines()) == 2


def test_a_function_and_another_provider_cannot_share_a_name() -> None:
    with pytest.raises(ConfigError, match=r"`functions\.openai` is also a provider"):
        parse({"providers": OPENAI}, functions={"openai": len})
