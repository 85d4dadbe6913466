"""What callers send: the vendors' own examples, and what is wrong with a body."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from tests.engine.adapters.wire import ANTHROPIC, EXAMPLES, OPENAI, target
from understudy.gateway.asked import Wire
from understudy.gateway.problem import Refused
from understudy.gateway.wires.anthropic_messages import AnthropicMessages
from understudy.gateway.wires.openai_chat import OpenAIChat
from understudy.gateway.wires.openai_embeddings import OpenAIEmbeddings
from understudy.gateway.wires.openai_images import OpenAIImages
from understudy.gateway.wires.responses import Responses
from understudy_actors.domain.request import ChatInput

WIRES: list[Wire] = [
    OpenAIChat(), OpenAIEmbeddings(), OpenAIImages(), Responses(), AnthropicMessages()
]  # fmt: skip
MINIMAL: dict[type, dict[str, Any]] = {
    OpenAIChat: {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    OpenAIEmbeddings: {"model": "m", "input": "hi"},
    OpenAIImages: {"model": "m", "prompt": "a cat"},
    Responses: {"model": "m", "input": "hi"},
    AnthropicMessages: {
        "model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]
    },
}  # fmt: skip


def example(name: str) -> dict[str, Any]:
    read = msgspec.json.decode((EXAMPLES / f"{name}.json").read_bytes())
    body: dict[str, Any] = read.get("body", read)
    return body


@pytest.mark.parametrize("name", ["openai.chat.request", "openai.chat.toolresult-request"])
def test_what_a_caller_sends_reaches_a_target_of_the_same_format(name: str) -> None:
    body = example(name)
    asked = OpenAIChat().read(body)
    sent = msgspec.json.decode(OPENAI.build(asked.request, target()).body or b"")
    for field in ("messages", "temperature", "seed", "tool_choice", "parallel_tool_calls"):
        assert sent.get(field) == body.get(field), field
    assert sent.get("max_completion_tokens") == body.get("max_completion_tokens")
    assert [t["function"]["name"] for t in sent.get("tools", ())] == [
        t["function"]["name"] for t in body.get("tools", ())
    ]


@pytest.mark.parametrize(
    "name", ["anthropic.messages.request", "anthropic.messages.toolresult-request"]
)
def test_what_a_caller_of_anthropic_sends_reaches_such_a_target(name: str) -> None:
    body = example(name)
    asked = AnthropicMessages().read(body)
    sent = msgspec.json.decode(ANTHROPIC.build(asked.request, target()).body or b"")
    assert _flat(sent["messages"]) == _flat(body["messages"])
    assert sent["max_tokens"] == body["max_tokens"]
    assert {t["name"] for t in sent.get("tools", ())} == {t["name"] for t in body.get("tools", ())}


def test_a_request_for_a_response_is_a_chat() -> None:
    asked = Responses().read(example("openai.responses.request"))
    chat = asked.request.input
    assert isinstance(chat, ChatInput)
    assert [each.role for each in chat.messages] == ["developer", "user"]
    assert chat.max_tokens == 64
    assert [each.name for each in chat.tools] == ["get_weather"]


def test_calls_of_one_turn_are_one_turn() -> None:
    items = [
        {"role": "user", "content": "both"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "function_call_output", "call_id": "b", "output": "2"},
    ]
    chat = Responses().read({"model": "m", "input": items}).request.input
    assert isinstance(chat, ChatInput)
    assert [each.role for each in chat.messages] == ["user", "assistant", "tool", "tool"]
    assert [each.id for each in chat.messages[1].tool_calls] == ["a", "b"]


@pytest.mark.parametrize("wire", WIRES, ids=lambda each: type(each).__name__)
def test_any_model_will_do_if_it_is_auto(wire: Wire) -> None:
    body = {**MINIMAL[type(wire)], "model": "auto"}
    assert wire.read(body).request.model is None
    assert wire.read(MINIMAL[type(wire)]).request.model == "m"


@pytest.mark.parametrize("wire", WIRES, ids=lambda each: type(each).__name__)
@given(data=st.data())
def test_any_json_is_read_or_refused(wire: Wire, data: st.DataObject) -> None:
    """One field of a good body is anything at all: nothing but a refusal may come of it."""
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
    form = MINIMAL[type(wire)]
    field = data.draw(st.sampled_from([*form, "stream", "tools", "stop", "n", "user", "text"]))
    with suppress(Refused):
        assert wire.read({**form, field: data.draw(values)}).model


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"messages": [{"role": "user", "content": "hi"}]}, "model"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": [{"role": "wizard", "content": "s3cret"}]}, "messages[0].role"),
        ({"model": "m", "messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({**MINIMAL[OpenAIChat], "temperature": 3}, "temperature"),
        ({**MINIMAL[OpenAIChat], "n": 2}, "n: one answer"),
        ({**MINIMAL[OpenAIChat], "logprobs": True}, "logprobs is not supported"),
        ({**MINIMAL[OpenAIChat], "response_format": {"type": "json_schema"}}, "schema"),
    ],
)
def test_a_wrong_body_is_refused_by_the_name_of_its_field(body: Any, said: str) -> None:
    with pytest.raises(Refused) as caught:
        OpenAIChat().read(body)
    assert said in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("field", ["previous_response_id", "background", "conversation"])
def test_a_response_that_needs_a_memory_is_refused(field: str) -> None:
    with pytest.raises(Refused, match=field):
        Responses().read({**MINIMAL[Responses], field: True})


def test_fields_that_mean_nothing_are_let_be() -> None:
    asked = OpenAIChat().read({**MINIMAL[OpenAIChat], "logprobs": False, "reasoning_effort": "low"})
    assert isinstance(asked.request.input, ChatInput)
    assert asked.request.input.extra == {"openai": {"logprobs": False, "reasoning_effort": "low"}}
    to_other = msgspec.json.decode(ANTHROPIC.build(asked.request, target()).body or b"")
    assert "reasoning_effort" not in to_other


def _flat(turns: list[dict[str, Any]]) -> list[Any]:
    """Turns with their text as blocks, and without what is a default."""
    flat = []
    for turn in turns:
        content = turn["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        flat.append(
            (turn["role"], [{k: v for k, v in b.items() if v is not False} for b in blocks])
        )
    return flat
