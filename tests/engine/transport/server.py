"""A tiny HTTP server on loopback that behaves as its path says, well or badly."""

from __future__ import annotations

import gzip
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import attrs
import trio

STEP_BYTES: Final = 65_536
BOMB: Final = gzip.compress(b"\0" * 4_000_000)


def whole(body: bytes, *headers: str) -> bytes:
    """A response with a length."""
    head = "".join(f"{header}\r\n" for header in headers)
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (head.encode(), len(body), body)


CHUNKED: Final = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n there\r\n0\r\n\r\n"
)
ANSWERS: Final = {
    "/ok": whole(b"hello", "X-Request-ID: req_1"),
    "/chunked": CHUNKED,
    "/gzip": whole(gzip.compress(b"hello"), "Content-Encoding: gzip"),
    "/bomb": whole(BOMB, "Content-Encoding: gzip"),
    "/damaged": whole(gzip.compress(b"hello" * 99)[:-9], "Content-Encoding: gzip"),
    "/brotli": whole(b"?", "Content-Encoding: br"),
    "/redirect": b"HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n",
    "/declared": b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n",
}
"""Paths that are answered with fixed bytes on a connection that stays open."""

CUTS: Final = {
    "/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
    "/cut-chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "/cut-head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "/nothing": b"",
    "/garbage": b"I am no HTTP server\r\n\r\n",
}
"""Paths that are answered with fixed bytes, after which the connection is closed."""


@attrs.define
class Server:
    """What the server saw: its address, connections made and open, and requests by path."""

    port: int
    connections: int = 0
    open: int = 0
    requests: list[str] = attrs.field(factory=list)
    heads: list[bytes] = attrs.field(factory=list)
    gate: trio.Event = attrs.field(factory=trio.Event)
    flooded: int = 0
    step: trio.MemorySendChannel[bytes] = attrs.field(init=False)
    steps: trio.MemoryReceiveChannel[bytes] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.step, self.steps = trio.open_memory_channel[bytes](10)

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Answer one connection's requests in turn."""
        self.connections += 1
        self.open += 1
        try:
            async with stream:
                while await self._answer(stream):
                    pass
        except trio.BrokenResourceError:
            pass
        finally:
            self.open -= 1

    async def _answer(self, stream: trio.abc.Stream) -> bool:
        """Answer one request; False when the connection is to be closed."""
        head = await _head(stream)
        if head is None:
            return False
        path = head.split(b" ", 2)[1].decode()
        self.requests.append(path)
        self.heads.append(head)
        if path in ANSWERS:
            await stream.send_all(ANSWERS[path])
            return True
        if path in CUTS:
            await stream.send_all(CUTS[path])
            return False
        return await self._odd(path, stream)

    async def _odd(self, path: str, stream: trio.abc.Stream) -> bool:
        if path == "/slow":
            await trio.sleep(0.02)
            await stream.send_all(ANSWERS["/ok"])
            return True
        if path == "/held":
            await self.gate.wait()
            await stream.send_all(ANSWERS["/ok"])
            return True
        if path == "/never":
            await stream.receive_some(1)
        if path == "/reset":
            assert isinstance(stream, trio.SocketStream)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if path in ("/flood", "/steps"):
            await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while path == "/flood":
            await stream.send_all(b"%x\r\n%s\r\n" % (STEP_BYTES, bytes(STEP_BYTES)))
            self.flooded += STEP_BYTES
        if path == "/steps":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send_steps, stream)
                await stream.receive_some(1)  # until the client leaves
                nursery.cancel_scope.cancel()
        return False

    async def _send_steps(self, stream: trio.abc.Stream) -> None:
        async for step in self.steps:
            await stream.send_all(b"%x\r\n%s\r\n" % (len(step), step))


async def _head(stream: trio.abc.Stream) -> bytes | None:
    """The head of a request, its body read and dropped; None when the client hung up."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := await stream.receive_some(STEP_BYTES)):
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            missing = int(line.partition(b":")[2]) - len(body)
            while missing > 0:
                if not (more := await stream.receive_some(missing)):
                    return None
                missing -= len(more)
    return head


@asynccontextmanager
async def running_server() -> AsyncIterator[Server]:
    """A server on a free port of loopback."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=512)
    server = Server(listeners[0].socket.getsockname()[1])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, server.serve, listeners)
        try:
            yield server
        finally:
            nursery.cancel_scope.cancel()
