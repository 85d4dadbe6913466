"""One response over a line of its own, read piece by piece."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

import trio

from understudy.transport.http import TransportFailed

if TYPE_CHECKING:
    import httpx

DRAIN_S: Final = 0.05
"""The end of a body is awaited so long after the answer's own end marker: it comes with it, or the
connection is not worth keeping."""
CLOSE_TIMEOUT_S: Final = 2.0

_ZLIB_OR_GZIP: Final = 47  # 15 bits of window, plus 32: tell the format by its header


class Release(Protocol):
    """Gives the line back; `well` says that it can serve again."""

    async def __call__(self, *, well: bool) -> None:
        """Give it back, once."""
        ...


class HttpxStream:
    """A response under way; see `HttpStream`. Its line is given back exactly once."""

    def __init__(
        self,
        response: httpx.Response,
        release: Release,
        failed_as: Callable[[Exception], TransportFailed],
        bytes_max: int,
    ) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = dict(response.headers)
        self._body: httpx.AsyncByteStream = response.stream  # type: ignore[assignment]
        self._release: Release | None = release
        self._failed_as = failed_as
        self._left = bytes_max
        self._pieces = self._body.__aiter__()
        self._over = False
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        self._inflater = None if encoding == "identity" else _inflater(encoding)

    def __repr__(self) -> str:
        return f"<HttpxStream {self.status}, {'over' if self._over else 'open'}>"

    async def receive(self) -> bytes:
        """The next piece of the body; see `HttpStream.receive`."""
        while not self._over:
            piece = await self._next()
            if piece is None:
                self._over = True
                if self._inflater is not None and not self._inflater.eof:
                    raise TransportFailed("the compressed response is damaged", sent=True)
                break
            if self._inflater is not None:
                piece = self._inflated(self._inflater, piece)
            self._left -= len(piece)
            if self._left < 0:
                raise TransportFailed("the response is larger than it may be", sent=True)
            if piece:
                return piece
        return b""

    async def aclose(self, *, over: bool = False) -> None:
        """Let go of the connection; see `HttpStream.aclose`."""
        release, self._release = self._release, None
        if release is None:
            return
        well = False
        try:
            if over and not self._over:
                with trio.move_on_after(DRAIN_S):
                    while await self.receive():
                        pass
            well = self._over
        except TransportFailed:
            pass  # nobody is interested any more
        finally:
            with trio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
                try:
                    await self._body.aclose()
                    if not well:
                        await self._unwind()
                finally:
                    await release(well=well)

    async def _next(self) -> bytes | None:
        try:
            return await anext(self._pieces, None)
        except Exception as error:
            failed = self._failed_as(error)
        raise failed

    async def _unwind(self) -> None:
        """Run the pieces out: they come from generators within generators.

        Only a failing read ends those in order; the closed connection makes the next one fail.
        """
        try:
            while await self._next() is not None:
                pass
        except TransportFailed:
            pass

    def _inflated(self, inflater: zlib._Decompress, piece: bytes) -> bytes:
        """What a piece says behind its encoding; never more than may still come."""
        try:
            plain = inflater.decompress(piece, self._left + 1)
        except zlib.error:
            plain = None
        if plain is None:
            raise TransportFailed("the compressed response is damaged", sent=True)
        return plain


def _inflater(encoding: str) -> zlib._Decompress:
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise TransportFailed("the response has an encoding that was not asked for", sent=True)
    return zlib.decompressobj(wbits=_ZLIB_OR_GZIP)
