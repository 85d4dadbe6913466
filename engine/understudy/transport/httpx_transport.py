"""The network, through httpx.

httpx looks at every connection of a pool on every request, so that a pool of 256 busy connections
costs milliseconds of CPU each time. Here the load of one provider is spread over many small
pools, which makes that cost constant. httpx's transports are used without its client: there are no
redirects, cookies, retries or time limits (except for connecting); those belong to the engine.
"""

from __future__ import annotations

import operator
import ssl
import zlib
from typing import TYPE_CHECKING, Final

import trio

from understudy.transport.http import HttpRequest, HttpResponse, TransportFailed
from understudy.transport.proxy import proxy_for

if TYPE_CHECKING:
    import httpx

USER_AGENT: Final = "understudy"
CONNECT_TIMEOUT_S: Final = 10.0
BODY_BYTES_MAX: Final = 64 * 1024 * 1024
SHARD_CONNECTIONS: Final = 4
SHARDS_MAX: Final = 256
KEEPALIVE_S: Final = 30.0
CLOSE_TIMEOUT_S: Final = 2.0

_ZLIB_OR_GZIP: Final = 47  # 15 bits of window, plus 32: tell the format by its header


class Shard:
    """One small pool, and how many requests it carries now."""

    __slots__ = ("load", "pool")

    def __init__(self, pool: httpx.AsyncBaseTransport) -> None:
        self.pool = pool
        self.load = 0


class HttpxTransport:
    """Moves bytes over HTTP/1.1; see `Transport`.

    Each provider and origin has up to `shards_max` pools of `shard_connections` connections. They
    are opened as load needs them; a request beyond them all waits inside the least loaded one, as
    long as its caller's time limit allows.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        body_bytes_max: int = BODY_BYTES_MAX,
        shard_connections: int = SHARD_CONNECTIONS,
        shards_max: int = SHARDS_MAX,
        keepalive_s: float = KEEPALIVE_S,
    ) -> None:
        import httpx  # slow to import: only a process that sends pays for it

        if min(body_bytes_max, shard_connections, shards_max) < 1 or connect_timeout_s <= 0:
            raise ValueError("every limit of the transport must be > 0")
        self._httpx = httpx
        self._timeout = {"connect": connect_timeout_s, "read": None, "write": None, "pool": None}
        self._body_bytes_max = body_bytes_max
        self._shards_max = shards_max
        self._shard_connections = shard_connections
        self._limits = httpx.Limits(
            max_connections=shard_connections,
            max_keepalive_connections=shard_connections,
            keepalive_expiry=keepalive_s,
        )
        self._shards: dict[tuple[str, str], list[Shard]] = {}
        self._tls: ssl.SSLContext | None = None
        # A pool wants some context even where it needs none; this one trusts nobody.
        self._plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._closed = False

    def __repr__(self) -> str:
        shards = [shard for each in self._shards.values() for shard in each]
        load = sum(shard.load for shard in shards)
        return f"<HttpxTransport {load} in flight, {len(shards)} pools>"

    @property
    def in_flight(self) -> int:
        """Requests that are under way now."""
        return sum(shard.load for each in self._shards.values() for shard in each)

    async def send(self, provider: str, request: HttpRequest) -> HttpResponse:
        """Send `request` and read the whole response; see `Transport.send`.

        Raises:
            TransportFailed: No whole response arrived, or it is larger than `body_bytes_max`.
        """
        try:
            shard = self._shard(provider, request.url)
            outgoing = self._outgoing(request)
        except (self._httpx.InvalidURL, ValueError, ImportError) as error:
            # ValueError: not a header, or not a proxy; ImportError: a proxy that needs more code.
            failed = _failed(error, sent=False)
        else:
            shard.load += 1
            try:
                return await self._exchange(shard.pool, outgoing)
            except self._httpx.HTTPError as error:
                failed = _failed(error, sent=type(error).__name__ not in _UNSENT)
            finally:
                shard.load -= 1
        # Raised out here, so that no foreign exception hangs on it as its context.
        raise failed

    async def aclose(self) -> None:
        """Close every connection. It is done even when the caller is being cancelled."""
        self._closed = True
        shards = [shard for each in self._shards.values() for shard in each]
        self._shards.clear()
        with trio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
            for shard in shards:
                await shard.pool.aclose()

    def _outgoing(self, request: HttpRequest) -> httpx.Request:
        headers = {"user-agent": USER_AGENT, "accept-encoding": "gzip", **request.headers}
        return self._httpx.Request(
            request.method,
            request.url,
            headers=headers,
            content=request.body,
            extensions={"timeout": self._timeout},
        )

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
            raise self._oversized()
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
            raise self._oversized()
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        return b"".join(chunks) if encoding == "identity" else self._inflated(chunks, encoding)

    def _inflated(self, chunks: list[bytes], encoding: str) -> bytes:
        """The body behind a content encoding; bounded, whatever it claims to hold."""
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise TransportFailed("the response has an encoding that was not asked for", sent=True)
        inflater = zlib.decompressobj(wbits=_ZLIB_OR_GZIP)
        try:
            body = inflater.decompress(b"".join(chunks), self._body_bytes_max)
        except zlib.error:
            body = None
        if body is not None and inflater.unconsumed_tail:
            raise self._oversized()
        if body is None or not inflater.eof:
            raise TransportFailed("the compressed response is damaged", sent=True)
        return body

    def _oversized(self) -> TransportFailed:
        return TransportFailed(
            f"the response is larger than {self._body_bytes_max} bytes", sent=True
        )

    def _shard(self, provider: str, url: str) -> Shard:
        """The least loaded pool for this origin; a new one when all are full."""
        if self._closed:
            raise TransportFailed("the transport is closed", sent=False)
        origin = "/".join(url.split("/", 3)[:3])
        shards = self._shards.get((provider, origin))
        if shards is None:
            shards = self._shards[(provider, origin)] = []
        shard = min(shards, key=_LOAD, default=None)
        if shard is None or (
            shard.load >= self._shard_connections and len(shards) < self._shards_max
        ):
            shard = Shard(self._pool(origin))
            shards.append(shard)
        return shard

    def _pool(self, origin: str) -> httpx.AsyncBaseTransport:
        """A pool for one origin. There are no retries; trio sets TCP_NODELAY on every socket."""
        scheme, _, authority = origin.partition("://")
        return self._httpx.AsyncHTTPTransport(
            verify=self._plain if scheme == "http" else self._tls_context(),
            trust_env=False,  # it would read the environment anew for each pool
            limits=self._limits,
            proxy=proxy_for(scheme, authority),
            retries=0,
        )

    def _tls_context(self) -> ssl.SSLContext:
        """One context for all: each costs some 10 ms to make. Honours SSL_CERT_FILE and _DIR."""
        if self._tls is None:
            self._tls = self._httpx.create_ssl_context()
        return self._tls


_LOAD: Final = operator.attrgetter("load")

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
