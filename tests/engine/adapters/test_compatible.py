"""The vendors that speak OpenAI's format: where each is asked, and with which header."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.engine.adapters.wire import COMPATIBLE, OPENAI, example, target
from understudy.adapters.base import Target
from understudy.config import KINDS, Config, parse, resolve_address
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
