"""What goes over the wire, as plain values: the port between adapters and the network."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol, runtime_checkable

from msgspec import Struct


class HttpRequest(Struct, frozen=True):
    """One HTTP request; its repr hides headers and body, which hold the key and the prompt.

    `connect_timeout_s` limits reaching the server; None leaves that to the transport. `shown` is
    what its repr shows of an address that holds the prompt.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""
    connect_timeout_s: float | None = None
    shown: str | None = None

    def __repr__(self) -> str:
        return f"<HttpRequest {self.method} {self.shown or self.url}, {len(self.body)} bytes>"


class HttpResponse(Struct, frozen=True):
    """One HTTP response; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<HttpResponse {self.status}, {len(self.body)} bytes>"


class TransportFailed(Exception):
    """No whole response arrived.

    `sent` says whether the provider may have seen the request: False for a refused connection, DNS
    and TLS failures; True when the connection broke afterwards.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class HttpStream(Protocol):
    """A response whose body arrives piece by piece; nothing is read before it is asked for.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
    """

    status: int
    headers: Mapping[str, str]

    async def receive(self) -> bytes:
        """The next piece of the body; empty at its end.

        Raises:
            TransportFailed: The body broke off.
        """
        ...

    async def aclose(self, *, over: bool = False) -> None:
        """Let go of the connection, at once, and also while being cancelled.

        `over` says that nothing of interest follows: what little is missing at the end of the body
        may be read, so that the connection can serve again.
        """
        ...


class PiecedStream:
    """A response whose pieces are here already."""

    def __init__(self, status: int, headers: Mapping[str, str], pieces: Iterable[bytes]) -> None:
        self.status = status
        self.headers = headers
        self._pieces = iter(pieces)

    async def receive(self) -> bytes:
        """The next piece."""
        return next(self._pieces, b"")

    async def aclose(self, *, over: bool = False) -> None:
        """There is nothing to let go of."""


@runtime_checkable
class Forgetful(Protocol):
    """A transport that lets go of connections which nobody will use any more."""

    async def forget_others(self, known: Collection[tuple[str, str]]) -> None:
        """Close the idle connections of all but these providers and base URLs."""
        ...


class Transport(Protocol):
    """Moves bytes. One for the whole engine; it keeps connections for each provider."""

    async def send(self, provider: str, request: HttpRequest) -> HttpResponse:
        """Send `request` and read the whole response.

        Time limits are the caller's (a cancel scope around the call); there are no retries here.

        Raises:
            TransportFailed: No whole response arrived.
        """
        ...

    async def open(self, provider: str, request: HttpRequest) -> HttpStream:
        """Send `request` and read the head of the response; its body is the caller's to read.

        As `send` otherwise. What it returns must be closed.

        Raises:
            TransportFailed: No head arrived.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...
