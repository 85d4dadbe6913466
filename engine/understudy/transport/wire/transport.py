"""HTTP/1.1 on trio's sockets, for an engine that makes many small requests to few servers.

What is the same for every request to an endpoint is made once: its address, its head, the lines to
its server. A request then costs one look into a dict, one write, one wait and one read.

A request goes out once. Only where its line is shown to be closed before a byte of it was taken is
another line used: after that the provider may have seen it, and has to be paid.
"""

from __future__ import annotations

import functools
import math
import ssl
from collections.abc import Callable, Collection
from typing import Final

import trio

from understudy.transport.encoding import oversized, plain
from understudy.transport.http import (
    Forgetful,
    HttpRequest,
    HttpResponse,
    HttpStream,
    Transport,
    TransportFailed,
)
from understudy.transport.proxy import proxy_for
from understudy.transport.wire.address import Origin, split_url
from understudy.transport.wire.connect import reach, tls_context
from understudy.transport.wire.exchange import exchange, more
from understudy.transport.wire.head import Head
from understudy.transport.wire.line import Line
from understudy.transport.wire.lines import Lines
from understudy.transport.wire.stream import WireStream

CONNECT_TIMEOUT_S: Final = 10.0
BODY_BYTES_MAX: Final = 64 * 1024 * 1024
CONNECTIONS_MAX: Final = 1024
KEEPALIVE_S: Final = 30.0
PREPARED_MAX: Final = 256
"""Heads kept ready. Whoever sends another one each time pays for making it, and for no more."""


class WireTransport:
    """Moves bytes over HTTP/1.1; see `Transport`.

    Each provider and server has up to `connections_max` connections, opened as load needs them and
    closed after `keepalive_s` seconds without use; the most recently used one goes first. A request
    beyond them waits for one, in order, as long as its caller's time limit allows.

    Args:
        connect_timeout_s: Limit on connecting, TLS included, for requests that set none.
        body_bytes_max: Limit on a response's body, on the wire and behind its encoding.
        connections_max: Connections of one provider to one server.
        keepalive_s: How long a connection without use is kept.
        tls: Whom to trust; None trusts certifi's list, or what SSL_CERT_FILE and SSL_CERT_DIR name.
        proxied: Makes what sends to servers that the environment wants reached through a proxy.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        body_bytes_max: int = BODY_BYTES_MAX,
        connections_max: int = CONNECTIONS_MAX,
        keepalive_s: float = KEEPALIVE_S,
        tls: ssl.SSLContext | None = None,
        proxied: Callable[[], Transport] | None = None,
    ) -> None:
        if min(body_bytes_max, connections_max) < 1 or connect_timeout_s <= 0:
            raise ValueError("every limit of the transport must be > 0")
        self._connect_timeout_s = connect_timeout_s
        self._body_bytes_max = body_bytes_max
        self._connections_max = connections_max
        self._keepalive_s = keepalive_s
        self._tls = tls
        self._proxied = proxied
        self._elsewhere: Transport | None = None
        self._prepared: dict[tuple[object, ...], tuple[Lines | None, Head | None]] = {}
        self._lines: dict[tuple[str, Origin], Lines] = {}
        self._closed = False

    def __repr__(self) -> str:
        idle = sum(len(lines.idle) for lines in self._lines.values())
        return f"<WireTransport {self.in_flight} busy connections, {idle} idle>"

    @property
    def in_flight(self) -> int:
        """Connections that carry a request now."""
        return sum(len(lines.busy) for lines in self._lines.values())

    async def send(self, provider: str, request: HttpRequest) -> HttpResponse:
        """Send `request` and read the whole response; see `Transport.send`.

        Raises:
            TransportFailed: No whole response arrived, or it is larger than `body_bytes_max`.
        """
        lines, head = self._ready(provider, request)
        if lines is None or head is None:
            return await self._through_proxy().send(provider, request)
        await trio.lowlevel.checkpoint_if_cancelled()
        if not lines.take():
            await lines.wait()
        line, whole, limit = None, False, self._body_bytes_max
        try:
            line, whole = await self._headed(lines, head, request)
            answer = line.answer
            if answer.declared > limit:
                raise oversized(limit)
            while not answer.done and answer.size <= limit:
                await more(line)
            if answer.size > limit:
                raise oversized(limit)
            headers = answer.headers
            return HttpResponse(answer.status, headers, plain(answer.take(), headers, limit))
        finally:
            self._release(lines, line, whole)

    async def open(self, provider: str, request: HttpRequest) -> HttpStream:
        """Send `request` and read the head of the response; see `Transport.open`.

        Raises:
            TransportFailed: No head arrived.
        """
        lines, head = self._ready(provider, request)
        if lines is None or head is None:
            return await self._through_proxy().open(provider, request)
        await trio.lowlevel.checkpoint_if_cancelled()
        if not lines.take():
            await lines.wait()
        line, stream = None, None
        try:
            line, whole = await self._headed(lines, head, request)
            release = functools.partial(self._release, lines, line, whole)
            stream = WireStream(line, release, self._body_bytes_max)
            return stream
        finally:
            if stream is None:
                self._release(lines, line, False)

    async def forget_others(self, known: Collection[tuple[str, str]]) -> None:
        """See `Forgetful`."""
        kept = {(provider, split_url(url)[0]) for provider, url in known}
        self._prepared.clear()
        for key in [each for each in self._lines if each not in kept]:
            self._lines[key].retire(math.inf)
            if not self._lines[key].busy:
                del self._lines[key]
        if isinstance(self._elsewhere, Forgetful):
            await self._elsewhere.forget_others(known)

    async def aclose(self) -> None:
        """Close every connection, busy or idle. It is done even while being cancelled."""
        self._closed = True
        for lines in self._lines.values():
            lines.close()
        if self._elsewhere is not None:
            await self._elsewhere.aclose()

    async def _headed(self, lines: Lines, head: Head, request: HttpRequest) -> tuple[Line, bool]:
        """A line on which the answer has begun, and whether it took the whole request."""
        written = head.write(request.body)
        line, taken = await self._sending(lines, written, request.connect_timeout_s)
        line.answer.begin(head.method)
        try:
            return line, await exchange(line, written, taken)
        except BaseException:
            lines.drop(line)
            raise

    async def _sending(
        self, lines: Lines, written: bytes, connect_timeout_s: float | None
    ) -> tuple[Line, int]:
        """An idle line that is still good, or a new one, and how much of the request it took.

        Lines that turn out to be closed before they take a byte are dropped, one after the other.
        """
        lines.retire(trio.current_time() - self._keepalive_s)
        while not self._closed and (line := lines.pick()) is not None:
            try:
                return line, line.offer(written)
            except OSError:
                lines.drop(line)
        line = await self._reach(lines.origin, connect_timeout_s)
        lines.busy.add(line)
        try:
            return line, line.offer(written)
        except OSError:
            lines.drop(line)
        raise TransportFailed("the connection broke before the request was sent", sent=False)

    async def _reach(self, origin: Origin, connect_timeout_s: float | None) -> Line:
        """A new line. Whoever pays for one also closes those that nobody needs any more."""
        self._refuse_if_closed()
        for each in self._lines.values():
            each.retire(trio.current_time() - self._keepalive_s)
        tls = None
        if origin.secure:
            tls = self._tls = self._tls or tls_context()
        line = await reach(origin, connect_timeout_s or self._connect_timeout_s, tls)
        if self._closed:
            line.close()
        self._refuse_if_closed()
        return line

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise TransportFailed("the transport is closed", sent=False)

    def _release(self, lines: Lines, line: Line | None, whole: bool) -> None:
        """Give the place back, and keep the line if its exchange left nothing behind."""
        if line is not None:
            if whole and line.answer.reusable and not self._closed:
                lines.keep(line, trio.current_time())
            else:
                lines.drop(line)
        lines.give()

    def _ready(self, provider: str, request: HttpRequest) -> tuple[Lines | None, Head | None]:
        """The lines and the head for a request; neither where it has to go through a proxy."""
        key = (provider, request.method, request.url, *request.headers.items())
        ready = self._prepared.get(key)
        if ready is None:
            ready = self._prepare(provider, request)
            if len(self._prepared) >= PREPARED_MAX:
                self._prepared.clear()
            self._prepared[key] = ready
        return ready

    def _prepare(self, provider: str, request: HttpRequest) -> tuple[Lines | None, Head | None]:
        origin, target = split_url(request.url)
        if self._proxied is not None and proxy_for(origin.scheme, origin.authority) is not None:
            return None, None
        head = Head(request.method, target, origin.authority, request.headers)
        lines = self._lines.get((provider, origin))
        if lines is None:
            lines = self._lines[(provider, origin)] = Lines(origin, self._connections_max)
        return lines, head

    def _through_proxy(self) -> Transport:
        self._refuse_if_closed()
        if self._elsewhere is None:
            assert self._proxied is not None
            self._elsewhere = self._proxied()
        return self._elsewhere
