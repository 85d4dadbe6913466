"""A server on loopback whose every connection follows a script; what came is kept as it came."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import attrs
import trio

Script: TypeAlias = Callable[["Wire"], Awaitable[None]]


@attrs.define
class Wire:
    """One connection, on the server's side. `number` counts them from 0; `done`: all was said."""

    stream: trio.abc.Stream
    number: int
    done: bool = False
    heard: bytearray = attrs.field(factory=bytearray)

    async def request(self) -> bytes:
        """The next whole request; empty when the client hung up."""
        while b"\r\n\r\n" not in self.heard:
            if not await self._hear():
                return b""
        head, _, _ = bytes(self.heard).partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        whole = len(head) + 4 + length
        while len(self.heard) < whole:
            if not await self._hear():
                return b""
        request = bytes(self.heard[:whole])
        del self.heard[:whole]
        return request

    async def say(self, data: bytes) -> None:
        """Send bytes."""
        await self.stream.send_all(data)

    async def _hear(self) -> bool:
        more = await self.stream.receive_some(65_536)
        self.heard += more
        return bool(more)


@attrs.define
class Scripted:
    """The server: its port, and connections made and open."""

    port: int
    script: Script
    secret: ssl.SSLContext | None
    made: int = 0
    open: int = 0
    wires: list[Wire] = attrs.field(factory=list)
    tls: list[Any] = attrs.field(factory=list)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """An address here."""
        return f"http{'s' if self.secret else ''}://{host}:{self.port}{path}"

    def has_made(self, connections: int) -> bool:
        """Are there as many by now?"""
        return self.made >= connections

    async def serve(self, stream: trio.SocketStream) -> None:
        """Follow the script."""
        number, self.made, self.open = self.made, self.made + 1, self.open + 1
        end: trio.abc.Stream = stream
        try:
            if self.secret is not None:
                end = secured = trio.SSLStream(
                    stream, self.secret, server_side=True, https_compatible=True
                )
                await secured.do_handshake()
                self.tls.append(secured.selected_alpn_protocol())
            wire = Wire(end, number)
            self.wires.append(wire)
            await self.script(wire)
            await stream.aclose()
            wire.done = True
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(stream)
            self.open -= 1


@asynccontextmanager
async def scripted(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Scripted]:
    """Such a server, for the length of a block."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=512)
    server = Scripted(listeners[0].socket.getsockname()[1], script, tls)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, server.serve, listeners)
        try:
            with trio.fail_after(10):
                yield server
        finally:
            nursery.cancel_scope.cancel()


def ok(body: bytes = b"ok", *headers: bytes) -> bytes:
    """A short answer."""
    head = b"".join(header + b"\r\n" for header in headers)
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


async def obliging(wire: Wire) -> None:
    """Answers whatever is asked, and says on which connection."""
    while await wire.request():
        await wire.say(ok(b"%d" % wire.number))
