"""A request body for httpx. Importing this module imports httpx."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx


class WholeBody(httpx.AsyncByteStream):
    """A body in one piece.

    httpx's own is an async generator. A request that is cancelled while it is being sent leaves it
    unfinished, and trio rightly warns of generators that are left to the garbage collector.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Once(self._body)


class _Once:
    """Yields one piece."""

    def __init__(self, piece: bytes) -> None:
        self._left: bytes | None = piece

    def __aiter__(self) -> _Once:
        return self

    async def __anext__(self) -> bytes:
        piece, self._left = self._left, None
        if piece is None:
            raise StopAsyncIteration
        return piece
