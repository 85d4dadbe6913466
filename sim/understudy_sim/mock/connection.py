"""HTTP/1.1 on one accepted socket, and every way to break an answer on it.

h11 knows the protocol, trio the socket; this is in between, because a reset, a cut or a silence
needs the socket itself.
"""

from __future__ import annotations

import math
import socket
import struct
from typing import Final

import h11
import trio

from understudy_sim.fault_kinds import Cut, Drip, FailingFault, Stall
from understudy_sim.mock.stats import Stats
from understudy_sim.mock.wire import Answer

_CHUNK: Final = 64 * 1024
_LINGER_S: Final = 1.0
_DRIPS_PER_S: Final = 10
_SENT: Final = frozenset({h11.DONE, h11.MUST_CLOSE})


class TooLarge(Exception):
    """The request's body is over the limit; the rest of it stays unread."""


class ClientLeft(Exception):
    """The client closed the connection, or is silent for too long."""


class Connection:
    """One connection: read a request, answer it, and again."""

    __slots__ = ("_http", "_max_header", "_stats", "_stream")

    def __init__(self, stream: trio.SocketStream, stats: Stats, max_header_bytes: int) -> None:
        self._stream = stream
        self._stats = stats
        self._max_header = max_header_bytes
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=max_header_bytes)

    async def read_head(self) -> h11.Request:
        """The next request's head.

        Raises:
            ClientLeft: There is none.
            h11.RemoteProtocolError: It is not HTTP, or too large (its hint is 431).
        """
        event = await self._next()
        if not isinstance(event, h11.Request):
            raise ClientLeft
        # h11 bounds only a head that is still incomplete, so one that came at once is measured.
        size = len(event.target) + sum(len(k) + len(v) + 4 for k, v in event.headers)
        if size > self._max_header:
            raise h11.RemoteProtocolError("headers too large", error_status_hint=431)
        return event

    async def read_body(self, limit: int) -> bytes:
        """The body of the request whose head was read.

        Raises:
            TooLarge: It is over `limit` bytes.
            ClientLeft: It did not arrive.
        """
        parts: list[bytes] = []
        size = 0
        while isinstance(event := await self._next(), h11.Data):
            size += len(event.data)
            if size > limit:
                raise TooLarge
            parts.append(bytes(event.data))
        if not isinstance(event, h11.EndOfMessage):
            raise ClientLeft
        return b"".join(parts)

    async def send(self, answer: Answer) -> None:
        """Send a whole answer."""
        head = self._head(answer)  # h11 wants the events in order
        if not answer.frames:
            await self._write(head + self._data(answer.body) + self._end())
            return
        await self._write(head)
        await self._send_frames(answer, len(answer.payload))
        await self._write(self._end())

    async def send_broken(self, answer: Answer, fault: FailingFault) -> None:
        """Send an answer in the manner of `fault`. `reuse` tells if the connection survived."""
        body = answer.payload
        match fault:
            case Stall(after_bytes=after_bytes, lasts_s=lasts_s):
                await self._send_part(answer, after_bytes)
                with trio.move_on_after(math.inf if lasts_s is None else lasts_s):
                    await self.await_end()
                    return
                await self._write(self._data(body[after_bytes:]) + self._end())
            case Cut(after_bytes=after_bytes):
                end = len(body) // 2 if after_bytes is None else min(after_bytes, len(body) - 1)
                await self._send_part(answer, end)
            case Drip(bytes_per_s=bytes_per_s):
                step = max(1, int(bytes_per_s / _DRIPS_PER_S))
                await self._write(self._head(answer))
                for start in range(0, len(body), step):
                    await trio.sleep(step / bytes_per_s)
                    await self._write(self._data(body[start : start + step]))
                await self._write(self._end())
            case _:
                await self.send(answer)

    async def _send_part(self, answer: Answer, end: int) -> None:
        """Send an answer as far as the byte `end` of its body."""
        if answer.frames:
            await self._write(self._head(answer))
            await self._send_frames(answer, end)
        else:
            await self._write(self._head(answer) + self._data(answer.body[:end]))

    async def _send_frames(self, answer: Answer, left: int) -> None:
        """Send the first `left` bytes of a stream, each frame at its time and flushed at once."""
        for frame in answer.frames:
            if left <= 0:
                return
            if answer.pace_s:
                await trio.sleep(answer.pace_s)
            await self._write(self._data(frame[:left]))
            left -= len(frame)

    async def await_end(self) -> None:
        """Say nothing until the client has left."""
        while await self._stream.receive_some(_CHUNK):
            pass

    def reset(self) -> None:
        """Make the coming close a reset (RST) instead of an orderly end."""
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def linger(self) -> None:
        """If a request was answered without being read, read a little on before closing.

        Closing a socket with unread data resets it, which can overtake what was sent.
        """
        if self._http.our_state not in _SENT or self._http.their_state is h11.DONE:
            return
        with trio.move_on_after(_LINGER_S):
            await self._stream.send_eof()
            await self.await_end()

    def answerable(self) -> bool:
        """Whether an answer may still be sent."""
        return self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}

    def reuse(self) -> bool:
        """Get ready for the next request; False when there can be none on this connection."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _next(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[])
                await self._write(self._http.send(go_on) or b"")
            data = await self._stream.receive_some(_CHUNK)
            self._stats.bytes_in += len(data)
            self._http.receive_data(data)
        return event

    def _head(self, answer: Answer) -> bytes:
        headers = [("content-type", answer.content_type), *answer.headers]
        if not answer.frames:
            headers.append(("content-length", str(len(answer.body))))
        response = h11.Response(status_code=answer.status, headers=headers)
        return self._http.send(response) or b""

    def _data(self, data: bytes) -> bytes:
        return (self._http.send(h11.Data(data=data)) or b"") if data else b""

    def _end(self) -> bytes:
        return self._http.send(h11.EndOfMessage()) or b""

    async def _write(self, data: bytes) -> None:
        if data:
            await self._stream.send_all(data)
            self._stats.bytes_out += len(data)
