"""One connection: bytes out, bytes in, and the answer that is read from it.

Sockets are used directly, without trio's streams: what the system takes or gives at once costs no
turn of the scheduler, and closing waits for nothing, so that it can be done anywhere.
"""

from __future__ import annotations

import select
import socket
from typing import Final, Protocol

import trio

from understudy.transport.wire.answer import Answer

RECEIVE_BYTES: Final = 65_536
"""As much is read at once; nothing is read before somebody asks for it."""


class Line(Protocol):
    """A connection to a server. `idle_at` is when its last answer ended."""

    answer: Answer
    idle_at: float

    def offer(self, data: bytes | memoryview) -> int:
        """Give the system what it takes at once; how much that was.

        Raises:
            OSError: It took nothing, since the connection is broken.
        """
        ...

    async def send_all(self, data: bytes | memoryview) -> None:
        """Send everything."""
        ...

    async def receive(self) -> bytes:
        """What comes next; empty when the server has closed."""
        ...

    def stale(self) -> bool:
        """Has the server closed it, or said something unasked? Then it is of no use."""
        ...

    def close(self) -> None:
        """Close it, at once; whoever waits for it is told."""
        ...


class PlainLine:
    """A connection without encryption."""

    __slots__ = ("_socket", "answer", "idle_at")

    def __init__(self, owned: socket.socket) -> None:
        self._socket = owned
        self.answer = Answer()
        self.idle_at = 0.0

    def offer(self, data: bytes | memoryview) -> int:
        """Give the system what it takes at once; see `Line.offer`."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    async def send_all(self, data: bytes | memoryview) -> None:
        """Send everything; see `Line.send_all`."""
        left = memoryview(data)
        while left:
            await trio.lowlevel.wait_writable(self._socket)
            left = left[self.offer(left) :]

    async def receive(self) -> bytes:
        """What comes next; see `Line.receive`."""
        while self._socket.fileno() >= 0:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                return self._socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue  # a wakeup for nothing
        raise trio.ClosedResourceError("this connection was closed here")

    def stale(self) -> bool:
        """Is it of no use any more? See `Line.stale`."""
        try:
            self._socket.recv(1)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        """Close it; see `Line.close`."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


class TlsLine:
    """An encrypted connection."""

    __slots__ = ("_socket", "_stream", "answer", "idle_at")

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self._stream = stream
        self._socket = stream.transport_stream.socket
        self.answer = Answer()
        self.idle_at = 0.0

    def offer(self, data: bytes | memoryview) -> int:  # noqa: ARG002
        """Nothing is taken at once: how much of it left would not be known; see `Line.offer`."""
        return 0

    async def send_all(self, data: bytes | memoryview) -> None:
        """Send everything; see `Line.send_all`."""
        await self._stream.send_all(data)

    async def receive(self) -> bytes:
        """What comes next; see `Line.receive`."""
        return bytes(await self._stream.receive_some(RECEIVE_BYTES))

    def stale(self) -> bool:
        """Is it of no use any more? See `Line.stale`."""
        waiting = select.poll()
        waiting.register(self._socket.fileno(), select.POLLIN)
        return bool(waiting.poll(0))

    def close(self) -> None:
        """Close it; see `Line.close`."""
        self._socket.close()
