"""Heads end: those that are too long, too many, or never whole are refused."""

from __future__ import annotations

import pytest

from tests.engine.gateway.heads import Connection
from understudy.gateway import heads
from understudy.gateway.heads import HEAD_MAX, HEAD_S, HEADERS_MAX

GET = b"GET /health HTTP/1.1\r\n"
POST = b"POST /v1/embeddings HTTP/1.1\r\n"


def fields(count: int) -> bytes:
    return b"".join(b"x-%d: y\r\n" % n for n in range(count))


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        ([GET + b"\r\n"], (0, False, 1)),
        ([GET, b"a: b\r\n", b"\r\n"], (0, False, 1)),
        ([GET + fields(HEADERS_MAX) + b"\r\n"], (0, False, 1)),
        ([GET + fields(HEADERS_MAX + 1) + b"\r\n"], (431, True, 0)),
        ([GET + b"a: ", *[b"y" * 4096] * (HEAD_MAX // 4096)], (0, False, 0)),
        ([GET + b"a: ", *[b"y" * 4096] * (HEAD_MAX // 4096 + 1)], (431, True, 0)),
        ([b"GET /", *[b"z" * 4096] * 17], (431, True, 0)),
        ([GET, *[fields(500)] * 17], (431, True, 0)),
        ([POST + b"content-length: 200000\r\n\r\n", b"x" * 100_000, b"x" * 100_000], (0, False, 1)),
        ([b"no such thing\r\n\r\n"], (400, True, 0)),
    ],
    ids=range(10),
)
def test_a_head_is_bounded(pieces: list[bytes], told: tuple[int, bool, int]) -> None:
    assert Connection(heads).send(*pieces).told() == told


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        ([], (0, True, 0)),
        ([GET], (408, True, 0)),
        ([GET + b"\r\n"], (0, False, 1)),
        ([POST + b"content-length: 9\r\n\r\n"], (0, False, 1)),
    ],
    ids=["not a byte", "half a head", "a whole one", "no body yet"],
)
def test_a_head_that_does_not_end_is_given_up(
    pieces: list[bytes], told: tuple[int, bool, int]
) -> None:
    connection = Connection(heads).send(*pieces)
    assert {timer.seconds for timer in connection.loop.timers} == {HEAD_S}
    connection.loop.pass_time()
    assert connection.told() == told


def test_the_next_head_has_its_own_time() -> None:
    connection = Connection(heads).send(GET + b"\r\n")
    connection.protocol.cycle.response_started = connection.protocol.cycle.response_complete = True
    connection.send(GET)
    assert [timer.cancelled for timer in connection.loop.timers] == [True, False]
    connection.loop.pass_time()
    assert connection.told() == (408, True, 1)


def test_nothing_is_written_into_an_answer_that_is_under_way() -> None:
    connection = Connection(heads).send(GET + b"\r\n")
    connection.protocol.cycle.response_started = True
    assert connection.send(b"no such thing\r\n\r\n").told() == (0, True, 1)
