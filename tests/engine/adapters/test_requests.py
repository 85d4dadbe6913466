"""What goes over the wire is what the providers document."""

from __future__ import annotations

import contextlib
import itertools
from base64 import b64decode
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from python_multipart import FormParser
from python_multipart.multipart import parse_options_header

from tests.engine.adapters.wire import (
    ANTHROPIC,
    COMPATIBLE,
    KEY,
    OPENAI,
    WireAdapterUnderTest,
    example,
    target,
)
from understudy.adapters.openai_requests import answer_limit, fits_strict
from understudy.secret import Secret
from understudy.transport.http import HttpRequest
from understudy_actors.domain.errors import AuthenticationFailed, BadRequest
from understudy_actors.domain.request import (
    ChatInput,
    ImageFile,
    ImagePart,
    Message,
    Request,
    TextPart,
    Tool,
    ToolCall,
)

ADAPTERS: list[WireAdapterUnderTest] = [OPENAI, COMPATIBLE, ANTHROPIC]
PIXEL: str = example("openai.images.response")["data"][0]["b64_json"]


ODD: dict[str, object] = {"deep": {"a": 1}, "o": "é"}


def sent(request: HttpRequest) -> dict[str, Any]:
    """The body of a request."""
    body: dict[str, Any] = msgspec.json.decode(request.body)
    return body


def weather(description: str, *, closed: bool) -> Tool:
    """The tool of the examples."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return Tool(
        "get_weather", description, schema | ({"additionalProperties": False} if closed else {})
    )


def test_an_openai_chat_is_built_as_documented() -> None:
    expected = example("openai.chat.request")
    extra = {name: expected["body"][name] for name in ("n", "parallel_tool_calls", "stream")}
    picture = ImagePart("data:image/png;base64,iVBORw0KGgo=", "low")
    request = Request.chat(
        (
            Message("developer", "Answer briefly."),
            Message("user", (TextPart("Weather in Oslo?"), picture)),
        ),
        max_tokens=64,
        temperature=0.2,
        top_p=1,
        seed=7,
        stop=("END",),
        tools=(weather("Current weather for a city", closed=True),),
        tool_choice="auto",
        json_schema=expected["body"]["response_format"]["json_schema"]["schema"],
        user="u-1",
    )
    built = OPENAI.build(request, target(options={"body": extra}))
    assert (built.method, built.url) == ("POST", "https://api.openai.com/v1/chat/completions")
    assert built.headers == expected["headers"]
    assert sent(built) == expected["body"]


def test_an_openai_tool_result_is_built_as_documented() -> None:
    call = ToolCall("call_ex1", "get_weather", '{"city":"Oslo"}')
    turns = (
        Message("user", "Weather in Oslo?"),
        Message("assistant", tool_calls=(call,)),
        Message("tool", "4C, rain", tool_call_id="call_ex1"),
    )
    built = OPENAI.build(Request.chat(turns), target())
    assert sent(built) == example("openai.chat.toolresult-request")


def test_openai_embeddings_and_pictures_are_built_as_documented() -> None:
    embed = Request.embed("a", "b", dimensions=4, user="u-1")
    built = OPENAI.build(embed, target(model="text-embedding-3-small"))
    assert built.url.endswith("/v1/embeddings")
    assert sent(built) == example("openai.embeddings.request")

    expected = example("openai.images.request")
    extra = {name: expected[name] for name in ("background", "output_compression", "moderation")}
    draw = Request.image(
        "a red cube", size="1024x1024", quality="low", output_format="png", user="u-1"
    )
    built = OPENAI.build(draw, target(model="gpt-image-2.5-flare", options={"body": extra}))
    assert built.url.endswith("/v1/images/generations")
    assert sent(built) == expected


def test_an_openai_edit_is_a_form_as_documented() -> None:
    documented = example("openai.images-edit.request")
    files = [
        (each["name"], ImageFile(b64decode(each["base64"]), each["content_type"]))
        for each in documented["files"]
    ]
    (_, picture), (_, mask) = files
    edit = Request.edit_image("make it blue", picture, picture, mask=mask, size="1024x1024")
    built = OPENAI.build(edit, target(model="gpt-image-2.5-flare"))
    assert built.url.endswith("/v1/images/edits")
    fields, found = read_form(built)
    assert fields == documented["fields"]
    assert found == [files[0], files[0], files[1]]
    alone = OPENAI.build(Request.edit_image("make it blue", picture), target())
    assert [name for name, _ in read_form(alone)[1]] == ["image"]


@given(st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=3), st.data())
def test_any_pictures_survive_the_form(pictures: list[bytes], data: st.DataObject) -> None:
    """Even those that hold line ends, dashes and the boundary of another form."""
    files = tuple(map(ImageFile, pictures))
    first = OPENAI.build(Request.edit_image("x", *files), target()).body
    at = data.draw(st.integers(0, len(first) - 1))
    tricky = ImageFile(first[at:] + b"\r\n--")
    built = OPENAI.build(
        Request.edit_image("x", *files, mask=tricky), target(options={"body": ODD})
    )
    fields, found = read_form(built)
    assert [each.data for _, each in found] == [*pictures, tricky.data]
    assert fields == {"model": "gpt-5.4-mini", "prompt": "x", "n": "1", "deep": '{"a":1}', "o": "é"}


@pytest.mark.parametrize("kind", ["image/png\r\nx: y", "image/\ud800", "image/é"])
def test_a_picture_of_no_media_type_is_refused_before_the_call(kind: str) -> None:
    with pytest.raises(BadRequest, match="media type"):
        OPENAI.build(Request.edit_image("x", ImageFile(b"x", kind)), target())


def read_form(built: HttpRequest) -> tuple[dict[str, str], list[tuple[str, ImageFile]]]:
    """The texts and files of a form, as somebody else's parser reads them."""
    kind, options = parse_options_header(built.headers["content-type"])
    assert kind == b"multipart/form-data"
    texts: dict[str, str] = {}
    files: list[tuple[str, ImageFile]] = []

    def text(field: Any) -> None:
        texts[field.field_name.decode()] = (field.value or b"").decode()

    def file(found: Any) -> None:
        found.file_object.seek(0)
        data = found.file_object.read()
        files.append((found.field_name.decode(), ImageFile(data, found.content_type)))

    parser = FormParser("multipart/form-data", text, file, boundary=options[b"boundary"])
    parser.write(built.body)
    parser.finalize()
    return texts, files


def test_a_compatible_server_is_spoken_to_in_its_own_dialect() -> None:
    expected = example("mistral.chat.request-delta")
    extra = {
        name: expected[name]
        for name in ("safe_prompt", "parallel_tool_calls", "response_format", "tool_choice")
    }
    request = Request.chat("hi", max_tokens=64, stop=("END",), seed=7, user="u-1")
    built = COMPATIBLE.build(
        request,
        target(model="mistral-small-latest", options={"seed_field": "random_seed", "body": extra}),
    )
    assert sent(built) == expected


def test_an_anthropic_message_is_built_as_documented() -> None:
    expected = example("anthropic.messages.request")
    picture = ImagePart(f"data:image/png;base64,{PIXEL}")
    request = Request.chat(
        (Message("user", (TextPart("Weather in Oslo?"), picture)),),
        system="Answer briefly.",
        max_tokens=64,
        stop=("END",),
        tools=(weather("Current weather", closed=False),),
        tool_choice="auto",
        user="u-1",
    )
    extra = {"stream": False, "tool_choice": expected["body"]["tool_choice"]}
    built = ANTHROPIC.build(
        request, target("anthropic", key=Secret("sk-ant-test"), options={"body": extra})
    )
    assert (built.method, built.url) == ("POST", "https://api.anthropic.com/v1/messages")
    assert built.headers == expected["headers"]
    assert sent(built) == expected["body"]


def test_an_anthropic_tool_result_is_built_as_documented() -> None:
    expected = example("anthropic.messages.toolresult-request")
    del expected["messages"][2]["content"][0]["is_error"]  # false, which it is anyway
    call = ToolCall("toolu_ex", "get_weather", '{"city":"Oslo"}')
    turns = (
        Message("user", "Weather in Oslo?"),
        Message("assistant", tool_calls=(call,)),
        Message("tool", "4C, rain", tool_call_id="toolu_ex"),
    )
    built = ANTHROPIC.build(Request.chat(turns, max_tokens=64), target("anthropic"))
    assert sent(built) == expected


roles = st.sampled_from(["system", "developer", "user", "assistant", "tool"])
turns = st.lists(
    st.builds(
        Message,
        role=roles,
        content=st.one_of(
            st.text(min_size=1, max_size=5),
            st.lists(st.builds(TextPart, st.text(min_size=1, max_size=5)), min_size=1, max_size=2),
        ),
        tool_call_id=st.just("call_1"),
    ),
    max_size=8,
)


@given(turns)
def test_anthropic_turns_alternate_and_nothing_said_is_lost(messages: list[Message]) -> None:
    body = sent(ANTHROPIC.build(Request.chat(messages), target("anthropic")))
    said = [turn["role"] for turn in body["messages"]]
    assert all(one != next_one for one, next_one in itertools.pairwise(said))
    assert set(said) <= {"user", "assistant"}
    on_the_wire = msgspec.json.encode([body.get("system", ""), body["messages"]]).decode()
    for message in messages:
        parts = [message.content] if isinstance(message.content, str) else message.content
        for part in parts:
            text = part if isinstance(part, str) else getattr(part, "text", "")
            assert msgspec.json.encode(text).decode()[1:-1] in on_the_wire


def test_anthropic_instructions_and_neighbours_are_merged() -> None:
    messages = [
        Message("system", "Be kind."),
        Message("user", "One."),
        Message("developer", "Be brief."),
        Message("user", "Two."),
        Message("tool", "3", tool_call_id="c"),
    ]
    body = sent(ANTHROPIC.build(Request.chat(messages), target("anthropic")))
    assert body["system"] == "Be kind.\n\nBe brief."
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "One."},
                {"type": "text", "text": "Two."},
                {"type": "tool_result", "tool_use_id": "c", "content": "3"},
            ],
        }
    ]


def test_anthropic_sampling_is_bounded_and_can_be_left_out() -> None:
    request = Request.chat("hi", temperature=1.7, top_p=0.5, seed=3)
    built = ANTHROPIC.build(request, target("anthropic"))
    assert built.headers["anthropic-version"] == "2023-06-01"
    assert (sent(built)["temperature"], sent(built)["top_p"]) == (1.0, 0.5)
    assert "seed" not in sent(built)
    dropped = sent(ANTHROPIC.build(request, target("anthropic", options={"drop_sampling": True})))
    assert not {"temperature", "top_p"} & set(dropped)


@pytest.mark.parametrize(("version", "sent_along"), [("2023-06-01", True), ("2026-10-21", False)])
def test_anthropics_later_version_is_sent_no_sampling(version: str, sent_along: bool) -> None:
    request = Request.chat("hi", temperature=0.5, top_p=0.9)
    to = target("anthropic", headers={"Anthropic-Version": version})
    built = ANTHROPIC.build(request, to)
    assert built.headers["anthropic-version"] == version
    assert ({"temperature", "top_p"} <= sent(built).keys()) == sent_along


def test_anthropic_choices_schemas_and_addresses() -> None:
    def choice(name: str) -> object:
        request = Request.chat("hi", tools=(Tool("f"),), tool_choice=name)
        return sent(ANTHROPIC.build(request, target("anthropic")))["tool_choice"]

    assert choice("none") == {"type": "none"}
    assert choice("required") == {"type": "any"}
    assert choice("f") == {"type": "tool", "name": "f"}
    request = Request.chat("hi", json_schema={"type": "object"})
    built = ANTHROPIC.build(request, target("anthropic", base_url="https://x.example/v1/"))
    assert built.url == "https://x.example/v1/messages"
    assert sent(built)["output_config"] == {
        "format": {"type": "json_schema", "schema": {"type": "object"}}
    }
    picture = Message("user", (ImagePart("https://x.example/a.png"),))
    body = sent(ANTHROPIC.build(Request.chat([picture]), target("anthropic")))
    source = {"type": "url", "url": "https://x.example/a.png"}
    assert body["messages"][0]["content"] == [{"type": "image", "source": source}]


@given(st.none() | st.integers(1, 99), st.none() | st.integers(1, 99))
def test_an_answer_is_bounded_by_caller_and_target(asked: int | None, cap: int | None) -> None:
    limit = answer_limit(asked, cap)
    given_limits = [each for each in (asked, cap) if each is not None]
    assert limit == min(given_limits, default=None)
    request = Request.chat("hi", max_tokens=asked)
    openai = sent(OPENAI.build(request, target(max_output_tokens=cap)))
    assert openai.get("max_completion_tokens") == limit
    compatible = sent(COMPATIBLE.build(request, target(max_output_tokens=cap)))
    assert compatible.get("max_tokens") == limit
    anthropic = sent(ANTHROPIC.build(request, target("anthropic", max_output_tokens=cap)))
    assert anthropic["max_tokens"] == (limit or 4096)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda a: a.name)
def test_the_key_is_in_the_headers_and_nowhere_else(adapter: WireAdapterUnderTest) -> None:
    for built in (adapter.build(Request.chat("hi"), target()), adapter.check(target())):
        assert KEY in "".join(built.headers.values())
        assert KEY not in built.url + repr(built) + built.body.decode()
    bare = adapter.build(Request.chat("hi"), target(key=None))
    assert not {"authorization", "x-api-key"} & set(bare.headers)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda a: a.name)
def test_headers_of_the_target_come_last(adapter: WireAdapterUnderTest) -> None:
    own = {"Content-Type": "x/y", "OpenAI-Organization": "org", "Anthropic-Version": "2026-10-21"}
    headers = adapter.build(Request.chat("hi"), target(headers=own)).headers
    assert headers["content-type"] == "x/y"
    assert headers["openai-organization"] == "org"
    assert headers["anthropic-version"] == "2026-10-21"


@pytest.mark.parametrize("key", ["a b", "a\nb", "ключ", "\x00"])
@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda a: a.name)
def test_a_key_that_no_header_can_carry_is_refused_unseen(
    adapter: WireAdapterUnderTest, key: str
) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        adapter.build(Request.chat("hi"), target(key=Secret(key)))
    assert key not in str(caught.value)
    assert caught.value.__context__ is None
    with pytest.raises(AuthenticationFailed):
        adapter.check(target(key=Secret(key)))


def test_a_key_may_end_in_a_line_break_as_files_do() -> None:
    built = OPENAI.build(Request.chat("hi"), target(key=Secret("abc\n")))
    assert built.headers["authorization"] == "Bearer abc"


bad_requests = {
    "an unknown role": Request.chat([Message("wizard", "hi")]),
    "half a surrogate pair": Request.chat("secret prompt \ud800"),
    "a foreign type": Request.chat("hi", json_schema={"x": object()}),
    "an operation of the user's": Request.custom("mine"),
}


@pytest.mark.parametrize("name", bad_requests)
@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda a: a.name)
def test_what_cannot_be_said_is_a_bad_request(adapter: WireAdapterUnderTest, name: str) -> None:
    with pytest.raises(BadRequest) as caught:
        adapter.build(bad_requests[name], target())
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


anthropic_only = {
    "an image that is none": Request.chat([Message("user", (ImagePart("file:///x"),))]),
    "an image among instructions": Request.chat([Message("system", (ImagePart("https://x"),))]),
    "arguments that are none": Request.chat(
        [Message("assistant", tool_calls=(ToolCall("c", "f", "[1]"),))]
    ),
    "a result of nothing": Request.chat([Message("tool", "3")]),
    "an embedding": Request.embed("a"),
}


@pytest.mark.parametrize("name", anthropic_only)
def test_what_anthropic_cannot_say_is_a_bad_request(name: str) -> None:
    with pytest.raises(BadRequest):
        ANTHROPIC.build(anthropic_only[name], target("anthropic"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
schema_like = st.dictionaries(
    st.sampled_from(["type", "properties", "required", "items", "anyOf", "$defs", "x"]),
    st.sampled_from(["object", "string"]) | json_values,
)


@given(schema_like | json_values)
def test_any_schema_can_be_sent(schema: Any) -> None:
    assert fits_strict(schema) in (True, False)
    parameters = schema if isinstance(schema, dict) else {}
    request = Request.chat("hi", json_schema=parameters, tools=(Tool("f", "", parameters),))
    for adapter in ADAPTERS:
        with contextlib.suppress(BadRequest):
            adapter.build(request, target())


def test_strict_is_asked_for_only_where_it_would_be_granted() -> None:
    closed = {"type": "object", "properties": {}, "additionalProperties": False}
    assert fits_strict(closed)
    assert fits_strict(
        closed
        | {"properties": {"a": {"type": "array", "items": {"type": "string"}}}, "required": ["a"]}
    )
    assert not fits_strict(closed | {"properties": {"a": {"type": "string"}}})
    assert not fits_strict(closed | {"additionalProperties": True})
    assert not fits_strict(
        closed | {"properties": {"a": {"type": "string", "format": "x"}}, "required": ["a"]}
    )
    assert not fits_strict({"type": "string"})


def test_a_named_tool_is_chosen_by_its_name() -> None:
    request = Request.chat("hi", tools=(Tool("f"),), tool_choice="f")
    assert sent(OPENAI.build(request, target()))["tool_choice"] == {
        "type": "function",
        "function": {"name": "f"},
    }
    assert isinstance(request.input, ChatInput)
