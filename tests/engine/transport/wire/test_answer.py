"""Laws of reading responses: what comes out depends on the bytes alone, and wrong ones say so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, Final

import h11
import pytest
from hypothesis import given, settings, strategies as st

from tests.engine.transport.wire.responses import (
    ENDLESS,
    OK,
    PLACES,
    WRONG,
    Drawn,
    cut_at,
    drawn,
)
from understudy.transport.wire import answer as real

SHORT: Final = OK + b"Content-Length: 2\r\n\r\nab"


def read(answer: Any, pieces: Iterable[bytes]) -> None:
    """Feed everything."""
    for piece in pieces:
        answer.feed(piece)


def refuses(module: ModuleType, answer: Any, pieces: Iterable[bytes]) -> str:
    """Why these are refused; empty if they are not."""
    try:
        read(answer, pieces)
    except module.NoHttp as error:
        assert not answer.done
        return str(error)
    return ""


def assert_says(answer: Any, said: Drawn) -> None:
    """It was read as it was meant."""
    assert (answer.status, answer.headers, answer.take()) == (said.status, said.headers, said.body)
    assert (answer.done, answer.reusable, answer.size) == (True, said.lasts, len(said.body))


def check_pieces(module: ModuleType) -> None:
    """In whatever pieces responses come, one after the other, they say the same."""

    @settings(max_examples=40)
    @given(st.lists(drawn(), min_size=1, max_size=3), PLACES)
    def law(responses: list[Drawn], places: list[int]) -> None:
        answer = module.Answer()
        for response in responses:
            answer.begin("POST")
            read(answer, cut_at(response.wire, places))
            if response.by_close:
                assert not answer.done
                answer.feed(b"")
            assert_says(answer, response)
            if not response.lasts:
                answer = module.Answer()

    law()


def check_cuts(module: ModuleType) -> None:
    """A response that was cut is none, unless its end is the connection's."""

    @settings(max_examples=40)
    @given(drawn(), PLACES, st.data())
    def law(response: Drawn, places: list[int], data: st.DataObject) -> None:
        length = data.draw(st.integers(0, len(response.wire) - 1))
        answer = module.Answer()
        answer.begin("POST")
        read(answer, cut_at(response.wire[:length], places))
        if response.by_close and answer.headed:
            return
        assert not answer.done
        assert "closed before" in refuses(module, answer, [b""])

    law()


def check_wrong(module: ModuleType) -> None:
    """What is wrong is refused, in whatever pieces it comes, and never a success."""

    @settings(max_examples=40)
    @given(st.sampled_from(sorted(WRONG)), PLACES)
    def law(name: str, places: list[int]) -> None:
        answer = module.Answer()
        answer.begin("POST")
        assert refuses(module, answer, [*cut_at(WRONG[name], places), b""]), name

    for name in sorted(WRONG):
        answer = module.Answer()
        answer.begin("POST")
        assert refuses(module, answer, [WRONG[name], b""]), name
    law()


def check_followed(module: ModuleType) -> None:
    """Whatever follows an answer changes nothing of it, and condemns its connection."""
    answer = module.Answer()
    answer.begin("POST")
    answer.feed(SHORT + OK)
    assert (answer.done, answer.reusable, answer.take()) == (True, False, b"ab")

    @settings(max_examples=40)
    @given(drawn().filter(lambda r: not r.by_close), st.binary(min_size=1) | drawn(), PLACES)
    def law(response: Drawn, more: bytes | Drawn, places: list[int]) -> None:
        following = more.wire if isinstance(more, Drawn) else more
        answer = module.Answer()
        answer.begin("POST")
        read(answer, cut_at(response.wire + following, places))
        assert answer.done
        assert not answer.reusable
        assert (answer.status, answer.size) == (response.status, len(response.body))
        assert answer.headers == response.headers

    law()


def check_bodiless(module: ModuleType) -> None:
    """No body follows where none may, whatever its length is said to be."""
    answer = module.Answer()
    for method, status in (("HEAD", 200), ("GET", 204), ("HEAD", 304), ("GET", 304)):
        answer.begin(method)
        answer.feed(b"HTTP/1.1 %d OK\r\nContent-Length: 5\r\n\r\n" % status)
        assert answer.reusable
        assert answer.take() == b""
        answer.begin("GET")
        answer.feed(SHORT)
        assert (answer.take(), answer.reusable) == (b"ab", True)
        answer.begin(method)
        answer.feed(b"HTTP/1.1 %d OK\r\nContent-Length: 5\r\n\r\nhello" % status)
        assert (answer.done, answer.reusable, answer.take()) == (True, False, b"")
        answer = module.Answer()


def check_bounds(module: ModuleType) -> None:
    """Nothing goes on for ever that is no body."""
    for begin, again in ENDLESS.values():
        answer = module.Answer()
        answer.begin("POST")
        times = 2 * real.BARREN_BYTES_MAX // len(again)
        assert refuses(module, answer, [*([begin] if begin else []), *[again] * times])
    answer = module.Answer()
    answer.begin("POST")  # a long body in small chunks is none of these
    read(answer, [OK + b"Transfer-Encoding: chunked\r\n\r\n", *([b"1\r\nx\r\n"] * 30_000)])
    read(answer, [b"0\r\n\r\n"])
    assert (answer.done, answer.size) == (True, 30_000)


def by_h11(wire: bytes) -> tuple[int, bytes] | None:
    """What another reader makes of a whole response; None if it refuses it."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="POST", target="/", headers=[("host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(wire)
    connection.receive_data(b"")
    status, body = 0, b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return status, body
            elif event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return None
    except h11.RemoteProtocolError:
        return None


def check_damaged(module: ModuleType) -> None:
    """Of bytes that were damaged on the way it makes nothing else than another reader does."""

    @settings(max_examples=40)
    @given(drawn(), st.data(), PLACES)
    def law(response: Drawn, data: st.DataObject, places: list[int]) -> None:
        wire = bytearray(response.wire)
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(wire) - 1))
            new = data.draw(st.sampled_from([b"", b"\r\n", b"0", b"1", b" ", b":", b",", b"\xff"]))
            wire[at : at + data.draw(st.integers(0, 2))] = new
        answer = module.Answer()
        answer.begin("POST")
        if refuses(module, answer, cut_at(bytes(wire), places)):
            return
        if not answer.done and refuses(module, answer, [b""]):
            return
        other = by_h11(bytes(wire))
        assert other is None or other == (answer.status, answer.take())

    law()


LAWS: Final = (
    check_bodiless,
    check_wrong,
    check_bounds,
    check_pieces,
    check_cuts,
    check_followed,
    check_damaged,
)


@pytest.mark.parametrize("law", LAWS)
def test_answers_are_read_by_the_law(law: Callable[[ModuleType], None]) -> None:
    law(real)


@given(st.binary(), PLACES)
def test_any_bytes_are_refused_or_awaited(data: bytes, places: list[int]) -> None:
    assert refuses(real, real.Answer(), [*cut_at(data, places), b""])


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (WRONG["two lengths"], "Duplicate Content-Length"),
        (WRONG["a folded header"], "Unexpected whitespace after header value"),
        (WRONG["compressed in transfer"], "its transfer encoding is none that was asked for"),
        (WRONG["another protocol told"], "it switches to a protocol that nobody asked for"),
        (WRONG["no HTTP"], "it does not begin as a response does"),
    ],
)
def test_a_refusal_says_why(wire: bytes, why: str) -> None:
    assert refuses(real, real.Answer(), [wire]) == why


def test_it_shows_how_far_it_is() -> None:
    answer = real.Answer()
    assert repr(answer) == "<Answer ???, 0 bytes, awaited>"
    answer.feed(SHORT[:-1])
    assert repr(answer) == "<Answer 200, 1 bytes, open>"
    answer.feed(SHORT[-1:])
    assert repr(answer) == "<Answer 200, 2 bytes, whole>"
