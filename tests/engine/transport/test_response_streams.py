"""Streams over real sockets: piece by piece, at the reader's pace, and nothing is left open."""

from __future__ import annotations

import traceback

import pytest
import trio

from tests.engine.transport.kit import KEY, Connected, closed_by_now, post
from tests.engine.transport.server import STEP_BYTES
from understudy.transport.factory import LazyTransport
from understudy.transport.http import HttpStream, TransportFailed

pytestmark = pytest.mark.wall_clock

UNREAD_BYTES_MAX = 32 * 1024 * 1024
"""What a system's socket buffers may hold of a body that nobody reads; no more is read ahead."""


async def read(stream: HttpStream) -> bytes:
    """The whole body."""
    body = b""
    while piece := await stream.receive():
        body += piece
    return body


@pytest.mark.parametrize("path", ["/ok", "/chunked", "/gzip"])
async def test_a_whole_body_arrives_and_its_connection_serves_again(
    connected: Connected, path: str
) -> None:
    async with connected() as (server, transport):
        for _ in range(5):
            stream = await transport.open("p", post(server.url(path)))
            assert stream.status == 200
            assert (await read(stream)).startswith(b"hello")
            assert await stream.receive() == b""
            await stream.aclose()
            await stream.aclose()
        assert (server.connections, transport.in_flight) == (1, 0)


async def test_each_piece_is_there_before_the_next_is_sent(connected: Connected) -> None:
    async with connected() as (server, transport):
        stream = await transport.open("p", post(server.url("/steps")))
        for number in range(20):
            piece = f"data: {number}\n\n".encode()
            await server.step.send(piece)
            assert await stream.receive() == piece
        await stream.aclose()
        await closed_by_now(server)
        assert transport.in_flight == 0


async def test_what_is_missing_at_the_end_is_read_if_it_comes_at_once(connected: Connected) -> None:
    async with connected() as (server, transport):
        stream = await transport.open("p", post(server.url("/chunked")))
        assert (await stream.receive()).startswith(b"hello")  # one piece or both
        await stream.aclose(over=True)
        assert (await transport.send("p", post(server.url("/ok")))).status == 200
        assert server.connections == 1
        stream = await transport.open("p", post(server.url("/steps")))
        await server.step.send(b"end")
        assert await stream.receive() == b"end"
        await stream.aclose(over=True)  # nothing follows, and nobody waits long for it
        await closed_by_now(server)


async def test_who_leaves_early_leaves_nothing_behind(connected: Connected) -> None:
    async with connected(connections_max=1) as (server, transport):
        for _ in range(10):
            stream = await transport.open("p", post(server.url("/flood")))
            assert await stream.receive()
            await stream.aclose()
            assert transport.in_flight == 0
        await closed_by_now(server)


async def test_who_is_cancelled_while_reading_leaves_nothing_behind(connected: Connected) -> None:
    async with connected(connections_max=1) as (server, transport):
        for _ in range(10):
            with trio.move_on_after(0.02) as scope:
                stream = await transport.open("p", post(server.url("/steps")))
                try:
                    await stream.receive()
                finally:
                    await stream.aclose()
            assert scope.cancelled_caught
            assert transport.in_flight == 0
        with trio.move_on_after(0.02) as scope:
            await transport.open("p", post(server.url("/never")))
        assert scope.cancelled_caught
        assert (await transport.send("p", post(server.url("/ok")))).status == 200
        await closed_by_now(server, still_open=1)


@pytest.mark.parametrize("path", ["/cut", "/cut-chunked", "/damaged"])
async def test_a_body_that_breaks_off_is_a_failure(connected: Connected, path: str) -> None:
    async with connected(connections_max=1) as (server, transport):
        stream = await transport.open("p", post(server.url(path)))
        with pytest.raises(TransportFailed) as caught:
            await read(stream)
        assert caught.value.sent
        assert KEY not in "".join(traceback.format_exception(caught.value))
        await stream.aclose()
        assert (await transport.send("p", post(server.url("/ok")))).status == 200


@pytest.mark.parametrize(
    ("path", "sent"), [("/cut-head", True), ("/nothing", True), ("/brotli", True)]
)
async def test_no_head_is_no_stream(connected: Connected, path: str, sent: bool) -> None:
    async with connected(connections_max=1) as (server, transport):
        with pytest.raises(TransportFailed) as caught:
            await transport.open("p", post(server.url(path)))
        assert caught.value.sent is sent
        assert transport.in_flight == 0
        assert (await transport.send("p", post(server.url("/ok")))).status == 200


@pytest.mark.parametrize("path", ["/flood", "/bomb"])
async def test_a_body_is_bounded_whatever_it_claims(connected: Connected, path: str) -> None:
    async with connected(body_bytes_max=3 * STEP_BYTES) as (server, transport):
        stream = await transport.open("p", post(server.url(path)))
        with pytest.raises(TransportFailed, match="larger"):
            await read(stream)
        await stream.aclose()
        await closed_by_now(server, still_open=1 if path == "/bomb" else 0)


async def test_nothing_is_read_ahead_of_who_reads(connected: Connected) -> None:
    async with connected(body_bytes_max=10**9) as (server, transport):
        stream = await transport.open("p", post(server.url("/flood")))
        before = -1
        while before != server.flooded:  # until the sender is stuck
            before = server.flooded
            await trio.sleep(0.05)
        assert server.flooded < UNREAD_BYTES_MAX
        for _ in range(200):
            await stream.receive()
        assert server.flooded > before
        await stream.aclose()
        await closed_by_now(server)


async def test_a_lazy_transport_opens_streams_too(connected: Connected) -> None:
    async with connected() as (server, _):
        transport = LazyTransport()
        stream = await transport.open("p", post(server.url("/ok")))
        assert await read(stream) == b"hello"
        await stream.aclose()
        await transport.aclose()


async def test_a_closed_transport_opens_nothing(connected: Connected) -> None:
    async with connected() as (server, transport):
        stream = await transport.open("p", post(server.url("/steps")))
        await transport.aclose()
        with pytest.raises(TransportFailed):
            await stream.receive()
        await stream.aclose()
        with pytest.raises(TransportFailed, match="closed"):
            await transport.open("p", post(server.url("/ok")))
        assert transport.in_flight == 0
