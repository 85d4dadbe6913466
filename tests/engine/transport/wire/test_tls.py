"""TLS: only who proves to be the one that was meant gets a word, and no stranger ends a body."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
import trio
import trustme

from tests.engine.transport.kit import until
from tests.engine.transport.wire.scripted import Script, Scripted, Wire, obliging, scripted
from tests.engine.transport.wire.test_wire import (
    Law,
    declines,
    each_its_own,
    echoes,
    gets_all_of_it,
    is_answered_early,
    is_left_as_it_was,
    leaves,
    post,
    refused,
    sends_it_again_nowhere,
    slowly,
    vanishes,
)
from understudy.transport.wire.transport import WireTransport

pytestmark = pytest.mark.wall_clock

AUTHORITY: Final = trustme.CA()
STRANGER: Final = trustme.CA()


def server_side(authority: trustme.CA = AUTHORITY, host: str = "127.0.0.1") -> ssl.SSLContext:
    """What a server shows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert(host).configure_cert(context)
    return context


def client_side() -> ssl.SSLContext:
    """Whom we trust."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    context.set_alpn_protocols(["http/1.1"])
    return context


SHOWN: Final = server_side()
TRUST: Final = client_side()


@asynccontextmanager
async def secured(
    script: Script, shown: ssl.SSLContext = SHOWN, **limits: float
) -> AsyncIterator[tuple[Scripted, WireTransport]]:
    """A server behind TLS, and who trusts one authority."""
    async with scripted(script, shown) as server:
        transport = WireTransport(connections_max=1, tls=TRUST, **limits)  # type: ignore[arg-type]
        try:
            yield server, transport
            assert transport.in_flight == 0
        finally:
            await transport.aclose()


@pytest.mark.parametrize(
    ("script", "law"),
    [
        (echoes, gets_all_of_it),
        (leaves, each_its_own),
        (vanishes, sends_it_again_nowhere),
        (declines, is_answered_early),
        (slowly, is_left_as_it_was),
    ],
)
async def test_it_keeps_the_same_promises(script: Script, law: Law) -> None:
    async with secured(script) as (server, transport):
        await law(transport, server)


async def test_it_speaks_one_version_of_http() -> None:
    async with secured(obliging) as (server, transport):
        for _ in range(3):
            assert (await transport.send("p", post(server.url()))).body == b"0"
        assert server.tls == ["http/1.1"]


@pytest.mark.parametrize(
    ("authority", "host"), [(STRANGER, "127.0.0.1"), (AUTHORITY, "127.0.0.2"), (AUTHORITY, "a.b")]
)
async def test_who_is_not_the_one_that_was_meant_gets_no_word(
    authority: trustme.CA, host: str
) -> None:
    async with secured(obliging, server_side(authority, host)) as (server, transport):
        failed = await refused(transport, post(server.url()))
        assert not failed.sent
        assert "certificate" in str(failed)
        assert server.wires == []
        await until(lambda: server.open == 0)


async def test_a_handshake_takes_no_longer_than_connecting_may() -> None:
    async def silent(wire: Wire) -> None:
        await trio.sleep_forever()

    async with scripted(silent) as server, trio.open_nursery() as nursery:
        transport = WireTransport(tls=TRUST, connect_timeout_s=0.05)
        failed = await refused(transport, post(server.url().replace("http", "https")))
        assert (str(failed), failed.sent) == ("no connection came about in time", False)
        await transport.aclose()
        nursery.cancel_scope.cancel()


async def test_a_body_that_a_stranger_ends_is_none() -> None:
    async def cut(wire: Wire) -> None:
        await wire.request()
        await wire.say(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
        assert isinstance(wire.stream, trio.SSLStream)
        await wire.stream.transport_stream.aclose()  # without a notice that this is the end

    async with secured(cut) as (server, transport):
        assert (await refused(transport, post(server.url()))).sent


async def test_a_body_that_the_server_ends_is_whole() -> None:
    async def end(wire: Wire) -> None:
        await wire.request()
        await wire.say(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        assert isinstance(wire.stream, trio.SSLStream)
        await wire.stream.unwrap()

    async with secured(end) as (server, transport):
        assert (await transport.send("p", post(server.url()))).body == b"all of it"


async def test_a_stream_arrives_in_pieces() -> None:
    async def speak(wire: Wire) -> None:
        while await wire.request():
            await wire.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(5):
                await wire.say(b"4\r\nword\r\n")
            await wire.say(b"0\r\n\r\n")

    async with secured(speak) as (server, transport):
        for _ in range(3):
            stream = await transport.open("p", post(server.url()))
            body = b""
            while piece := await stream.receive():
                body += piece
            await stream.aclose(over=True)
            assert body == b"word" * 5
        assert server.made == 1
