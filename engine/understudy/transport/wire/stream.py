"""One answer under way, read piece by piece as somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import trio

from understudy.transport.encoding import inflater_for, oversized
from understudy.transport.http import TransportFailed
from understudy.transport.wire.exchange import more
from understudy.transport.wire.line import Line

DRAIN_S: Final = 0.05
"""The end of a body is awaited so long after the answer's own end marker: it comes with it, or the
connection is not worth keeping."""


class WireStream:
    """A response under way; see `HttpStream`. Its line is given back exactly once."""

    __slots__ = (
        "_bytes_max",
        "_inflater",
        "_left",
        "_line",
        "_over",
        "_release",
        "headers",
        "status",
    )

    def __init__(self, line: Line, release: Callable[[], None], bytes_max: int) -> None:
        self.status = line.answer.status
        self.headers: Mapping[str, str] = line.answer.headers
        self._line = line
        self._release: Callable[[], None] | None = release
        self._bytes_max = self._left = bytes_max
        self._over = False
        self._inflater = inflater_for(self.headers)

    def __repr__(self) -> str:
        return f"<WireStream {self.status}, {'over' if self._over else 'open'}>"

    async def receive(self) -> bytes:
        """The next piece of the body; see `HttpStream.receive`."""
        answer = self._line.answer
        while not self._over:
            if not answer.pieces:
                if answer.done:
                    self._over = True
                    if self._inflater is not None:
                        self._inflater.end()
                    break
                await more(self._line)
                continue
            piece = answer.take()
            if self._inflater is not None:
                piece = self._inflater.feed(piece, self._left)
            self._left -= len(piece)
            if self._left < 0:
                raise oversized(self._bytes_max)
            if piece:
                return piece
        return b""

    async def aclose(self, *, over: bool = False) -> None:
        """Let go of the connection; see `HttpStream.aclose`."""
        release, self._release = self._release, None
        if release is None:
            return
        try:
            if over and not self._line.answer.done:
                with trio.move_on_after(DRAIN_S):
                    while await self.receive():
                        pass
        except TransportFailed:
            pass  # nobody is interested any more
        finally:
            self._over = True  # the line is another's from here on
            release()
