"""One response over a line of its own, read piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

import trio

from understudy.transport.encoding import inflater_for, oversized
from understudy.transport.http import TransportFailed

if TYPE_CHECKING:
    import httpx

DRAIN_S: Final = 0.05
"""The end of a body is awaited so long after the answer's own end marker: it comes with it, or the
connection is not worth keeping."""
CLOSE_TIMEOUT_S: Final = 2.0


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
        self._bytes_max = self._left = bytes_max
        self._pieces = self._body.__aiter__()
        self._over = False
        self._inflater = inflater_for(self.headers)

    def __repr__(self) -> str:
        return f"<HttpxStream {self.status}, {'over' if self._over else 'open'}>"

    async def receive(self) -> bytes:
        """The next piece of the body; see `HttpStream.receive`."""
        while not self._over:
            piece = await self._next()
            if piece is None:
                self._over = True
                if self._inflater is not None:
                    self._inflater.end()
                break
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
