"""What providers answer is read for what it says, and only that."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.engine.adapters.wire import (
    ANTHROPIC,
    CHAT,
    COMPATIBLE,
    OPENAI,
    WALL_S,
    WireAdapterUnderTest,
    adapter_for,
    answer,
    example,
    target,
)
from understudy.adapters.base import Reply
from understudy.transport.http import HttpResponse
from understudy_actors.domain.errors import (
    ContentRefused,
    ContextTooLong,
    MalformedResponse,
    ProviderError,
    ProviderOverloaded,
    RateLimited,
    ServerFailed,
)
from understudy_actors.domain.request import Request, ToolCall
from understudy_actors.domain.result import (
    ChatOutput,
    EmbeddingOutput,
    Image,
    ImageOutput,
    Usage,
)

HELLO = ChatOutput("Hello there")
OSLO = '{"city":"Oslo"}'
EMBED = Request.embed("a", "b", dimensions=4)
DRAW = Request.image("a red cube")


def read(name: str, body: object, request: Request = CHAT, **headers: str) -> Reply:
    """The reply in a response body, by the adapter that reads examples of this name."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    reply: Reply = adapter_for(name).parse(request, target(), answer(body, 200, named), WALL_S)
    return reply


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("openai.chat.response", Reply(HELLO, Usage(12, 5))),
        (
            "openai.chat.response-tools",
            Reply(
                ChatOutput("", "tool_calls", (ToolCall("call_ex1", "get_weather", OSLO),)),
                Usage(12, 5),
            ),
        ),
        ("openrouter.chat.response", Reply(HELLO, Usage(12, 5, told_micro_usd=14))),
        ("groq.chat.response", Reply(HELLO, Usage(12, 5))),
        ("xai.chat.response", Reply(HELLO, Usage(12, 35, 0, 30))),
        ("deepseek.chat.response", Reply(HELLO, Usage(12, 5, 0, 3))),
        ("together.chat.response", Reply(HELLO, Usage(12, 5))),
        ("mistral.chat.response", Reply(HELLO, Usage(12, 5))),
        ("mistral.chat.response-thinking", Reply(HELLO, Usage(12, 5))),
        ("anthropic.messages.response", Reply(HELLO, Usage(12, 5))),
        (
            "anthropic.messages.response-tools",
            Reply(
                ChatOutput("Checking.", "tool_calls", (ToolCall("toolu_ex", "get_weather", OSLO),)),
                Usage(12, 5),
            ),
        ),
    ],
)
def test_every_example_of_a_chat_is_read(name: str, reply: Reply) -> None:
    assert read(name, example(name)) == reply


def test_embeddings_come_as_numbers_or_as_base64() -> None:
    floats = read("openai.", example("openai.embeddings.response-float"), EMBED)
    assert floats == Reply(
        EmbeddingOutput(((0.1, -0.2, 0.3, 0.4), (0.0, 0.5, -0.5, 1.0))), Usage(2)
    )
    packed = read("openai.", example("openai.embeddings.response-base64"), EMBED)
    assert packed.usage == Usage(2)
    assert isinstance(packed.output, EmbeddingOutput)
    assert packed.output.vectors[0] == pytest.approx((0.1, -0.2, 0.3, 0.4), abs=1e-7)
    assert packed.output.vectors[1] == (0.0, 0.5, -0.5, 1.0)


def test_embeddings_are_put_in_the_order_of_their_indexes() -> None:
    body = example("openai.embeddings.response-float")
    in_order = read("openai.", copy.deepcopy(body), EMBED)
    body["data"].reverse()
    assert read("openai.", body, EMBED) == in_order


def test_pictures_are_read_with_the_type_that_their_bytes_show() -> None:
    body = example("openai.images.response")
    b64 = body["data"][0]["b64_json"]
    drawn = Reply(ImageOutput((Image(b64),)), Usage(9, 272, images=1))
    assert read("openai.", body, DRAW) == drawn
    body["output_format"] = "jpeg"
    assert read("openai.", body, DRAW).output == ImageOutput((Image(b64),))
    linked = {"data": [{"url": "https://x.example/a.webp", "b64_json": None}]}
    reply = read("together.", linked, Request.image("x", output_format="webp"))
    image = Image(url="https://x.example/a.webp", media_type="image/webp")
    assert reply == Reply(ImageOutput((image,)))
    assert read("together.", example("together.images.response"), DRAW).usage is None


def test_the_providers_own_request_id_is_kept() -> None:
    body = example("openai.chat.response")
    assert read("openai.", body, x_request_id="req_ex").provider_request_id == "req_ex"
    assert read("openai.", body, x_request_id="two words").provider_request_id is None
    message = example("anthropic.messages.response")
    assert read("anthropic.", message, request_id="req_ex").provider_request_id == "req_ex"


def chat(message: dict[str, Any] | None = None, **choice: Any) -> dict[str, Any]:
    """The body of a chat completion with a changed message or choice."""
    body: dict[str, Any] = example("openai.chat.response")
    body["choices"][0] |= choice
    body["choices"][0]["message"] |= message or {}
    return body


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("content_filter", "content_filter"),
        ("a word from the future", "stop"),
    ],
)
def test_finish_words_are_the_cores(word: str, reason: str) -> None:
    assert read("openai.", chat(finish_reason=word)).output == ChatOutput("Hello there", reason)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
    ],
)
def test_stop_reasons_are_the_cores(word: str, reason: str) -> None:
    body = example("anthropic.messages.response") | {"stop_reason": word}
    assert read("anthropic.", body).output == ChatOutput("Hello there", reason)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (chat(finish_reason="error"), ServerFailed),
        (chat(finish_reason="insufficient_system_resource"), ProviderOverloaded),
        (chat({"content": None}, finish_reason="content_filter"), ContentRefused),
        (chat({"content": None, "refusal": "I cannot do that."}), ContentRefused),
        (chat({"content": None}), MalformedResponse),
        (chat({"content": ""}), MalformedResponse),
        (chat({"content": 7}), MalformedResponse),
        (chat({"content": ["x"]}), MalformedResponse),
        (chat({"content": [{"type": "text"}]}), MalformedResponse),
        (chat({"tool_calls": "x"}), MalformedResponse),
        (chat({"tool_calls": [7]}), MalformedResponse),
        (chat({"tool_calls": [{}]}), MalformedResponse),
        (chat({"tool_calls": [CALL | {"function": {"name": ""}}]}), MalformedResponse),
        (chat({"tool_calls": [CALL | {"function": {"name": "f"}}]}), MalformedResponse),
        (
            chat({"tool_calls": [CALL | {"function": {"name": "f", "arguments": "{"}}]}),
            MalformedResponse,
        ),
        (chat(finish_reason="tool_calls"), MalformedResponse),
        (chat(finish_reason=None), MalformedResponse),
        (chat(message=None) | {"choices": []}, MalformedResponse),
        (chat(message=None) | {"choices": None}, MalformedResponse),
        ({}, MalformedResponse),
        ([], MalformedResponse),
        (None, MalformedResponse),
        ("text", MalformedResponse),
        (chat() | {"error": {"message": "no"}}, MalformedResponse),
        (chat() | {"error": {"code": "rate_limit_exceeded"}}, RateLimited),
        (chat() | {"error": "model overloaded"}, ProviderOverloaded),
        ({"object": "error", "type": "rate_limited", "code": "1300"}, RateLimited),
        ({"error": {"code": 502}}, ServerFailed),
        ({"error": {"code": 700}}, MalformedResponse),
    ],
)
def test_an_openai_body_that_is_no_answer_is_an_error(
    body: object, error: type[ProviderError]
) -> None:
    with pytest.raises(error):
        read("openai.", body)


def message(**changes: Any) -> dict[str, Any]:
    """The body of an Anthropic message with changes."""
    body: dict[str, Any] = example("anthropic.messages.response")
    return body | changes


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (example("anthropic.messages.response-refusal"), ContentRefused),
        (message(content=[]), MalformedResponse),
        (message(content=None), MalformedResponse),
        (message(content="Hello"), MalformedResponse),
        (message(content=["Hello"]), MalformedResponse),
        (message(content=[{"type": "text"}]), MalformedResponse),
        (message(content=[{"type": "tool_use", "id": "c", "name": "f"}]), MalformedResponse),
        (message(stop_reason=None), MalformedResponse),
        (message(stop_reason="tool_use"), MalformedResponse),
        (message(type="completion"), MalformedResponse),
        (message(content=[], stop_reason="model_context_window_exceeded"), ContextTooLong),
        ({"type": "error", "error": {"type": "overloaded_error"}}, ProviderOverloaded),
        ({"type": "error"}, MalformedResponse),
        (None, MalformedResponse),
    ],
)
def test_an_anthropic_body_that_is_no_answer_is_an_error(
    body: object, error: type[ProviderError]
) -> None:
    with pytest.raises(error):
        read("anthropic.", body)


def embeddings(*vectors: object, **changes: Any) -> dict[str, Any]:
    """The body of an answer to `EMBED`."""
    rows = [{"index": index, "embedding": v} | changes for index, v in enumerate(vectors)]
    return {"data": rows}


GOOD = [1, 2, 3, 4]


@pytest.mark.parametrize(
    "body",
    [
        embeddings(GOOD),
        embeddings(GOOD, GOOD, GOOD),
        embeddings(GOOD, GOOD, index=0),
        embeddings(GOOD, GOOD, index=2),
        embeddings(GOOD, GOOD, index="0"),
        embeddings(GOOD, [1, 2, 3]),
        embeddings([1, 2], [1, 2]),
        embeddings([], []),
        embeddings(GOOD, [1, 2, 3, None]),
        embeddings(GOOD, [1, 2, 3, True]),
        embeddings(GOOD, [1, 2, 3, "4"]),
        embeddings(GOOD, None),
        embeddings(GOOD, "zczMPc3MTL6amZk+zczMPg="),
        embeddings(GOOD, "AAAAAAAAAD8AAAC/AACAfw=="),  # infinite
        embeddings(GOOD, "не base64"),
        {"data": []},
        {"data": [GOOD, GOOD]},
        {},
    ],
)
def test_vectors_that_are_not_those_asked_for_are_an_error(body: object) -> None:
    with pytest.raises(MalformedResponse):
        read("openai.", body, EMBED)


@pytest.mark.parametrize(
    "row", [{}, {"b64_json": ""}, {"b64_json": "x"}, {"b64_json": "ä"}, {"url": 7}, 7, None]
)
def test_a_picture_that_is_none_is_an_error(row: object) -> None:
    with pytest.raises(MalformedResponse):
        read("openai.", {"data": [row]}, DRAW)


@pytest.mark.parametrize("body", [b"", b"  \n", b"<html>", b'{"choices"', b"\xff\xfe", b"[" * 9999])
@pytest.mark.parametrize("adapter", [OPENAI, COMPATIBLE, ANTHROPIC], ids=lambda a: a.name)
def test_a_success_that_is_no_json_is_none(adapter: WireAdapterUnderTest, body: bytes) -> None:
    with pytest.raises(MalformedResponse) as caught:
        adapter.parse(CHAT, target(), HttpResponse(200, {}, body), WALL_S)
    assert caught.value.__context__ is None


def test_an_answer_cut_at_its_limit_may_be_empty_or_hold_half_a_call() -> None:
    empty = read("openai.", chat({"content": None}, finish_reason="length"))
    assert empty.output == ChatOutput("", "length")
    cut = CALL | {"function": {"name": "f", "arguments": '{"a'}}
    half = read("openai.", chat({"content": None, "tool_calls": [cut]}, finish_reason="length"))
    assert half.output == ChatOutput("", "length", (ToolCall("c", "f", '{"a'),))


def test_calls_in_the_manner_of_local_servers_are_read() -> None:
    odd = {"function": {"name": "f", "arguments": {"a": 1}}}
    bare = {"id": None, "function": {"name": "g", "arguments": ""}}
    reply = read("vllm.", chat({"content": "", "tool_calls": [odd, bare]}, finish_reason="stop"))
    calls = (ToolCall("call_0", "f", '{"a":1}'), ToolCall("call_1", "g", "{}"))
    assert reply.output == ChatOutput("", "tool_calls", calls)


def test_a_refusal_is_told_in_the_detail() -> None:
    with pytest.raises(ContentRefused) as caught:
        read("openai.", chat({"content": None, "refusal": "I cannot do that."}))
    assert caught.value.detail == "I cannot do that."
    assert "cannot" not in str(caught.value)


@pytest.mark.parametrize("wrong", [-1, 1_000_000_001, 1.5, "7", None, True, [], {}])
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("openai.chat.response", "prompt_tokens"),
        ("openai.chat.response", "completion_tokens"),
        ("anthropic.messages.response", "input_tokens"),
        ("anthropic.messages.response", "output_tokens"),
    ],
)
def test_usage_that_cannot_be_is_absent(name: str, field: str, wrong: object) -> None:
    body = example(name)
    body["usage"][field] = wrong
    assert read(name, body) == Reply(HELLO)
    body["usage"] = wrong
    assert read(name, body) == Reply(HELLO)


def test_usage_is_inclusive() -> None:
    body = example("anthropic.messages.response")
    body["usage"] |= {
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 1000,
        "output_tokens_details": {"thinking_tokens": 3},
    }
    assert read("anthropic.", body).usage == Usage(1112, 5, 1000, 3, cache_write_tokens=100)
    body["usage"]["cache_read_input_tokens"] = 1_000_000_000
    assert read("anthropic.", body).usage is None

    body = chat()
    body["usage"]["prompt_tokens_details"]["cached_tokens"] = 13  # more than there were
    assert read("openai.", body).usage == Usage(12, 5, 12)
    hit = chat() | {
        "usage": {"prompt_tokens": 12, "completion_tokens": 5, "prompt_cache_hit_tokens": 8}
    }
    assert read("deepseek.", hit).usage == Usage(12, 5, 8)
