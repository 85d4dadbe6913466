"""Heads of requests within bounds: uvicorn's own protocol, which has none for them.

Without bounds a caller who never ends a head fills the memory, and one who stops within it holds a
connection for ever.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from understudy.gateway.problem import INVALID, Problem
from understudy.gateway.wires.openai_errors import error_body

HEAD_MAX: Final = 64 * 1024
"""Bytes of a head, beyond the piece in which it begins; other servers take 8 to 64 KiB."""
HEADERS_MAX: Final = 256
HEAD_S: Final = 30.0
"""How long a connection may take to send a whole head."""


class BoundedHeads(HttpToolsProtocol):
    """One connection: too long a head is answered 431, one that does not end 408."""

    _seen: int | None = None  # bytes of the head that is open; None: none is
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEAD_S, self._stalled)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._settled()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        before = self._seen
        super().data_received(data)
        if self._seen is None or self.transport.is_closing():
            return
        if before is not None:
            self._seen += len(data)
            if self._seen > HEAD_MAX:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "its head is too long")
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_S, self._stalled)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._seen = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._seen = None
        self._settled()
        if len(self.headers) > HEADERS_MAX:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "it has too many headers")
            raise ValueError  # the parser stops, and what follows is not looked at
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is told so in the words of all other errors."""
        if not self.transport.is_closing():
            self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _stalled(self) -> None:
        self._timer = None
        if self._seen is None:
            self.transport.close()  # not a byte came
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"its head did not end within {HEAD_S:g} s")

    def _settled(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._seen = None
        cycle = self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.transport.close()  # an answer is under way, and nothing fits into it
            return
        told = Problem(status=status, kind=INVALID, message=f"this request is refused: {why}")
        body = msgspec.json.encode(error_body(told))
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nx-should-retry: false\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
