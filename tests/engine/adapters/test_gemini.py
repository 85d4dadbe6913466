"""What is Gemini's own: calls and their results, finish words, thoughts, sizes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.engine.adapters.families import ASKED, PIXEL, called
from tests.engine.adapters.wire import WALL_S, answer, example, target
from understudy.adapters.base import Reply
from understudy.adapters.gemini import GeminiAdapter
from understudy.adapters.gemini_requests import UNSIGNED
from understudy_actors.domain.errors import BadRequest, ProviderError
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ImagePart, Message, Request
from understudy_actors.domain.result import ChatOutput, Usage

GEMINI = GeminiAdapter()


def sent(request: Request) -> Any:
    return msgspec.json.decode(GEMINI.build(request, target()).body)


def read(body: Any) -> Reply:
    return GEMINI.parse(Request.chat("hi"), target(), answer(body), WALL_S)


def test_a_call_and_its_result_are_built_as_documented() -> None:
    expected = example("gemini.generate.toolresult-request")
    turns = (
        ASKED,
        Message("assistant", tool_calls=called("fc_ex")),
        Message("tool", "4C, rain", tool_call_id="fc_ex"),
    )
    expected["contents"][1]["parts"][0]["thoughtSignature"] = UNSIGNED
    assert sent(Request.chat(turns)) == expected


def test_a_result_that_is_an_object_is_sent_as_it_is() -> None:
    turns = (
        Message("assistant", "Wait.", tool_calls=called("fc_ex")),
        Message("tool", '{"degrees": 4}', tool_call_id="fc_ex"),
        Message("user", "So?"),
    )
    own, result = sent(Request.chat(turns))["contents"]
    assert own["parts"][0] == {"text": "Wait."}
    assert result["parts"][0]["functionResponse"]["response"] == {"degrees": 4}
    assert result["parts"][1] == {"text": "So?"}


@pytest.mark.parametrize(
    "messages",
    [
        (Message("tool", "4C", tool_call_id="nobody"),),
        (Message("tool", "4C"),),
        (Message("robot", "hi"),),
        (Message("user", (ImagePart("ftp://x/y.png"),)),),
        (Message("system", (ImagePart("https://x/y.png"),)), Message("user", "hi")),
    ],
    ids=["an unknown call", "no call", "a role", "an address", "a picture as an instruction"],
)
def test_what_it_cannot_say_is_a_bad_request(messages: tuple[Message, ...]) -> None:
    with pytest.raises(BadRequest):
        GEMINI.build(Request.chat(messages), target())


def test_choices_schemas_and_pictures() -> None:
    schema = {"type": "object"}
    body = sent(Request.chat("hi", json_schema=schema))
    assert body["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
    }
    drawn = sent(Request.image("a cube", size="1024x768"))["generationConfig"]
    assert drawn["imageConfig"] == {"aspectRatio": "4:3"}
    for wrong in (Request.image("a cube", n=2), Request.image("a cube", size="big")):
        with pytest.raises(BadRequest):
            GEMINI.build(wrong, target())


@pytest.mark.parametrize(
    ("word", "finish"),
    [("STOP", "stop"), ("MAX_TOKENS", "length"), ("SPII", "content_filter"), ("NEW", "stop")],
)
def test_finish_words(word: str, finish: str) -> None:
    body = example("gemini.generate.response")
    body["candidates"][0]["finishReason"] = word
    assert read(body).output == ChatOutput("Hello there", finish)


@pytest.mark.parametrize("word", ["MALFORMED_FUNCTION_CALL", "OTHER"])
def test_an_answer_that_failed_is_a_servers_failure(word: str) -> None:
    body = example("gemini.generate.response")
    body["candidates"][0]["finishReason"] = word
    with pytest.raises(ProviderError) as caught:
        read(body)
    assert caught.value.kind is ErrorClass.SERVER


def test_thoughts_are_counted_and_not_said() -> None:
    body = example("gemini.generate.response")
    body["candidates"][0]["content"]["parts"].insert(0, {"text": "Hm.", "thought": True})
    body["usageMetadata"] |= {
        "thoughtsTokenCount": 40,
        "toolUsePromptTokenCount": 5,
        "cachedContentTokenCount": 7,
    }
    assert read(body).output == ChatOutput("Hello there")
    assert read(body).usage == Usage(17, 43, 7, 40)


def test_a_fragment_of_thought_is_a_sign_of_life() -> None:
    reader = GEMINI.reader(target(), {}, WALL_S)
    thought = {"candidates": [{"content": {"parts": [{"text": "Hm.", "thought": True}]}}]}
    assert reader.feed(b"data: " + msgspec.json.encode(thought) + b"\n\n") == []
    assert reader.begun


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, ErrorClass.CONTENT_POLICY),
        ([{"error": {"code": 503, "status": "UNAVAILABLE"}}], ErrorClass.OVERLOADED),
        ({"candidates": [{"finishReason": "OTHER"}]}, ErrorClass.SERVER),
    ],
    ids=["blocked", "wrapped", "failed"],
)
def test_a_stream_that_fails_says_why(event: Any, kind: ErrorClass) -> None:
    reader = GEMINI.reader(target(), {}, WALL_S)
    with pytest.raises(ProviderError) as caught:
        reader.feed(b"data: " + msgspec.json.encode(event) + b"\n\n")
    assert caught.value.kind is kind


def test_calls_of_a_stream_are_whole_and_numbered() -> None:
    reader = GEMINI.reader(target(), {}, WALL_S)
    call = {"functionCall": {"name": "f", "args": {"a": 1}}}
    for finish in ({}, {"finishReason": "STOP"}):
        event = {"candidates": [{"content": {"parts": [call]}, **finish}]}
        reader.feed(b"data: " + msgspec.json.encode(event) + b"\n\n")
    output = reader.reply().output
    assert isinstance(output, ChatOutput)
    assert [each.id for each in output.tool_calls] == ["call_0", "call_1"]
    assert output.finish_reason == "tool_calls"


def test_a_picture_in_a_prompt_is_sent_inline_or_by_its_address() -> None:
    parts = (ImagePart("https://x/y.png"), ImagePart(f"data:image/png;base64,{PIXEL}"))
    body = sent(Request.chat((Message("user", parts),)))
    assert body["contents"][0]["parts"] == [
        {"fileData": {"fileUri": "https://x/y.png"}},
        {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
    ]
