"""What this gateway writes, whole or streamed, its own readers of the same formats read back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from tests.engine.adapters.wire import ANTHROPIC, OPENAI, WALL_S, WireAdapterUnderTest, target
from tests.engine.gateway.answers import deltas_of, outputs, result, usages
from understudy.gateway.asked import Asked, Wire
from understudy.gateway.problem import Problem
from understudy.gateway.wires.anthropic_messages import AnthropicMessages
from understudy.gateway.wires.openai_chat import OpenAIChat
from understudy.gateway.wires.responses import Responses
from understudy.transport.http import HttpResponse
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import ChatOutput, Usage

SPOKEN: dict[str, tuple[Wire, WireAdapterUnderTest]] = {
    "openai": (OpenAIChat(), OPENAI),
    "anthropic": (AnthropicMessages(), ANTHROPIC),
}
BOTH = pytest.mark.parametrize("name", SPOKEN)
REQUEST = Request.chat("hi", max_tokens=99)
PROBLEM = Problem(status=502, message="all 2 attempts failed", code="all_providers_failed")


def asked(**more: Any) -> Asked:
    return Asked(request=REQUEST, model="any", **more)


def streamed(wire: Wire, output: ChatOutput, data: st.DataObject, usage: Usage) -> bytes:
    frames = wire.frames(asked(stream=True, include_usage=True), "r1", 1_790_000_000)
    assert frames is not None
    pieces = data.draw(deltas_of(output))
    body = frames.begin("big-1") + b"".join(map(frames.piece, pieces))
    return body + frames.end(result(output, usage))


@BOTH
@given(output=outputs(), usage=usages())
def test_a_whole_answer_is_read_back_as_it_was(name: str, output: ChatOutput, usage: Usage) -> None:
    wire, adapter = SPOKEN[name]
    body = msgspec.json.encode(wire.answer(asked(), result(output, usage), 1_790_000_000))
    reply = adapter.parse(REQUEST, target(), HttpResponse(200, {}, body), WALL_S)
    assert reply.output == output
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.cached_tokens) == (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
    )


@BOTH
@given(data=st.data(), output=outputs(), usage=usages())
def test_a_streamed_answer_is_read_back_as_it_was(
    name: str, data: st.DataObject, output: ChatOutput, usage: Usage
) -> None:
    wire, adapter = SPOKEN[name]
    reader = adapter.reader(target(), {}, WALL_S)
    reader.feed(streamed(wire, output, data, usage))
    reader.close()
    reply = reader.reply()
    assert reply.output == output
    assert reply.usage is not None
    assert reply.usage.output_tokens == usage.output_tokens
    assert reader.skipped == 0


@BOTH
@given(data=st.data(), output=outputs())
def test_a_stream_that_fails_is_read_as_a_failure(
    name: str, data: st.DataObject, output: ChatOutput
) -> None:
    wire, adapter = SPOKEN[name]
    frames = wire.frames(asked(stream=True), "r1", 0)
    assert frames is not None
    pieces = data.draw(deltas_of(output))
    body = frames.begin("m") + b"".join(map(frames.piece, pieces)) + frames.fail(PROBLEM)
    reader = adapter.reader(target(), {}, WALL_S)
    with pytest.raises(ProviderError):
        reader.feed(body)
        reader.close()
        reader.reply()


@given(data=st.data(), output=outputs(), usage=usages())
def test_a_streamed_response_ends_with_the_whole_one(
    data: st.DataObject, output: ChatOutput, usage: Usage
) -> None:
    wire = Responses()
    events = _events(streamed(wire, output, data, usage))
    assert [each["sequence_number"] for each in events] == list(range(len(events)))
    whole = wire.answer(asked(), result(output, usage), 1_790_000_000)
    last = events[-1]["response"]
    assert events[-1]["type"] == f"response.{whole['status']}"
    assert _said(last) == _said(whole)
    assert last["usage"] == whole["usage"]
    told = "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")
    assert told == output.text
    opened = [e["output_index"] for e in events if e["type"] == "response.output_item.added"]
    closed = [e["output_index"] for e in events if e["type"] == "response.output_item.done"]
    assert opened == closed == list(range(len(last["output"])))


def test_a_response_that_fails_says_so_in_its_last_event() -> None:
    frames = Responses().frames(asked(), "r1", 0)
    event = _events(frames.begin("m") + frames.fail(PROBLEM))[-1]
    assert event["type"] == "response.failed"
    assert event["response"]["error"] == {
        "code": "server_error",
        "message": "all 2 attempts failed",
    }


@pytest.mark.parametrize("wire", [OpenAIChat(), AnthropicMessages(), Responses()])
def test_the_last_event_names_who_really_answered(wire: Wire) -> None:
    frames = wire.frames(asked(include_usage=True), "r1", 0)
    assert frames is not None
    body = frames.begin("first") + frames.end(result(ChatOutput("x"), model="second"))
    naming = [each for each in _events(body) if "second" in msgspec.json.encode(each).decode()]
    assert naming


def _events(body: bytes) -> list[dict[str, Any]]:
    lines = [each[6:] for each in body.split(b"\n") if each.startswith(b"data: ")]
    return [msgspec.json.decode(each) for each in lines if each != b"[DONE]"]


def _said(response: dict[str, Any]) -> object:
    return [
        item["content"][0]["text"]
        if item["type"] == "message"
        else (item["name"], item["call_id"], item["arguments"])
        for item in response["output"]
    ]
