"""What the adapter tests share: recorded-looking examples, targets, and responses made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from understudy.adapters.anthropic import AnthropicAdapter
from understudy.adapters.base import Target
from understudy.adapters.bedrock import BedrockAdapter
from understudy.adapters.bfl import BflAdapter
from understudy.adapters.cloudflare import CloudflareAdapter
from understudy.adapters.cohere import CohereAdapter
from understudy.adapters.fal import FalAdapter
from understudy.adapters.family import StreamingFamily
from understudy.adapters.gemini import GeminiAdapter
from understudy.adapters.ollama import OllamaAdapter
from understudy.adapters.openai import OpenAIAdapter
from understudy.adapters.openai_requests import Dialect
from understudy.adapters.raw_pictures import PollinationsAdapter
from understudy.adapters.replicate import ReplicateAdapter
from understudy.adapters.stability import StabilityAdapter
from understudy.secret import Secret
from understudy.transport.http import HttpResponse
from understudy_actors.domain.request import Request

EXAMPLES: Final = Path(__file__).parents[2] / "wire_examples"
WALL_S: Final = 1_795_132_800.0  # 2026-11-20T00:00:00Z
KEY: Final = "sk-test"

WireAdapterUnderTest: TypeAlias = OpenAIAdapter | AnthropicAdapter | StreamingFamily

OPENAI: Final = OpenAIAdapter()
COMPATIBLE: Final = OpenAIAdapter("openai_compatible", Dialect())
ANTHROPIC: Final = AnthropicAdapter()
FAMILIES: Final[dict[str, Any]] = {
    "openai": OPENAI,
    "anthropic": ANTHROPIC,
    "gemini": GeminiAdapter(),
    "cohere": CohereAdapter(),
    "ollama": OllamaAdapter(),
    "cloudflare": CloudflareAdapter(),
    "bedrock": BedrockAdapter(),
    "stability": StabilityAdapter(),
    "replicate": ReplicateAdapter(),
    "fal": FalAdapter(),
    "bfl": BflAdapter(),
    "pollinations": PollinationsAdapter(),
}
"""Whose files of examples begin with these words; all others are for the compatible wire."""
CHAT: Final = Request.chat("hi")


def example(name: str) -> Any:
    """The JSON document of a file of examples."""
    return msgspec.json.decode((EXAMPLES / f"{name}.json").read_bytes())


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    """A response with a JSON body."""
    return HttpResponse(status, headers or {}, msgspec.json.encode(body))


def error_response(name: str) -> HttpResponse:
    """The response of an example of an error."""
    given = example(name)
    return answer(given["body"], given["status"], given["headers"])


def adapter_for(name: str) -> Any:
    """The adapter that reads an example, by its file's name."""
    if ".openai-" in name:
        return COMPATIBLE
    return FAMILIES.get(name.partition(".")[0], COMPATIBLE)


def target(provider: str = "openai", **fields: Any) -> Target:
    """Where a test's request goes."""
    known = {"model": "gpt-5.4-mini", "base_url": "https://api.openai.com/v1", "key": Secret(KEY)}
    if provider == "anthropic":
        known |= {"model": "claude-haiku-5-5", "base_url": "https://api.anthropic.com"}
    return Target(provider=provider, **{**known, **fields})
