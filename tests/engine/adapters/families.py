"""What each family of adapters is tried with: requests, answers and streams."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from tests.engine.adapters.wire import EXAMPLES, FAMILIES, answer, example
from understudy.adapters.base import Reply, Target
from understudy.adapters.family import Family
from understudy.secret import Secret
from understudy.transport.http import HttpResponse
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import (
    ChatInput,
    ImagePart,
    Message,
    Request,
    TextPart,
    Tool,
    ToolCall,
)
from understudy_actors.domain.result import (
    ChatOutput,
    EmbeddingOutput,
    Image,
    ImageOutput,
    Usage,
)

PIXEL: Final[str] = example("openai.images.response")["data"][0]["b64_json"]
OSLO: Final = '{"city":"Oslo"}'
CHAT: Final = Request.chat("hi")
HELLO: Final = ChatOutput("Hello there")
NO_HEADERS: Final[dict[str, str]] = {}
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
WEATHER: Final = Tool("get_weather", "Current weather", _SCHEMA)
TEXT_SCHEMA: Final = {"type": "object", "properties": {"text": {"type": "string"}}}
KNOBS: Final[dict[str, Any]] = {
    "max_tokens": 64,
    "temperature": 0.2,
    "top_p": 0.9,
    "stop": ("END",),
    "seed": 7,
}
ASKED: Final = Message("user", "Weather in Oslo?")
BRIEFLY: Final = Message("system", "Answer briefly.")


def called(call_id: str) -> tuple[ToolCall, ...]:
    """The one function call of the examples."""
    return (ToolCall(call_id, "get_weather", OSLO),)


def shown(text: str) -> Message:
    """A user's message with a picture."""
    return Message("user", (TextPart(text), ImagePart(f"data:image/png;base64,{PIXEL}")))


class Asked(Struct, frozen=True):
    """A request, where it goes, and the example of what is to be sent."""

    request: Request
    target: Target
    example: str
    extra: dict[str, Any] = {}


def beside(request: Request, wire: str, **fields: Any) -> Request:
    """A request with fields that only one wire format has."""
    assert isinstance(request.input, ChatInput)
    return replace(request, input=replace(request.input, extra={wire: fields}))


def to(base_url: str, model: str, key: str, **extra: Any) -> Target:
    """A target whose options lay `extra` over every body."""
    options = {"body": extra} if extra else {}
    return Target(provider="p", model=model, base_url=base_url, key=Secret(key), options=options)


_GEMINI: Final = "https://generativelanguage.googleapis.com/v1beta"

REQUESTS: tuple[Asked, ...] = (
    Asked(
        beside(
            Request.chat(
                (BRIEFLY, shown("Weather in Oslo?")),
                tools=(WEATHER,),
                tool_choice="auto",
                json_schema=TEXT_SCHEMA,
                **KNOBS,
            ),
            "gemini",
            generationConfig={"candidateCount": 1, "thinkingConfig": {"thinkingBudget": 0}},
        ),
        to(
            _GEMINI,
            "gemini-3.8-flash",
            "AQ.test",
            safetySettings=[
                {
                    "category": "HARM_CATEGORY_DANGEROUS_CONTENT",
                    "threshold": "BLOCK_ONLY_HIGH",
                }
            ],
        ),
        "gemini.generate.request",
    ),
    Asked(
        Request.embed("a", dimensions=4),
        to(_GEMINI, "gemini-embedding-001", "AQ.test"),
        "gemini.embed.request",
    ),
)

_COHERE: Final = "https://api.cohere.com"
_BEDROCK: Final = "https://bedrock-runtime.us-east-1.amazonaws.com"
_OBJECT: Final = Tool("get_weather", parameters={"type": "object"})
REQUESTS += (
    Asked(
        Request.chat((BRIEFLY, ASKED), tools=(WEATHER,), tool_choice="required", **KNOBS),
        to(_COHERE, "command-a-03-2025", "co-test", response_format={"type": "text"}, k=0),
        "cohere.chat.request",
    ),
    Asked(
        Request.embed("a", dimensions=256),
        to(_COHERE, "embed-v4.0", "co-test", truncate="END"),
        "cohere.embed.request",
    ),
    Asked(
        Request.chat((BRIEFLY, shown("hi")), tools=(WEATHER,), json_schema=TEXT_SCHEMA, **KNOBS),
        replace(
            to("http://127.0.0.1:11434", "qwen3:0.6b", "k"),
            options={"body": {"keep_alive": "5m", "think": False}, "num_ctx": 4096},
        ),
        "ollama.chat.request",
    ),
    Asked(
        Request.chat(
            (BRIEFLY, Message("user", "hi")),
            tools=(_OBJECT,),
            tool_choice="auto",
            max_tokens=64,
            temperature=0.2,
            stop=("END",),
        ),
        to(_BEDROCK, "us.anthropic.claude-haiku-4-5-20251001-v1:0", "k"),
        "bedrock.converse.request",
    ),
)

REPLIES: dict[str, tuple[Request, Reply]] = {
    "gemini.generate.response": (CHAT, Reply(HELLO, Usage(12, 3), "rid_ex")),
    "gemini.generate.response-tools": (
        CHAT,
        Reply(ChatOutput("", "tool_calls", called("fc_ex")), Usage(12, 3), "rid_ex"),
    ),
    "gemini.embed.response": (
        Request.embed("a", dimensions=4),
        Reply(EmbeddingOutput(((0.1, -0.2, 0.3, 0.4),))),
    ),
}

_NATIVE: Final = Usage(12, 5)
REPLIES |= {
    "cohere.chat.response": (CHAT, Reply(HELLO, Usage(71, 4), "co_ex")),
    "cohere.chat.response-tools": (
        CHAT,
        Reply(ChatOutput("", "tool_calls", called("get_weather_ex")), Usage(71, 4), "co_ex"),
    ),
    "cohere.embed.response": (
        Request.embed("a"),
        Reply(EmbeddingOutput(((0.1, -0.2),)), Usage(1), "co_ex"),
    ),
    "ollama.chat.response": (CHAT, Reply(HELLO, Usage(11, 3))),
    "ollama.chat.response-tools": (
        CHAT,
        Reply(ChatOutput("", "tool_calls", called("call_ex")), Usage(11, 3)),
    ),
    "ollama.embed.response": (
        Request.embed("a"),
        Reply(EmbeddingOutput(((0.1, -0.2),)), Usage(1)),
    ),
    "bedrock.converse.response": (CHAT, Reply(HELLO, Usage(12, 3))),
    "cloudflare.native-chat.response": (CHAT, Reply(HELLO, _NATIVE)),
    "cloudflare.native-image.response": (
        Request.image("a cube"),
        Reply(ImageOutput((Image(b64=PIXEL),)), Usage(images=1)),
    ),
}

DRAW: Final = Request.image("a red cube")
REPLIES |= {
    "stability.generate.response": (
        DRAW,
        Reply(ImageOutput((Image(b64=PIXEL),)), Usage(images=1)),
    ),
    "replicate.poll.succeeded-response": (
        DRAW,
        Reply(
            ImageOutput(
                (Image(url="https://replicate.delivery/ex/out-0.webp", media_type="image/webp"),)
            ),
            Usage(images=1),
            "ex",
        ),
    ),
    "fal.result.response": (
        DRAW,
        Reply(ImageOutput((Image(url="https://v3.fal.media/files/ex.png"),)), Usage(images=1)),
    ),
    "bfl.poll.ready-response": (
        DRAW,
        Reply(
            ImageOutput((Image(url="https://delivery-eu1.bfl.ai/results/ex/sample.png?sig=x"),)),
            Usage(images=1),
            "ex",
        ),
    ),
}

REFUSALS: dict[str, tuple[Request, ErrorClass]] = {
    "gemini.generate.response-blocked": (CHAT, ErrorClass.CONTENT_POLICY),
    "gemini.generate.response-safety": (CHAT, ErrorClass.CONTENT_POLICY),
}
"""Answers with a success status that are none."""
REFUSALS |= {
    "stability.generate.response-filtered": (DRAW, ErrorClass.CONTENT_POLICY),
    "replicate.poll.failed-response": (DRAW, ErrorClass.CONTENT_POLICY),
    "fal.status.completed-error-response": (DRAW, ErrorClass.TIMEOUT),
    "bfl.poll.content-moderated-response": (DRAW, ErrorClass.CONTENT_POLICY),
    "bfl.poll.moderated-response": (DRAW, ErrorClass.CONTENT_POLICY),
    "bfl.poll.not-found-response": (DRAW, ErrorClass.SERVER),
}

DRAWN: Final[dict[str, Any]] = {
    "gemini": {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {"text": "Here:"},
                        {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
                    ]
                },
                "finishReason": "STOP",
            }
        ]
    },
}
"""Pictures of one pixel, where there is no file with an example."""
PICTURE: Final = ImageOutput((Image(b64=PIXEL),))

STREAMS: dict[str, tuple[str, Reply | ErrorClass]] = {
    "gemini.generate.stream.sse": ("Hello there", Reply(HELLO, Usage(12, 3))),
}
"""What each stream delivers, and how it ends."""


STREAMS |= {
    "cohere.chat.stream.sse": ("Hello there", Reply(HELLO, Usage(71, 4))),
    "cohere.chat.stream-tools.sse": (
        "",
        Reply(ChatOutput("", "tool_calls", called("get_weather_ex")), Usage(71, 4)),
    ),
    "cohere.chat.stream-error.sse": ("", ErrorClass.SERVER),
    "ollama.chat.stream.ndjson": ("Hello there", Reply(HELLO, Usage(11, 3))),
    "ollama.chat.stream-error.ndjson": ("Hel", ErrorClass.MALFORMED),
    "cloudflare.native-chat.stream.sse": ("Hello there", Reply(HELLO, _NATIVE)),
}


def family_of(name: str) -> Any:
    """The adapter of an example's file."""
    return FAMILIES[name.partition(".")[0]]


def response_of(name: str) -> HttpResponse:
    """The response in a file of examples."""
    return answer(example(name))


def stream_of(name: str) -> bytes:
    """The bytes of a stream."""
    return (EXAMPLES / name).read_bytes()


ALL: Final = {name: each for name, each in FAMILIES.items() if isinstance(each, Family)}
