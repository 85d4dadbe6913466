"""What is Cohere's, Ollama's, Cloudflare's and Bedrock's own."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from tests.engine.adapters.families import ASKED, CHAT, OSLO, PIXEL, WEATHER, called, family_of
from tests.engine.adapters.wire import WALL_S, answer, example, target
from understudy.adapters.aws_frames import FrameParser, frame_of
from understudy.adapters.base import Reply
from understudy.adapters.lines import LineParser
from understudy.adapters.sse import SseEvent
from understudy.transport.http import HttpResponse
from understudy_actors.domain.errors import BadRequest, ProviderError
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ImagePart, Message, Request
from understudy_actors.domain.result import ChatOutput, Usage

BOUNDS = st.lists(st.integers(0, 2000), max_size=8)
RESULT = (
    ASKED,
    Message("assistant", tool_calls=called("c1")),
    Message("tool", "4C, rain", tool_call_id="c1"),
)


def sent(name: str, request: Request, **fields: Any) -> Any:
    return msgspec.json.decode(family_of(name).build(request, target(**fields)).body)


def read(name: str, body: Any, request: Request = CHAT, **headers: str) -> Reply:
    reply: Reply = family_of(name).parse(request, target(), answer(body, 200, headers), WALL_S)
    return reply


def failed(name: str, response: HttpResponse) -> ErrorClass:
    with pytest.raises(ProviderError) as caught:
        family_of(name).parse(CHAT, target(), response, WALL_S)
    return caught.value.kind


def in_pieces(body: bytes, cuts: list[int]) -> list[bytes]:
    ends = [*sorted({cut % (len(body) + 1) for cut in cuts}), len(body)]
    return [body[a:b] for a, b in zip([0, *ends], ends, strict=False)]


# How each says what a call's result is.


def test_a_result_in_each_format() -> None:
    cohere = sent("cohere", Request.chat(RESULT))["messages"]
    assert cohere[1]["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": OSLO}
    assert "content" not in cohere[1]
    assert cohere[2] == {"role": "tool", "content": "4C, rain", "tool_call_id": "c1"}
    ollama = sent("ollama", Request.chat(RESULT))["messages"]
    assert ollama[1]["tool_calls"][0]["function"]["arguments"] == {"city": "Oslo"}
    assert (ollama[2]["role"], ollama[2]["tool_name"]) == ("tool", "get_weather")
    own, result = sent("bedrock", Request.chat(RESULT))["messages"][1:]
    assert own["content"] == [
        {"toolUse": {"toolUseId": "c1", "name": "get_weather", "input": {"city": "Oslo"}}}
    ]
    assert result["role"] == "user"
    assert result["content"] == [
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "4C, rain"}]}}
    ]


def test_cohere_is_given_one_tool_alone_where_that_one_must_be_called() -> None:
    other = msgspec.structs.replace(WEATHER, name="other")
    body = sent("cohere", Request.chat("hi", tools=(other, WEATHER), tool_choice="get_weather"))
    assert [each["function"]["name"] for each in body["tools"]] == ["get_weather"]
    assert body["tool_choice"] == "REQUIRED"
    assert "tool_choice" not in sent("cohere", Request.chat("hi", tools=(other,)))


def test_cohere_has_no_developers() -> None:
    body = sent("cohere", Request.chat((Message("developer", "Be brief."), ASKED)))
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(("word", "kind"), [("ERROR", "server"), ("TIMEOUT", "timeout")])
def test_cohere_may_give_up_within_an_answer(word: str, kind: str) -> None:
    body = example("cohere.chat.response") | {"finish_reason": word}
    assert failed("cohere", answer(body)) == kind


def test_coheres_trial_keys_run_out_of_calls() -> None:
    said = {"message": "You are using a Trial key, which is limited to 1000 API calls / month."}
    assert failed("cohere", answer(said, 429)) is ErrorClass.QUOTA
    assert failed("cohere", answer({"message": "no"}, 498)) is ErrorClass.AUTH


# Ollama


@pytest.mark.parametrize(
    "request_",
    [
        Request.chat("hi", tools=(WEATHER,), tool_choice="required"),
        Request.chat((Message("user", (ImagePart("https://x/y.png"),)),)),
        Request.chat((Message("robot", "hi"),)),
        Request.chat((Message("tool", "4C"),)),
    ],
    ids=["a required tool", "a picture in the web", "a role", "no call"],
)
def test_what_ollama_cannot_say_is_a_bad_request(request_: Request) -> None:
    with pytest.raises(BadRequest):
        family_of("ollama").build(request_, target())


def test_an_answer_of_ollamas_that_only_loads_is_none() -> None:
    body = example("ollama.chat.response") | {"done_reason": "load"}
    assert failed("ollama", answer(body)) is ErrorClass.OVERLOADED
    unfinished = example("ollama.chat.response") | {"done": False}
    assert failed("ollama", answer(unfinished)) is ErrorClass.MALFORMED
    assert read("ollama", example("ollama.chat.response") | {"done_reason": "length"}).output == (
        ChatOutput("Hello there", "length")
    )


def test_calls_of_ollamas_streams_are_numbered_over_all_lines() -> None:
    reader = family_of("ollama").reader(target(), {}, WALL_S)
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    for done in (False, True):
        line = {"message": {"content": "", "tool_calls": [call]}, "done": done, "eval_count": 1}
        reader.feed(msgspec.json.encode(line) + b"\n")
    assert reader.ended
    calls = reader.reply().output.tool_calls
    assert [each.id for each in calls] == ["call_0", "call_1"]


def test_ollamas_thoughts_are_a_sign_of_life() -> None:
    reader = family_of("ollama").reader(target(), {}, WALL_S)
    assert reader.feed(b'{"message": {"content": "", "thinking": "Hm."}, "done": false}\n') == []
    assert reader.begun


# Lines


@given(lines=st.lists(st.binary(max_size=20)), cuts=BOUNDS)
def test_lines_are_the_same_however_the_bytes_are_cut(lines: list[bytes], cuts: list[int]) -> None:
    body, parser = b"\n".join(lines), LineParser()
    events = [each for piece in in_pieces(body, cuts) for each in parser.feed(piece)]
    events += parser.close()
    expected = [line.strip() for line in body.split(b"\n") if line.strip()]
    assert [each.data for each in events] == expected


def test_a_line_that_is_too_long_is_left_out_and_counted() -> None:
    parser = LineParser(8)
    found = parser.feed(b"123\n123456") + parser.feed(b"7890") + parser.feed(b"12\n45\n")
    assert [each.data for each in found] == [b"123", b"45"]
    assert parser.oversized == 1


# Cloudflare


def test_cloudflares_answers_come_in_several_shapes() -> None:
    inner = example("openai.chat.response")
    envelope = {"success": True, "errors": [], "result": inner}
    assert read("cloudflare", envelope).output == ChatOutput("Hello there")
    decoded = {"success": True, "errors": [], "result": {"response": {"city": "Oslo"}}}
    assert read("cloudflare", decoded).output == ChatOutput(OSLO)
    call = {"name": "get_weather", "arguments": {"city": "Oslo"}}
    called_ = {"success": True, "result": {"response": None, "tool_calls": [call]}}
    assert read("cloudflare", called_).output == ChatOutput("", "tool_calls", called("call_0"))
    refused = {"success": False, "errors": [{"code": 3040, "message": "Capacity"}]}
    assert failed("cloudflare", answer(refused)) is ErrorClass.OVERLOADED


def test_a_picture_may_be_the_whole_body() -> None:
    import binascii

    data = binascii.a2b_base64(PIXEL)
    adapter, headers = family_of("cloudflare"), {"content-type": "image/png"}
    draw = Request.image("a cube", size="512x256")
    whole = adapter.parse(draw, target(), HttpResponse(200, headers, data), WALL_S)
    assert whole.output.images[0].b64 == PIXEL
    for cut in (0, 1, 20, len(data) - 1):
        with pytest.raises(ProviderError):
            adapter.parse(draw, target(), HttpResponse(200, headers, data[:cut]), WALL_S)
    body = sent("cloudflare", draw)
    assert body == {"prompt": "a cube", "width": 512, "height": 256}


def test_a_stream_of_cloudflares_without_its_end_mark_was_cut() -> None:
    reader = family_of("cloudflare").reader(target(), {}, WALL_S)
    reader.feed(b'data: {"response":"Hel"}\n\n')
    assert not reader.whole
    reader.feed(b"data: [DONE]\n\n")
    assert reader.reply().output == ChatOutput("Hel")


# Bedrock

FRAMES = (
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Hm"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello"}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": " there"}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    (
        "contentBlockStart",
        {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "c1", "name": "f"}}},
    ),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"a"'}}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": ":1}"}}}),
    ("messageStop", {"stopReason": "tool_use"}),
    (
        "metadata",
        {"usage": {"inputTokens": 2, "outputTokens": 3, "cacheReadInputTokens": 10}},
    ),
)
STREAM = b"".join(frame_of(name, msgspec.json.encode(said)) for name, said in FRAMES)


@given(cuts=BOUNDS)
def test_a_stream_of_bedrocks_is_read_however_it_is_cut(cuts: list[int]) -> None:
    reader = family_of("bedrock").reader(target(), {}, WALL_S)
    for piece in in_pieces(STREAM, cuts):
        reader.feed(piece)
    reader.close()
    whole = reader.reply()
    assert whole.output.text == "Hello there"
    assert [(each.id, each.arguments) for each in whole.output.tool_calls] == [("c1", '{"a":1}')]
    assert whole.usage == Usage(12, 3, 10)


@given(at=st.integers(0, len(STREAM) - 1), bits=st.integers(1, 255))
def test_a_damaged_frame_and_all_behind_it_are_not_told(at: int, bits: int) -> None:
    damaged = bytearray(STREAM)
    damaged[at] ^= bits
    told, whole = FrameParser().feed(bytes(damaged)), FrameParser().feed(STREAM)
    assert told == whole[: len(told)]
    assert len(told) < len(whole)


def test_a_frame_that_is_too_large_or_senseless_ends_the_reading() -> None:
    parser = FrameParser(64)
    assert parser.feed(frame_of("e", b"x" * 100)) == []
    assert parser.oversized == 1
    assert parser.feed(frame_of("e", b"x")) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("throttlingException", ErrorClass.RATE_LIMIT),
        ("modelStreamErrorException", ErrorClass.SERVER),
        ("serviceUnavailableException", ErrorClass.OVERLOADED),
    ],
)
def test_an_exception_within_a_stream_of_bedrocks_says_what_it_is(
    name: str, kind: ErrorClass
) -> None:
    reader = family_of("bedrock").reader(target(), {}, WALL_S)
    frame = frame_of(name, b'{"message": "no"}', kind="exception")
    with pytest.raises(ProviderError) as caught:
        reader.feed(frame)
    assert caught.value.kind is kind


def test_a_frame_says_its_name_and_its_payload() -> None:
    assert FrameParser().feed(frame_of("metadata", b"{}")) == [SseEvent("metadata", b"{}")]


@pytest.mark.parametrize(
    "request_",
    [
        Request.chat("hi", json_schema={"type": "object"}),
        Request.chat("hi", tools=(WEATHER,), tool_choice="none"),
        Request.chat((Message("user", (ImagePart("https://x/y.png"),)),)),
    ],
    ids=["a schema", "no tool may be called", "a picture in the web"],
)
def test_what_bedrock_cannot_say_is_a_bad_request(request_: Request) -> None:
    with pytest.raises(BadRequest):
        family_of("bedrock").build(request_, target())


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("AccessDeniedException", 403, ErrorClass.PERMISSION),
        ("ModelTimeoutException", 408, ErrorClass.TIMEOUT),
        ("ModelNotReadyException", 429, ErrorClass.OVERLOADED),
        ("ModelErrorException", 424, ErrorClass.SERVER),
        ("ValidationException", 400, ErrorClass.BAD_REQUEST),
    ],
)
def test_bedrocks_errors_are_named_in_a_header(name: str, status: int, kind: ErrorClass) -> None:
    headers = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/"}
    assert failed("bedrock", HttpResponse(status, headers, b'{"Message": "no"}')) is kind


def test_a_model_of_bedrocks_that_cannot_count_has_a_good_key_all_the_same() -> None:
    bedrock = family_of("bedrock")
    for status, kind in ((400, None), (403, ErrorClass.PERMISSION), (500, ErrorClass.SERVER)):
        found = bedrock.check_failure(target(), answer({"message": "no"}, status), WALL_S)
        assert (found and found.kind) is kind


def test_a_picture_for_bedrock_is_sent_with_its_format() -> None:
    parts = (ImagePart(f"data:image/png;base64,{PIXEL}"),)
    body = sent("bedrock", Request.chat((Message("user", parts),)))
    assert body["messages"][0]["content"] == [
        {"image": {"format": "png", "source": {"bytes": PIXEL}}}
    ]
