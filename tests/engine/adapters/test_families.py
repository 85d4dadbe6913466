"""Every family of adapters keeps the same promises: one set of tests, a table of examples."""

from __future__ import annotations

from binascii import a2b_base64

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from tests.engine.adapters.families import (
    ALL,
    CHAT,
    DRAW,
    DRAWN,
    PICTURE,
    PIXEL,
    REFUSALS,
    REPLIES,
    REQUESTS,
    STREAMS,
    Asked,
    family_of,
    response_of,
    stream_of,
)
from tests.engine.adapters.wire import WALL_S, answer, example, target
from understudy.adapters.base import Reply, StreamingAdapter
from understudy.adapters.family import Family
from understudy.adapters.raw_pictures import RawPictures
from understudy.secret import Secret
from understudy.transport.http import HttpResponse
from understudy_actors.domain.delta import Delta, TextDelta
from understudy_actors.domain.errors import ERROR_TYPES, ProviderError
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import Request
from understudy_sim.testing.adapter import verify_adapter

PNG = a2b_base64(PIXEL)
STREAMING = [each for each in ALL if isinstance(ALL[each], StreamingAdapter)]


def read(name: str, body: bytes, cuts: list[int] | None = None) -> tuple[str, object]:
    """The text that a body delivers in these pieces, and how it ends."""
    reader = family_of(name).reader(target(), {}, WALL_S)
    deltas, start = list[Delta](), 0
    end: object
    try:
        for at in [*sorted({cut % (len(body) + 1) for cut in cuts or ()}), len(body)]:
            deltas += reader.feed(body[start:at])
            start = at
        deltas += reader.close()
        end = reader.reply()
    except tuple(ERROR_TYPES.values()) as error:
        end = error.kind
    return "".join(each.text for each in deltas if isinstance(each, TextDelta)), end


@pytest.mark.parametrize("asked", REQUESTS, ids=lambda each: each.example)
def test_a_request_is_built_as_documented(asked: Asked) -> None:
    expected = example(asked.example)
    built = family_of(asked.example).build(asked.request, asked.target)
    assert built.method == expected.get("method", "POST")
    assert built.url.endswith(expected["path"])
    assert expected.get("headers", {}).items() <= built.headers.items()
    assert msgspec.json.decode(built.body) == expected["body"]


@pytest.mark.parametrize("name", REPLIES)
def test_an_answer_is_read_as_documented(name: str) -> None:
    request, expected = REPLIES[name]
    assert family_of(name).parse(request, target(), response_of(name), WALL_S) == expected


@pytest.mark.parametrize("name", REFUSALS)
def test_a_success_that_is_none_is_an_error(name: str) -> None:
    request, expected = REFUSALS[name]
    with pytest.raises(ProviderError) as caught:
        family_of(name).parse(request, target(), response_of(name), WALL_S)
    assert caught.value.kind is expected


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_read(name: str) -> None:
    drawn = family_of(name).parse(Request.image("a cube"), target(), answer(DRAWN[name]), WALL_S)
    assert drawn.output == PICTURE


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_read_as_documented(name: str) -> None:
    body = stream_of(name)
    assert read(name, body, list(range(len(body)))) == STREAMS[name]


@given(name=st.sampled_from(sorted(STREAMS)), cuts=st.lists(st.integers(0, 3000), max_size=9))
def test_where_a_stream_is_cut_into_chunks_never_matters(name: str, cuts: list[int]) -> None:
    text, end = read(name, stream_of(name), cuts)
    whole, expected = STREAMS[name]
    assert end == expected
    # What came in one piece with an error may be left out.
    assert text == whole or (isinstance(end, ErrorClass) and whole.startswith(text))


@given(name=st.sampled_from(sorted(STREAMS)), cut=st.integers(0, 3000))
def test_a_stream_that_breaks_off_is_no_answer(name: str, cut: int) -> None:
    body = stream_of(name)
    text, end = read(name, body[: cut % len(body)])
    whole, expected = STREAMS[name]
    assert whole.startswith(text)
    if isinstance(end, Reply):  # only what was cut off behind its finish reason may be missing
        assert isinstance(expected, Reply)
        assert end.output == expected.output
    else:
        assert end in (ErrorClass.MALFORMED, expected)


@given(name=st.sampled_from(sorted(STREAMS)), data=st.data())
@settings(max_examples=60)
def test_bytes_that_were_changed_end_in_a_reply_or_a_typed_error(
    name: str, data: st.DataObject
) -> None:
    body = bytearray(stream_of(name))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    read(name, bytes(body))


@pytest.mark.parametrize("name", ALL)
def test_a_family_keeps_the_laws_of_an_adapter(name: str) -> None:
    own = [
        (request, response_of(file))
        for file, (request, _) in REPLIES.items()
        if file.partition(".")[0] == name
    ]
    if name in DRAWN:
        own.append((Request.image("a cube"), answer(DRAWN[name])))
    if isinstance(ALL[name], RawPictures):
        own.append((DRAW, HttpResponse(200, {"content-type": "image/png"}, PNG)))
    verify_adapter(ALL[name], examples=own, tries=80)


@pytest.mark.parametrize("name", STREAMING)
def test_a_stream_is_asked_for_without_compression_and_with_the_same_words(name: str) -> None:
    adapter = family_of(name)
    plain, streamed = adapter.build(CHAT, target()), adapter.build_stream(CHAT, target())
    assert streamed.headers["accept-encoding"] == "identity"
    one, other = msgspec.json.decode(plain.body), msgspec.json.decode(streamed.body)
    assert {**one, "stream": None} == {**other, "stream": None} or one == other


@pytest.mark.parametrize("name", ALL)
def test_a_check_costs_nothing_and_fails_by_the_same_rules(name: str) -> None:
    adapter: Family = family_of(name)
    probe = adapter.check(target())
    assert probe.method == "GET" or probe.url.endswith("/count-tokens")
    assert adapter.check_failure(target(), answer({"models": []}), WALL_S) is None
    failed = adapter.check_failure(target(), answer({}, 401), WALL_S)
    assert failed is not None
    assert failed.kind is ErrorClass.AUTH


@pytest.mark.parametrize("name", ALL)
def test_what_a_family_has_no_words_for_is_a_bad_request(name: str) -> None:
    adapter = family_of(name)
    with pytest.raises(ProviderError) as caught:
        adapter.build(Request.custom("juggle"), target())
    assert caught.value.kind is ErrorClass.BAD_REQUEST
    with pytest.raises(ProviderError) as caught:
        adapter.check(target(key=Secret("no\nkey")))
    assert caught.value.kind is ErrorClass.AUTH


@pytest.mark.parametrize("name", ALL)
def test_an_error_within_a_success_is_none(name: str) -> None:
    adapter = family_of(name)
    body = {"error": {"message": "no", "code": 503, "status": "UNAVAILABLE"}}
    for request in (CHAT, DRAW):
        with pytest.raises(ProviderError):
            adapter.parse(request, target(), answer(body), WALL_S)
        with pytest.raises(ProviderError):
            adapter.parse(request, target(), HttpResponse(200, {}, b""), WALL_S)
