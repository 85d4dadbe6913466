"""The transport that production uses, and the one question that discovery asks through it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING

import msgspec

from understudy.transport.http import Forgetful, HttpRequest, HttpResponse, HttpStream, Transport

if TYPE_CHECKING:
    from understudy.config import Config


class LazyTransport:
    """The network, opened with the first request: an engine that sends none pays nothing.

    With `httpx` everything goes through httpx, else only what has to go through a proxy.
    """

    def __init__(self, httpx: bool = False) -> None:
        self._httpx = httpx
        self._real: Transport | None = None

    async def send(self, provider: str, request: HttpRequest) -> HttpResponse:
        """Send; see `Transport.send`."""
        return await (self._real or self._open()).send(provider, request)

    async def open(self, provider: str, request: HttpRequest) -> HttpStream:
        """Open; see `Transport.open`."""
        return await (self._real or self._open()).open(provider, request)

    async def forget_others(self, known: Collection[tuple[str, str]]) -> None:
        """Let go; see `Forgetful`."""
        if isinstance(self._real, Forgetful):
            await self._real.forget_others(known)

    async def aclose(self) -> None:
        """Close what was opened."""
        if self._real is not None:
            await self._real.aclose()

    def _open(self) -> Transport:
        if self._httpx:
            self._real = _httpx()
        else:
            from understudy.transport.wire.transport import WireTransport

            self._real = WireTransport(proxied=_httpx)
        return self._real


def _httpx() -> Transport:
    from understudy.transport.httpx_transport import HttpxTransport

    return HttpxTransport()


def default_transport(config: Config | None = None) -> Transport:
    """A transport of one's own for each engine; without a configuration, as most would have it."""
    return LazyTransport(httpx=config is not None and config.http.transport == "httpx")


def list_models(transport: Transport) -> Callable[[str], Awaitable[Sequence[str] | None]]:
    """Asks a server at a base URL for its models; None if none answers there."""

    async def probe(url: str) -> Sequence[str] | None:
        response = await transport.send("discovery", HttpRequest("GET", f"{url}/models", {}))
        if response.status != 200:
            return None
        listed = msgspec.json.decode(response.body, type=_Models)
        return [each.id for each in listed.data]

    return probe


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]
