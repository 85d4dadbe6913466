"""Streamed answers: what they mean, and that where the bytes are cut never matters."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from tests.engine.adapters.wire import (
    ANTHROPIC,
    CHAT,
    EXAMPLES,
    OPENAI,
    WALL_S,
    WireAdapterUnderTest,
    adapter_for,
    target,
)
from understudy.adapters.base import Reply
from understudy.adapters.openai import OpenAIAdapter
from understudy.adapters.streaming import StreamReader
from understudy.transport.http import HttpResponse
from understudy_actors.domain.delta import Delta, TextDelta, ToolCallDelta, UsageDelta
from understudy_actors.domain.errors import ERROR_TYPES, ProviderError
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ChatInput, ToolCall
from understudy_actors.domain.result import ChatOutput, Usage
from understudy_sim.mock import anthropic as anthropic_wire, openai as openai_wire
from understudy_sim.mock.wire import Answer, Origin, Tokens, Wire

WHOLE = sorted(
    path.stem
    for path in EXAMPLES.glob("*.chat.stream*.sse")
    if isinstance(adapter_for(path.stem), OpenAIAdapter)
)
WHOLE += ["anthropic.messages.stream", "anthropic.messages.stream-tools"]
GOOD = [name for name in WHOLE if "error" not in name]
HELLO = [name for name in GOOD if "tools" not in name]
OSLO = '{"city":"Oslo"}'


def body_of(name: str) -> bytes:
    return (EXAMPLES / f"{name}.sse").read_bytes()


def reader_of(adapter: WireAdapterUnderTest) -> StreamReader:
    return adapter.reader(target(), {}, WALL_S)


def read(
    adapter: WireAdapterUnderTest, body: bytes, cuts: list[int] | None = None
) -> tuple[list[Delta], Reply | ProviderError]:
    """Everything that a body delivers in these pieces, and how it ends."""
    reader, deltas, start = reader_of(adapter), list[Delta](), 0
    try:
        for end in [*sorted({cut % (len(body) + 1) for cut in cuts or ()}), len(body)]:
            deltas += reader.feed(body[start:end])
            start = end
        deltas += reader.close()
        return deltas, reader.reply()
    except tuple(ERROR_TYPES.values()) as error:
        return deltas, error


def told(end: Reply | ProviderError) -> object:
    return end if isinstance(end, Reply) else (end.kind, str(end), end.detail)


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def calls_of(deltas: list[Delta]) -> list[tuple[str | None, str | None, str]]:
    calls: dict[int, list[Any]] = {}
    for delta in deltas:
        if isinstance(delta, ToolCallDelta):
            call = calls.setdefault(delta.index, [None, None, ""])
            call[0], call[1] = call[0] or delta.id, call[1] or delta.name
            call[2] += delta.arguments
    return [(call[0], call[1], call[2]) for _, call in sorted(calls.items())]


@pytest.mark.parametrize("name", HELLO)
def test_every_provider_says_hello(name: str) -> None:
    deltas, end = read(adapter_for(name), body_of(name))
    assert isinstance(end, Reply)
    assert text_of(deltas) == "Hello there"
    assert end.output == ChatOutput("Hello there")
    assert end.usage is not None
    assert (end.usage.input_tokens, end.usage.output_tokens) == (12, 5)
    assert [d.usage for d in deltas if isinstance(d, UsageDelta)][-1] == end.usage


@pytest.mark.parametrize(
    ("name", "call_id"),
    [("openai.chat.stream-tools", "call_ex1"), ("anthropic.messages.stream-tools", "toolu_ex")],
)
def test_tool_calls_arrive_in_pieces(name: str, call_id: str) -> None:
    deltas, end = read(adapter_for(name), body_of(name))
    assert isinstance(end, Reply)
    assert end.output == ChatOutput("", "tool_calls", (ToolCall(call_id, "get_weather", OSLO),))
    assert calls_of(deltas) == [(call_id, "get_weather", OSLO)]


@pytest.mark.parametrize(
    ("name", "kind", "before"),
    [
        ("openai.chat.stream-error", ErrorClass.SERVER, "Hel"),
        ("groq.chat.stream-error", ErrorClass.MALFORMED, ""),
        ("openrouter.chat.stream-error", ErrorClass.SERVER, "Hel"),
        ("anthropic.messages.stream-error", ErrorClass.OVERLOADED, "Hel"),
    ],
)
def test_an_error_within_a_stream_is_the_error_that_it_would_be_alone(
    name: str, kind: ErrorClass, before: str
) -> None:
    body = body_of(name)
    deltas, end = read(adapter_for(name), body, list(range(len(body))))
    assert isinstance(end, ProviderError)
    assert end.kind is kind
    assert text_of(deltas) == before


@given(name=st.sampled_from(WHOLE), cuts=st.lists(st.integers(0, 5000), max_size=12))
def test_where_the_bytes_are_cut_never_matters(name: str, cuts: list[int]) -> None:
    body = body_of(name)
    deltas, end = read(adapter_for(name), body)
    again, end_again = read(adapter_for(name), body, cuts)
    assert told(end_again) == told(end)
    if isinstance(end, Reply):
        assert again == deltas
    else:  # what came in one piece with the error may be left out
        assert again[: len(deltas)] == deltas


@given(name=st.sampled_from(GOOD), cut=st.integers(0, 5000))
def test_a_body_cut_anywhere_is_whole_only_after_its_finish_reason(name: str, cut: int) -> None:
    body = body_of(name)
    cut %= len(body)
    deltas, end = read(adapter_for(name), body[:cut])
    whole, _ = read(adapter_for(name), body)
    assert text_of(whole).startswith(text_of(deltas))
    assert whole[: len(deltas)] == deltas
    # The finish reason stands in an event that is read once its JSON is complete.
    said = any(
        line.startswith(b"data: {")
        and line.rstrip().endswith(b"}")
        and msgspec.json.decode(line[6:]) == document
        for document in _finishing(body)
        for line in body[:cut].splitlines()
        if line.startswith(b"data: {") and _is_json(line[6:])
    )
    assert isinstance(end, Reply) == said
    if not said:
        assert isinstance(end, ProviderError)
        assert end.kind is ErrorClass.MALFORMED


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _finishing(body: bytes) -> list[dict[str, Any]]:
    """The events that hold a finish reason, and all after them."""
    documents = [
        msgspec.json.decode(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")
    ]
    first = next(
        at
        for at, document in enumerate(documents)
        if any(c.get("finish_reason") for c in document.get("choices") or ())
        or (document.get("delta") or {}).get("stop_reason")
    )
    return documents[first:]


TEXTS = st.text(max_size=60)
COUNTS = st.integers(0, 10**6)
WIRES: list[tuple[Wire, WireAdapterUnderTest]] = [("openai", OPENAI), ("anthropic", ANTHROPIC)]


def _answers(wire: Wire, text: str, tokens: Tokens | None, finish: str) -> tuple[Answer, bytes]:
    origin = Origin(wire=wire, n=1, provider="p", model="m", wall_s=WALL_S)
    if wire == "openai":
        whole = openai_wire.chat(origin, text, tokens, finish)
        return whole, b"".join(openai_wire.chat_frames(origin, text, tokens, finish))
    whole = anthropic_wire.messages(origin, text, tokens, finish)
    return whole, b"".join(anthropic_wire.message_frames(origin, text, tokens, finish))


@given(
    at=st.sampled_from(WIRES),
    text=TEXTS,
    tokens=st.builds(Tokens, COUNTS, COUNTS) | st.none(),
    finish=st.sampled_from(["stop", "length"]),
    cuts=st.lists(st.integers(0, 5000), max_size=8),
)
@settings(max_examples=200)
def test_a_stream_says_what_the_whole_answer_says(
    at: tuple[Wire, WireAdapterUnderTest],
    text: str,
    tokens: Tokens | None,
    finish: str,
    cuts: list[int],
) -> None:
    wire, adapter = at
    answer, body = _answers(wire, text, tokens, finish)
    response = HttpResponse(200, {}, answer.body)
    expected: Reply | ProviderError
    try:
        expected = adapter.parse(CHAT, target(), response, WALL_S)
    except ProviderError as error:
        expected = error
    deltas, end = read(adapter, body, cuts)
    assert told(end) == told(expected)
    if isinstance(end, Reply):
        assert text_of(deltas) == text


JUNK = st.sampled_from(
    [
        *(b"data: {", b"data: 42", b"data: null", b"data: []", b'data: "text"', b"data: <html>"),
        *(b'data: {"choices": 7}', b'data: {"choices": [7]}', b'data: {"type": 7}'),
        *(b'data: {"choices": [{"delta": {"content": 7}}]}', b"data: \xff\xff", b": comment"),
        b'data: {"choices": [{"delta": {"content": "no", "tool_calls": [{"index": -1}]}}]}',
        *(b'data: {"type": "content_block_delta", "index": 0}', b"data: {}", b"event: ping"),
    ]
)


@given(name=st.sampled_from(GOOD), junk=st.lists(st.tuples(JUNK, st.integers(0, 99)), max_size=5))
def test_what_cannot_be_read_is_skipped_and_the_answer_is_still_exact(
    name: str, junk: list[tuple[bytes, int]]
) -> None:
    events = body_of(name).split(b"\n\n")
    for piece, at in junk:
        events.insert(at % len(events), piece)  # before the end marker, or what is left of it
    deltas, end = read(adapter_for(name), b"\n\n".join(events))
    expected, whole = read(adapter_for(name), body_of(name))
    assert told(end) == told(whole)
    assert deltas == expected


def test_events_that_cannot_be_read_are_counted() -> None:
    for adapter in (OPENAI, ANTHROPIC):
        reader = reader_of(adapter)
        reader.feed(b": comment\n\ndata: {\n\ndata: 42\n\nevent: ping\n\n")
        assert reader.skipped == 2
        assert not reader.whole


@given(
    at=st.sampled_from([OPENAI, ANTHROPIC]),
    body=st.binary(max_size=200)
    | st.lists(st.sampled_from(GOOD).map(body_of)).map(lambda bodies: b"".join(bodies)[:3000]),
)
def test_any_bytes_end_in_a_reply_or_a_typed_error(at: WireAdapterUnderTest, body: bytes) -> None:
    _, end = read(at, body)
    if isinstance(end, Reply):
        assert isinstance(end.output, ChatOutput)


def test_thinking_is_a_sign_of_life_and_no_text() -> None:
    thought = b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"Hm."}}]}\n\n'
    reader = reader_of(OPENAI)
    assert reader.feed(b": keep-alive\n\n") == []
    assert not reader.begun
    assert reader.feed(thought) == []
    assert reader.begun


def test_token_counts_of_a_message_are_running_totals() -> None:
    start = (
        b'data: {"type":"message_start","message":{"usage":{"input_tokens":9,'
        b'"cache_read_input_tokens":1,"output_tokens":1}}}\n\n'
    )
    later = b'data: {"type":"message_delta","delta":{},"usage":{"output_tokens":%d}}\n\n'
    reader = reader_of(ANTHROPIC)
    reader.feed(start + later % 4 + later % 8)
    assert reader.usage == Usage(10, 8, 1)


def test_a_stream_is_asked_for_without_compression() -> None:
    for adapter in (OPENAI, ANTHROPIC):
        plain, streamed = adapter.build(CHAT, target()), adapter.build_stream(CHAT, target())
        asked = msgspec.json.decode(streamed.body)
        assert asked.pop("stream") is True
        asked.pop("stream_options", None)
        assert asked == msgspec.json.decode(plain.body)
        assert streamed.url == plain.url
        assert streamed.headers["accept-encoding"] == "identity"
        assert isinstance(CHAT.input, ChatInput)
