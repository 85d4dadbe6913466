"""Every answer, event and error is of its form: the vendors' own models say so, and our document.

The models are those of the vendors' SDKs, in strict mode. Our document is read closed: a field that
it does not name is a fault here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Final, get_args, get_origin

import anthropic.types
import httpx
import jsonschema_rs
import msgspec
import openai.types
import pytest
from openai.types import responses, shared
from pydantic import TypeAdapter

from tests.engine.gateway.service import decode, on_loop, oracle, serving
from understudy import ChatOutput, ErrorClass, Request
from understudy.gateway.app import WIRES, openapi
from understudy.gateway.problem import Problem
from understudy_actors.domain.delta import Delta, TextDelta, ToolCallDelta
from understudy_actors.domain.errors import provider_error
from understudy_actors.domain.request import ChatInput
from understudy_sim.mock.settings import Behaviour

Json = dict[str, Any]
HELLO: Final = [{"role": "user", "content": "hello"}]
SCHEMA: Final[Json] = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION: Final[Json] = {"name": "get_weather", "parameters": SCHEMA}
PNG: Final = b"\x89PNG\r\n\x1a\n"

ASKED: Final[dict[str, list[Json]]] = {
    "/v1/chat/completions": [
        {"messages": HELLO},
        {"messages": HELLO, "tools": [{"type": "function", "function": FUNCTION}]},
        {"messages": HELLO, "max_tokens": 1},
    ],
    "/v1/embeddings": [
        {"input": ["a", "bcd"], "encoding_format": "float"},
        {"input": "a", "encoding_format": "base64"},
    ],
    "/v1/images/generations": [{"prompt": "a cat", "n": 2}],
    "/v1/responses": [
        {"input": "hello", "instructions": "be kind", "metadata": {"a": "b"}},
        {"input": "hello", "tools": [{"type": "function", **FUNCTION, "strict": True}]},
        {"input": "hello", "max_output_tokens": 1, "parallel_tool_calls": None, "tools": None},
    ],
    "/v1/messages": [
        {"messages": HELLO, "max_tokens": 99},
        {
            "messages": HELLO,
            "max_tokens": 99,
            "tools": [{"name": "get_weather", "input_schema": SCHEMA}],
        },
        {"messages": HELLO, "max_tokens": 1},
    ],
}  # fmt: skip
"""Bodies for each path, with any model."""

VENDORS: Final[dict[str, Any]] = {
    "/v1/chat/completions": openai.types.chat.ChatCompletion,
    "/v1/embeddings": openai.types.CreateEmbeddingResponse,
    "/v1/images/generations": openai.types.ImagesResponse,
    "/v1/images/edits": openai.types.ImagesResponse,
    "/v1/responses": responses.Response,
    "/v1/messages": anthropic.types.Message,
}
EVENTS: Final[dict[str, Any]] = {
    "/v1/chat/completions": openai.types.chat.ChatCompletionChunk,
    "/v1/responses": responses.ResponseStreamEvent,
    "/v1/messages": anthropic.types.RawMessageStreamEvent,
}
"""What the vendors' SDKs read answers and events as."""


def closed(value: Any) -> Any:
    """A schema that takes no field which it does not name."""
    if isinstance(value, list):
        return [closed(each) for each in value]
    if not isinstance(value, dict):
        return value
    told = {key: closed(inner) for key, inner in value.items()}
    if isinstance(told.get("properties"), dict):
        told.setdefault("additionalProperties", False)
    return told


DOCUMENT: Final[Json] = decode(openapi())
CLOSED: Final[Json] = {"schemas": closed(DOCUMENT["components"]["schemas"])}


@cache
def form_of(path: str, status: int, event: bool) -> jsonschema_rs.Draft202012Validator:
    """What our document says of a path's answers."""
    (said,) = DOCUMENT["paths"][path].values()
    told = said["responses"][str(status)]
    if "$ref" in told:
        told = DOCUMENT["components"]["responses"][told["$ref"].rpartition("/")[2]]
    schema = told["content"]["text/event-stream" if event else "application/json"]["schema"]
    if event:
        data = schema["properties"]["data"]
        schema = data.get("anyOf", [data])[-1]["contentSchema"]
    return jsonschema_rs.Draft202012Validator({**schema, "components": CLOSED})


def ours(path: str, value: Any, *, status: int = 200, event: bool = False) -> None:
    """Hold a value against that."""
    faults = form_of(path, status, event).iter_errors(value)
    assert not [f"{path}: {each}" for each in faults], value


@cache
def adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def theirs(model: Any, value: Any) -> None:
    """Hold a value against a vendor's model; of several, against that of its type."""
    union = get_args(get_args(model)[0]) if get_origin(model) is Annotated else ()
    for each in union:
        if value.get("type") in get_args(each.model_fields["type"].annotation):
            model = each
    adapter(model).validate_json(msgspec.json.encode(value), strict=True)


async def fickle(request: Request) -> Any:
    """Answers, or fails in the way that the prompt names; answers of one token are cut."""
    asked = request.input
    said = asked.messages[-1].content if isinstance(asked, ChatInput) else ""
    words = str(said or getattr(asked, "texts", ("",))[0] or getattr(asked, "prompt", ""))
    if words.startswith("fail "):
        raise provider_error(ErrorClass(words.removeprefix("fail ")), "scripted")
    if isinstance(asked, ChatInput) and asked.max_tokens == 1:
        return ChatOutput("you", "length")
    return await oracle(request)


def events_of(body: str) -> Iterator[Any]:
    """What the events of a stream hold."""
    for block in body.strip().split("\n\n"):
        lines = dict(line.partition(": ")[::2] for line in block.split("\n"))
        if lines.get("data", "[DONE]") != "[DONE]":
            value = decode(lines["data"].encode())
            assert lines.get("event") in (None, value.get("type"))
            yield value


@on_loop
async def test_every_answer_is_of_its_form() -> None:
    async with (
        serving(oracle=fickle) as service,
        httpx.AsyncClient(base_url=service.url, trust_env=False) as http,
    ):
        for path, bodies in ASKED.items():
            for body in bodies:
                answer = await http.post(path, json={"model": "auto", **body})
                assert answer.status_code == 200, answer.text
                ours(path, answer.json())
                if body.get("encoding_format") != "base64":  # which the SDK's own model refuses
                    theirs(VENDORS[path], answer.json())
        form = {"model": "auto", "prompt": "blue"}
        edited = await http.post("/v1/images/edits", data=form, files={"image": PNG})
        ours("/v1/images/edits", edited.json())
        theirs(VENDORS["/v1/images/edits"], edited.json())
        counted = await http.post(
            "/v1/messages/count_tokens", json={"model": "auto", "messages": HELLO}
        )
        ours("/v1/messages/count_tokens", counted.json())
        theirs(anthropic.types.MessageTokensCount, counted.json())


@on_loop
async def test_every_event_is_of_its_form() -> None:
    async with (
        serving(behaviours=(Behaviour(),), oracle=fickle) as service,
        httpx.AsyncClient(base_url=service.url, trust_env=False) as http,
    ):
        for path, model in EVENTS.items():
            options = {"stream_options": {"include_usage": True}} if "chat" in path else {}
            bodies = [{"model": "auto", **body, "stream": True, **options} for body in ASKED[path]]
            for body in [*bodies, {**bodies[0], "model": "m"}]:
                answer = await http.post(path, json=body)
                assert answer.headers["content-type"].startswith("text/event-stream")
                events = list(events_of(answer.text))
                assert len(events) >= 3
                for event in events:
                    ours(path, event, event=True)
                    theirs(model, event)


@on_loop
async def test_models_are_of_their_forms() -> None:
    async with (
        serving(oracle=fickle) as service,
        httpx.AsyncClient(base_url=service.url, trust_env=False) as http,
    ):
        for headers, model in (
            ({}, openai.types.Model),
            ({"anthropic-version": "2023-06-01"}, anthropic.types.ModelInfo),
        ):
            listed = (await http.get("/v1/models", headers=headers)).json()
            ours("/v1/models", listed)
            for each in listed["data"]:
                theirs(model, each)
                one = (await http.get(f"/v1/models/{each['id']}", headers=headers)).json()
                ours("/v1/models/{name}", one)
                assert one == each


def error_model(path: str) -> Any:
    return anthropic.types.ErrorResponse if path == "/v1/messages" else shared.ErrorObject


@on_loop
async def test_every_error_is_of_its_form() -> None:
    """Every way in which providers fail, in the words of every format, whole and streamed."""
    async with (
        serving({"breaker": {"trip_after": 10_000}}, oracle=fickle) as service,
        httpx.AsyncClient(base_url=service.url, trust_env=False) as http,
    ):
        seen = set()
        for path, (first, *_) in ASKED.items():
            for failure in ErrorClass:
                said = f"fail {failure}"
                body = {"model": "auto", **first}
                for field in {"prompt", "input"} & body.keys():
                    body[field] = said
                if "messages" in body:
                    body["messages"] = [{"role": "user", "content": said}]
                streams = path in EVENTS and failure in (ErrorClass.SERVER, ErrorClass.RATE_LIMIT)
                for more in ({}, {"stream": True}) if streams else ({},):
                    service.engine.reset()
                    answer = await http.post(path, json={**body, **more})
                    assert answer.status_code >= 400, (path, failure, answer.text)
                    seen.add(answer.status_code)
                    ours(path, answer.json(), status=answer.status_code)
                    vendor = answer.json() if path == "/v1/messages" else answer.json()["error"]
                    theirs(error_model(path), vendor)
        assert seen == {400, 404, 429, 502, 504}


@pytest.mark.parametrize("path", EVENTS)
def test_an_error_within_a_stream_is_of_its_form(path: str) -> None:
    wire = dict(WIRES)[path]
    asked = wire.read({"model": "m", **ASKED[path][0], "stream": True})
    problem = Problem(status=502, message="it was cut", code="stream_broken")
    deltas: list[list[Delta]] = [
        [],
        [TextDelta("a")],
        [TextDelta("a"), ToolCallDelta(0, "{", "c", "f")],
    ]
    for pieces in deltas:
        frames = wire.frames(asked, "r1", 0)
        assert frames is not None
        body = frames.begin("m") + b"".join(map(frames.piece, pieces)) + frames.fail(problem)
        *whole, last = events_of(body.decode())
        for event in whole:
            theirs(EVENTS[path], event)
        for event in (*whole, last):
            ours(path, event, event=True)
        if path == "/v1/responses":
            theirs(EVENTS[path], last)
        else:
            theirs(error_model(path), last if path == "/v1/messages" else last["error"])


def test_a_field_that_nobody_names_is_a_fault_here() -> None:
    good = {"input_tokens": 1}
    ours("/v1/messages/count_tokens", good)
    for bad in ({}, {"input_tokens": "1"}, {**good, "more": 1}):
        with pytest.raises(AssertionError):
            ours("/v1/messages/count_tokens", bad)
