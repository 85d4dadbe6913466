"""The network, through httpx.

httpx looks at every connection of a pool on every request, so that a pool of 256 busy connections
costs milliseconds of CPU each time; and a request that is cancelled at the wrong moment leaves its
place in the pool taken for good. Here every connection is a pool of its own (a `Line`): the cost is
constant, and a line whose request did not end well is closed as a whole.

httpx's transports are used without its client: there are no redirects, cookies, retries or time
limits (except for connecting); those belong to the engine.
"""

from __future__ import annotations

import functools
import ssl
from collections import deque
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import trio

from understudy.transport.encoding import oversized, plain
from understudy.transport.http import HttpRequest, HttpResponse, HttpStream, TransportFailed
from understudy.transport.httpx_stream import HttpxStream
from understudy.transport.proxy import proxy_for

if TYPE_CHECKING:
    import httpx

USER_AGENT: Final = "understudy"
CONNECT_TIMEOUT_S: Final = 10.0
BODY_BYTES_MAX: Final = 64 * 1024 * 1024
CONNECTIONS_MAX: Final = 1024
KEEPALIVE_S: Final = 30.0
CLOSE_TIMEOUT_S: Final = 2.0


class Line:
    """One connection: a pool that holds at most one. `idle_at` is when it was last put back."""

    __slots__ = ("idle_at", "pool")

    def __init__(self, pool: httpx.AsyncBaseTransport) -> None:
        self.pool = pool
        self.idle_at = 0.0

    async def aclose(self) -> None:
        """Close it, even while being cancelled."""
        with trio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
            await self.pool.aclose()


class Lines:
    """The lines of one provider to one origin: the idle ones, last used last, and the busy ones."""

    __slots__ = ("busy", "idle", "places")

    def __init__(self, connections_max: int) -> None:
        self.idle: deque[Line] = deque()
        self.busy: set[Line] = set()
        self.places = trio.Semaphore(connections_max)


class HttpxTransport:
    """Moves bytes over HTTP/1.1; see `Transport`.

    Each provider and origin has up to `connections_max` connections, opened as load needs them and
    closed after `keepalive_s` seconds without use; the most recently used one goes first. A request
    beyond them waits for one, in order, as long as its caller's time limit allows.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        body_bytes_max: int = BODY_BYTES_MAX,
        connections_max: int = CONNECTIONS_MAX,
        keepalive_s: float = KEEPALIVE_S,
    ) -> None:
        import httpx  # slow to import: only a process that sends pays for it

        from understudy.transport.httpx_body import WholeBody

        if min(body_bytes_max, connections_max) < 1 or connect_timeout_s <= 0:
            raise ValueError("every limit of the transport must be > 0")
        self._httpx = httpx
        self._body_type = WholeBody
        self._timeout = {"connect": connect_timeout_s, "read": None, "write": None, "pool": None}
        self._body_bytes_max = body_bytes_max
        self._connections_max = connections_max
        self._keepalive_s = keepalive_s
        self._limits = httpx.Limits(
            max_connections=1, max_keepalive_connections=1, keepalive_expiry=keepalive_s
        )
        self._lines: dict[tuple[str, str], Lines] = {}
        self._tls: ssl.SSLContext | None = None
        # A pool wants some context even where it needs none; this one trusts nobody.
        self._plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._closed = False

    def __repr__(self) -> str:
        idle = sum(len(lines.idle) for lines in self._lines.values())
        return f"<HttpxTransport {self.in_flight} busy connections, {idle} idle>"

    @property
    def in_flight(self) -> int:
        """Connections that carry a request now."""
        return sum(len(lines.busy) for lines in self._lines.values())

    async def send(self, provider: str, request: HttpRequest) -> HttpResponse:
        """Send `request` and read the whole response; see `Transport.send`.

        Raises:
            TransportFailed: No whole response arrived, or it is larger than `body_bytes_max`.
        """
        outgoing = self._outgoing(request)
        origin, lines = self._lines_to(provider, request)
        try:
            async with lines.places:
                return await self._carry(self._line(lines, origin), lines, outgoing)
        except self._httpx.HTTPError as error:
            failed = failed_as(error)
        # Raised out here, so that no foreign exception hangs on it as its context.
        raise failed

    async def open(self, provider: str, request: HttpRequest) -> HttpStream:
        """Send `request` and read the head of the response; see `Transport.open`.

        Raises:
            TransportFailed: No head arrived.
        """
        outgoing = self._outgoing(request)
        origin, lines = self._lines_to(provider, request)
        await lines.places.acquire()
        line: Line | None = None
        stream: HttpStream | None = None
        try:
            line = self._line(lines, origin)
            await self._retire(lines)
            response = await line.pool.handle_async_request(outgoing)
            release = functools.partial(self._release, lines, line)
            stream = HttpxStream(response, release, failed_as, self._body_bytes_max)
            return stream
        except self._httpx.HTTPError as error:
            failed = failed_as(error)
        finally:
            if stream is None:
                await self._release(lines, line, well=False)
        raise failed

    async def _release(self, lines: Lines, line: Line | None, *, well: bool) -> None:
        """Give a line's place back, and keep the line only if its exchange went well."""
        lines.places.release()
        if line is None:
            return
        lines.busy.discard(line)
        if well and not self._closed:
            line.idle_at = trio.current_time()
            lines.idle.append(line)
        else:
            await line.aclose()

    def _lines_to(self, provider: str, request: HttpRequest) -> tuple[str, Lines]:
        origin = _origin(request.url)
        lines = self._lines.get((provider, origin))
        if lines is None:
            lines = self._lines[(provider, origin)] = Lines(self._connections_max)
        return origin, lines

    async def forget_others(self, known: Collection[tuple[str, str]]) -> None:
        """See `Forgetful`; what is busy is closed as soon as nobody knows of it and it is idle."""
        kept = {(provider, _origin(url)) for provider, url in known}
        for key in [each for each in self._lines if each not in kept]:
            lines = self._lines[key]
            while lines.idle:
                await lines.idle.pop().aclose()
            if not lines.busy:
                self._lines.pop(key, None)

    async def aclose(self) -> None:
        """Close every connection, busy or idle. It is done even while being cancelled."""
        self._closed = True
        every = [line for lines in self._lines.values() for line in (*lines.idle, *lines.busy)]
        for lines in self._lines.values():
            lines.idle.clear()
        for line in every:
            await line.aclose()

    def _line(self, lines: Lines, origin: str) -> Line:
        """An idle line, or a new one."""
        if self._closed:
            raise TransportFailed("the transport is closed", sent=False)
        line = lines.idle.pop() if lines.idle else Line(self._pool(origin))
        lines.busy.add(line)
        return line

    async def _carry(self, line: Line, lines: Lines, outgoing: httpx.Request) -> HttpResponse:
        """Exchange over a line, and keep the line only if that went well."""
        ended_well = False
        try:
            await self._retire(lines)
            response = await self._exchange(line.pool, outgoing)
            ended_well = not self._closed
        finally:
            lines.busy.discard(line)
            if ended_well:
                line.idle_at = trio.current_time()
                lines.idle.append(line)
            else:
                await line.aclose()
        return response

    async def _retire(self, lines: Lines) -> None:
        """Close the line that was idle for longest, if that is too long.

        One for each request: it costs each the same, and a burst's lines are gone soon after it.
        """
        if lines.idle and trio.current_time() - lines.idle[0].idle_at > self._keepalive_s:
            await lines.idle.popleft().aclose()

    def _outgoing(self, request: HttpRequest) -> httpx.Request:
        headers = {"user-agent": USER_AGENT, "accept-encoding": "gzip", **request.headers}
        timeout, connect_s = self._timeout, request.connect_timeout_s
        if connect_s is not None:
            timeout = {**timeout, "connect": connect_s}
        try:
            outgoing = self._httpx.Request(
                request.method,
                request.url,
                headers=headers,
                content=request.body,
                extensions={"timeout": timeout},
            )
            outgoing.stream = self._body_type(request.body)
            return outgoing
        except (self._httpx.InvalidURL, ValueError) as error:  # ValueError: a header that is none
            failed = _failed(error, sent=False)
        raise failed

    async def _exchange(
        self, pool: httpx.AsyncBaseTransport, request: httpx.Request
    ) -> HttpResponse:
        response = await pool.handle_async_request(request)
        try:
            body = await self._read(response)
        finally:
            await response.aclose()
        return HttpResponse(response.status_code, dict(response.headers), body)

    async def _read(self, response: httpx.Response) -> bytes:
        declared = response.headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > self._body_bytes_max:
            raise oversized(self._body_bytes_max)
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size <= self._body_bytes_max:
                    chunks.append(chunk)
                else:
                    # Not raised here: this loop runs in generators within generators, and only a
                    # failing read unwinds them all in order. Closing makes the next one fail.
                    await response.aclose()
        except self._httpx.HTTPError:
            if size <= self._body_bytes_max:
                raise
        if size > self._body_bytes_max:
            raise oversized(self._body_bytes_max)
        return plain(b"".join(chunks), response.headers, self._body_bytes_max)

    def _pool(self, origin: str) -> httpx.AsyncBaseTransport:
        """A pool of one connection. There are no retries; trio sets TCP_NODELAY on every socket."""
        scheme, _, authority = origin.partition("://")
        try:
            return self._httpx.AsyncHTTPTransport(
                verify=self._plain if scheme == "http" else self._tls_context(),
                trust_env=False,  # it would read the environment anew for each pool
                limits=self._limits,
                proxy=proxy_for(scheme, authority),
                retries=0,
            )
        except (ValueError, ImportError, self._httpx.InvalidURL) as error:  # an unusable proxy
            failed = _failed(error, sent=False)
        raise failed

    def _tls_context(self) -> ssl.SSLContext:
        """One context for all: each costs some 10 ms to make. Honours SSL_CERT_FILE and _DIR."""
        if self._tls is None:
            self._tls = self._httpx.create_ssl_context()
        return self._tls


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])


_TOLD: Final = {
    "ConnectError": "no connection could be made",
    "ConnectTimeout": "no connection came about in time",
    "ProxyError": "the proxy refused",
    "ReadError": "the connection broke while the answer was awaited",
    "WriteError": "the connection broke while the request was sent",
    "RemoteProtocolError": "the connection was closed early, or what came is no HTTP",
    "LocalProtocolError": "the request is no valid HTTP: is there a foreign character in a header?",
    "UnsupportedProtocol": "the address must begin with http:// or https://",
    "InvalidURL": "the address is no valid URL",
    "UnicodeEncodeError": "a header holds foreign characters",
    "ImportError": "a SOCKS proxy needs the package socksio",
    "ValueError": "the address or its proxy is of a kind that is not supported",
}
"""What each failure means. A foreign exception's own text is not told: it may hold a header."""

_UNSENT: Final = frozenset(
    {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "ProxyError",
        "LocalProtocolError",
        "UnsupportedProtocol",
    }
)
"""Failures before a byte of the request left, by the names of httpx's exceptions."""


def failed_as(error: Exception) -> TransportFailed:
    """What a failure of httpx means."""
    return _failed(error, sent=type(error).__name__ not in _UNSENT)


def _failed(error: Exception, *, sent: bool) -> TransportFailed:
    name = type(error).__name__
    told = _TOLD.get(name, name)
    if (why := _certificate(error)) is not None:
        told = f"{told}: the certificate does not hold ({why})"
    return TransportFailed(told, sent=sent)


def _certificate(error: BaseException) -> str | None:
    """What is wrong with the server's certificate, if that is what ended it."""
    cause: BaseException | None = error
    for _ in range(8):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        cause = None if cause is None else cause.__cause__ or cause.__context__
    return None
