"""Who goes on with a turn that another one began, and how it is told: as its vendor documents."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.engine.adapters.wire import COMPATIBLE, target
from understudy.adapters.openai_requests import Dialect
from understudy.config import KINDS, endpoints, parse
from understudy.transport.http import HttpRequest
from understudy_actors.domain.request import ChatInput, Message, Request, ToolCall

BEGUN = (Message("user", "Count."), Message("assistant", "One, two"))
CALLED = (Message("user", "Call."), Message("assistant", "", (ToolCall("1", "f", "{}"),)))
ASKED = (*BEGUN, Message("user", "Go on."))


def built(kind: str, turns: tuple[Message, ...], base_url: str | None = None) -> list[HttpRequest]:
    """The request for a whole answer and the one for a stream."""
    own = KINDS[kind]
    to = target(kind, base_url=base_url or own.base_url, options=dict(own.dialect))
    request = Request(operation="chat", input=ChatInput(turns, seed=7))
    return [COMPATIBLE.build(request, to), COMPATIBLE.build_stream(request, to)]


def last_turns(requests: list[HttpRequest]) -> list[Any]:
    return [msgspec.json.decode(each.body)["messages"][-1] for each in requests]


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("mistral", "https://api.mistral.ai/v1/chat/completions"),
        ("deepseek", "https://api.deepseek.com/beta/chat/completions"),
    ],
)
def test_a_turn_to_be_continued_says_so_and_goes_where_it_is_continued(kind: str, url: str) -> None:
    requests = built(kind, BEGUN)
    said = {"role": "assistant", "content": "One, two", "prefix": True}
    assert last_turns(requests) == [said, said]
    assert [each.url for each in requests] == [url, url]


@pytest.mark.parametrize("turns", [ASKED, CALLED, ()])
@pytest.mark.parametrize("kind", ["mistral", "deepseek", "groq"])
def test_everything_else_goes_as_ever(kind: str, turns: tuple[Message, ...]) -> None:
    for each in built(kind, turns):
        assert each.url == f"{KINDS[kind].base_url}/chat/completions"
        assert b"prefix" not in each.body


def test_others_are_not_told_since_they_may_refuse_what_they_do_not_know() -> None:
    assert last_turns(built("groq", BEGUN)) == [{"role": "assistant", "content": "One, two"}] * 2


@pytest.mark.parametrize("base", ["https://a.b", "https://a.b/v1", "https://a.b/beta"])
def test_another_address_has_its_beta_side_at_the_same_place(base: str) -> None:
    for each in built("deepseek", BEGUN, base):
        assert each.url == "https://a.b/beta/chat/completions"


def test_mistral_is_sent_no_field_that_it_refuses() -> None:
    whole, stream = (msgspec.json.decode(each.body) for each in built("mistral", ASKED))
    assert (whole["random_seed"], "seed" in whole) == (7, False)
    assert (stream["stream"], "stream_options" in stream) == (True, False)
    _, others = (msgspec.json.decode(each.body) for each in built("deepseek", ASKED))
    assert others["stream_options"] == {"include_usage": True}


def test_the_table_says_who_can() -> None:
    able = {name for name, kind in KINDS.items() if "prefill" in kind.capabilities}
    assert able == {name for name, kind in KINDS.items() if ("prefix_flag", True) in kind.dialect}
    assert able == {"mistral", "deepseek"}
    known = {*Dialect.__struct_fields__, "minute_units", "path"}  # the last is of pictures
    assert {name for kind in KINDS.values() for name, _ in kind.dialect} <= known
    config = parse({"providers": {"mistral": {"models": ["m"]}, "groq": {"models": ["g"]}}})
    assert [each.capabilities for each in endpoints(config)] == [("prefill",), ()]
