"""Whatever arrives, an adapter answers with a reply or a typed error, and never shows the key."""

from __future__ import annotations

import contextlib
import traceback
from typing import Any

import msgspec
import pytest
from hypothesis import example as case, given, strategies as st

from tests.engine.adapters.wire import (
    ANTHROPIC,
    CHAT,
    COMPATIBLE,
    EXAMPLES,
    OPENAI,
    WALL_S,
    adapter_for,
    answer,
    example,
    target,
)
from understudy.adapters.base import Reply
from understudy.adapters.body import COUNT_MAX
from understudy.adapters.delay import DELAY_MAX_S, LIMITS
from understudy.secret import Secret
from understudy.transport.http import HttpResponse
from understudy_actors.domain.errors import ERROR_TYPES, MalformedResponse, ProviderError
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import ChatOutput, EmbeddingOutput, ImageOutput

EMBED = Request.embed("a", "b", dimensions=4)
DRAW = Request.image("a red cube")
SUCCESSES: dict[str, Request] = {
    "openai.chat.response": CHAT,
    "openai.chat.response-tools": CHAT,
    "openai.embeddings.response-float": EMBED,
    "openai.embeddings.response-base64": EMBED,
    "openai.images.response": DRAW,
    "mistral.chat.response-thinking": CHAT,
    "anthropic.messages.response": CHAT,
    "anthropic.messages.response-tools": CHAT,
}
ERRORS = sorted(path.stem for path in EXAMPLES.glob("*.error.*.json"))
KINDS = {"chat": ChatOutput, "embedding": EmbeddingOutput, "image": ImageOutput}
OWN_KEY = "k3y-0f-0ur-0wn"


def outcome(
    adapter: Any, request: Request, response: HttpResponse, **fields: Any
) -> Reply | ProviderError:
    """The reply or the typed error: any other exception fails the test. Both are well formed."""
    found: Reply | ProviderError
    try:
        found = adapter.parse(request, target(**fields), response, WALL_S)
    except ProviderError as error:
        found = error
    if isinstance(found, ProviderError):
        assert type(found) is ERROR_TYPES[found.kind]
        assert found.retry_after_s is None or 0 <= found.retry_after_s <= DELAY_MAX_S
        assert found.detail is None or len(found.detail) <= 200
        assert found.code is None or len(found.code) <= 64
    else:
        assert isinstance(found.output, KINDS[request.operation])
        if (usage := found.usage) is not None:
            assert 0 <= usage.cached_tokens <= usage.input_tokens <= COUNT_MAX
            assert 0 <= usage.reasoning_tokens <= usage.output_tokens <= COUNT_MAX
    return found


names = st.sampled_from(sorted(SUCCESSES))


@given(name=names, data=st.data())
def test_a_truncated_answer_is_never_a_success(name: str, data: st.DataObject) -> None:
    body = msgspec.json.encode(example(name))
    cut = data.draw(st.integers(0, len(body) - 1))
    found = outcome(adapter_for(name), SUCCESSES[name], HttpResponse(200, {}, body[:cut]))
    assert isinstance(found, MalformedResponse)


@given(name=names, data=st.data())
def test_flipped_bytes_give_an_answer_or_a_typed_error(name: str, data: st.DataObject) -> None:
    body = bytearray(msgspec.json.encode(example(name)))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    outcome(adapter_for(name), SUCCESSES[name], HttpResponse(200, {}, bytes(body)))


def paths(value: object, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a JSON value."""
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)  # type: ignore[assignment]
    return [
        path for key, inner in items for path in ((*prefix, key), *paths(inner, (*prefix, key)))
    ]


odd_values: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, 0, -1, 2**31, 1e18, 1.5, "", "x", "\u0000", [], {}, [{}], {"a": []}]
)
# What may be missing or odd without the answer being another one.
UNREAD = {"id", "object", "created", "model", "service_tier", "system_fingerprint"} | {
    "role", "usage", "stop_sequence", "stop_details", "background", "quality", "size"
}  # fmt: skip
UNREAD_WITHIN = {"logprobs", "role", "annotations"}


@given(name=names, data=st.data(), odd=odd_values, remove=st.booleans())
def test_an_odd_value_anywhere_is_noticed_where_it_matters(
    name: str, data: st.DataObject, odd: object, remove: bool
) -> None:
    document = example(name)
    whole = outcome(adapter_for(name), SUCCESSES[name], answer(document))
    path = data.draw(st.sampled_from(paths(document)))
    place = document
    for key in path[:-1]:
        place = place[key]
    if remove:
        del place[path[-1]]
    else:
        place[path[-1]] = odd
    found = outcome(adapter_for(name), SUCCESSES[name], answer(document))
    if (path[0] in UNREAD or path[-1] in UNREAD_WITHIN) and isinstance(found, Reply):
        assert isinstance(whole, Reply)
        assert found.output == whole.output


headers = st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms", "x-request-id", *sum(LIMITS, ())]),
    st.text(max_size=40),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "type", "message", "detail", "choices", "data"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def try_encode(value: object) -> bytes:
    """`value` as JSON; empty where it has no JSON form."""
    with contextlib.suppress(Exception):
        return msgspec.json.encode(value)
    return b""


@given(
    body=st.binary(max_size=200) | json_values.map(try_encode),
    status=st.integers(0, 999),
    sent=headers,
    request=st.sampled_from([CHAT, EMBED, DRAW]),
    overrides=st.none() | json_values,
)
@case(body=b"null", status=200, sent={}, request=CHAT, overrides=None)
@case(body=b"[" * 5000, status=400, sent={}, request=CHAT, overrides=None)
@pytest.mark.parametrize("adapter", [OPENAI, COMPATIBLE, ANTHROPIC], ids=lambda a: a.name)
def test_anything_at_all_gives_a_reply_or_a_typed_error(
    adapter: Any,
    body: bytes,
    status: int,
    sent: dict[str, str],
    request: Request,
    overrides: object,
) -> None:
    if adapter is ANTHROPIC:
        request = CHAT
    found = outcome(
        adapter, request, HttpResponse(status, sent, body), options={"errors": overrides}
    )
    if not 200 <= status < 300:
        assert isinstance(found, ProviderError)


@given(
    name=st.sampled_from(ERRORS),
    place=st.sampled_from(["message", "code", "type", "param"]),
    before=st.text(max_size=300),
    after=st.text(max_size=300),
    status=st.sampled_from([200, 400, 401, 429, 500]),
)
def test_no_error_shows_the_key_wherever_the_provider_puts_it(
    name: str, place: str, before: str, after: str, status: int
) -> None:
    body = example(name)["body"]
    error = body["error"] if isinstance(body.get("error"), dict) else body
    error[place] = f"{before}{OWN_KEY}{after}"
    found = outcome(
        adapter_for(name),
        CHAT,
        HttpResponse(status, {"retry-after": OWN_KEY}, try_encode(body)),
        key=Secret(OWN_KEY),
    )
    assert isinstance(found, ProviderError)
    shown = "".join(traceback.format_exception(found)) + repr(found) + repr(vars(found))
    assert OWN_KEY not in shown


@pytest.mark.parametrize("status", [200, 400, 500])
def test_no_error_echoes_the_prompt_in_its_message(status: int) -> None:
    prompt = "my very secret prompt"
    body = {"error": {"message": f"cannot serve: {prompt}", "type": prompt, "code": prompt}}
    found = outcome(OPENAI, Request.chat(prompt), answer(body, status))
    assert isinstance(found, ProviderError)
    assert prompt not in "".join(traceback.format_exception(found))
    assert found.code is None
