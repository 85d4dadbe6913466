"""The vendors that speak OpenAI's format: where each is asked, and with which header."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import pytest

from tests.engine.adapters.wire import COMPATIBLE, OPENAI, example, target
from understudy.adapters.base import Target
from understudy.adapters.openai_replies import chat_usage
from understudy.adapters.openai_requests import Dialect
from understudy.adapters.registry import Registry
from understudy.config import KINDS, Config, check, parse, resolve_address
from understudy.config.kinds import OPTIONS
from understudy.secret import Secret
from understudy.transport.http import HttpRequest
from understudy_actors.domain.errors import ConfigError
from understudy_actors.domain.request import Request

ENVIRON = {
    "CLOUDFLARE_ACCOUNT_ID": "acc",
    "AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com/",
}
ADDRESSES = {
    "openai": "https://api.openai.com/v1/chat/completions",
    "groq": "https://api.groq.com/openai/v1/chat/completions",
    "mistral": "https://api.mistral.ai/v1/chat/completions",
    "deepseek": "https://api.deepseek.com/chat/completions",
    "xai": "https://api.x.ai/v1/chat/completions",
    "together": "https://api.together.ai/v1/chat/completions",
    "openrouter": "https://openrouter.ai/api/v1/chat/completions",
    "cloudflare": "https://api.cloudflare.com/client/v4/accounts/acc/ai/v1/chat/completions",
    "huggingface": "https://router.huggingface.co/v1/chat/completions",
    "azure": "https://mine.openai.azure.com/openai/v1/chat/completions",
    "azure-deployments": "https://mine.openai.azure.com/openai/deployments/a%2Fb/chat/completions"
    "?api-version=2024-10-21",
    "ollama": "http://127.0.0.1:11434/v1/chat/completions",
    "llamacpp": "http://127.0.0.1:8080/v1/chat/completions",
    "vllm": "http://127.0.0.1:8000/v1/chat/completions",
    "lmstudio": "http://127.0.0.1:1234/v1/chat/completions",
}
CHECKS = {
    "cloudflare": "https://api.cloudflare.com/client/v4/accounts/acc/ai/models/search?per_page=1",
    "azure-deployments": "https://mine.openai.azure.com/openai/models?api-version=2024-10-21",
}
SPEAKERS = {name for name, each in KINDS.items() if each.adapter.startswith("openai")}


def configured(name: str) -> Config:
    return parse({"providers": {name: {"models": ["a/b"]}}})


def of(name: str, **fields: Any) -> Target:
    """Where a provider of a kind is asked, as it is without further configuration."""
    base_url = resolve_address(name, configured(name).providers[name], ENVIRON)
    options = dict(KINDS[name].dialect)
    known = {"base_url": base_url, "model": "a/b", "options": options, "key": Secret("k3y")}
    return target(name, **{**known, **fields})


def built(name: str) -> HttpRequest:
    adapter = OPENAI if KINDS[name].adapter == "openai" else COMPATIBLE
    return adapter.build(Request.chat("hi", max_tokens=9), of(name))


def test_every_vendor_is_tried_here() -> None:
    assert {*ADDRESSES, "openai-compatible"} == SPEAKERS


@pytest.mark.parametrize("name", ADDRESSES)
def test_each_is_asked_at_its_own_address_with_its_own_header(name: str) -> None:
    request = built(name)
    assert request.url == ADDRESSES[name]
    azure = name.startswith("azure")
    assert request.headers.get("api-key") == ("k3y" if azure else None)
    assert request.headers.get("authorization") == (None if azure else "Bearer k3y")


@pytest.mark.parametrize("name", ADDRESSES)
def test_each_is_checked_for_free(name: str) -> None:
    expected = CHECKS.get(name, ADDRESSES[name].replace("/chat/completions", "/models"))
    assert COMPATIBLE.check(of(name)).url == expected


def test_hugging_face_is_asked_as_documented() -> None:
    expected = example("huggingface.chat.request")
    to = of(
        "huggingface",
        model=expected["body"]["model"],
        key=Secret("hf_test"),
        options={"body": {"stream": False}},
    )
    request = COMPATIBLE.build(Request.chat("hi"), to)
    assert request.url == f"https://{expected['host']}{expected['path']}"
    assert request.headers["authorization"] == expected["headers"]["authorization"]
    assert msgspec.json.decode(request.body) == expected["body"]


def test_every_option_of_an_adapter_can_be_configured() -> None:
    settable = {*OPTIONS["openai"], *OPTIONS["openai_compatible"]}
    assert settable == {*Dialect.__struct_fields__, "body"}
    assert {*OPTIONS} == {*Registry().names}
    for name, types in OPTIONS.items():
        if types and not name.startswith("openai"):
            told = sys.modules[type(Registry().get(name).make({})).__module__].__doc__ or ""
            assert all(f"`{option}`" in told for option in types), name


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"max_tokens_fields": "x"}, r"options\.max_tokens_fields` is no option of its kind"),
        ({"send_user": "yes"}, r"options\.send_user` is \"yes\".*type bool"),
    ],
)
def test_an_option_that_is_none_is_refused_by_its_name(
    options: dict[str, Any], problem: str
) -> None:
    config = parse({"providers": {"groq": {"models": ["m"], "options": options}}})
    with pytest.raises(ConfigError, match=problem):
        check(config, strategies=("priority", config.strategy))


def test_together_wants_a_pictures_sides_apart() -> None:
    asked = Request.image("a cube", size="512x256")
    body = msgspec.json.decode(COMPATIBLE.build(asked, of("together")).body)
    assert (body["width"], body["height"]) == (512, 256)
    assert body["response_format"] == "base64"
    assert "size" not in body


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        ({"cost": 0.0000123}, 13),
        ({"cost": 0.000012}, 12),
        ({"cost": 0}, 0),
        ({"cost": 0.5, "is_byok": True}, None),
        ({"cost": -1}, None),
        ({"cost": 1e300}, None),
        ({"cost": True}, None),
        ({"cost": "0.5"}, None),
        ({}, None),
    ],
)
def test_what_a_router_says_that_it_cost_is_kept(usage: Any, told: int | None) -> None:
    counts = {"prompt_tokens": 1, "completion_tokens": 2, **usage}
    found = chat_usage({"usage": counts})
    assert found is not None
    assert found.told_micro_usd == told


@pytest.mark.parametrize("value", ["", " ", "x?y", "no address"])
def test_an_address_that_the_environment_lacks_or_spoils_is_a_configuration_error(
    value: str,
) -> None:
    provider = configured("azure").providers["azure"]
    with pytest.raises(ConfigError, match=r"providers\.azure\.base_url"):
        resolve_address("azure", provider, {"AZURE_OPENAI_ENDPOINT": value})


def test_an_address_of_ones_own_needs_no_variable() -> None:
    written = {"models": ["m"], "base_url": "https://box/{CLOUDFLARE_ACCOUNT_ID}", "key": "env:K"}
    config = parse({"providers": {"cloudflare": written}})
    found = resolve_address("cloudflare", config.providers["cloudflare"], {})
    assert found == written["base_url"]
