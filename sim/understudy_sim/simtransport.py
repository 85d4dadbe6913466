"""The transport of a simulation: bytes go to simulated providers instead of a network."""

from __future__ import annotations

from collections.abc import Mapping

from understudy.transport.http import (
    HttpRequest,
    HttpResponse,
    HttpStream,
    TransportFailed,
)
from understudy_sim.server import Server


class SimTransport:
    """Moves bytes between an engine and the servers of a fleet; see `Transport`."""

    def __init__(self, servers: Mapping[str, Server]) -> None:
        self.servers = servers
        self.closed = False

    async def send(self, provider: str, request: HttpRequest) -> HttpResponse:
        """Send `request` and read the whole response.

        Raises:
            TransportFailed: No whole response arrived.
        """
        return await self._server(provider).answer(request)

    async def open(self, provider: str, request: HttpRequest) -> HttpStream:
        """Send `request` and read the head of the response.

        Raises:
            TransportFailed: No head arrived.
        """
        return await self._server(provider).open(request)

    def _server(self, provider: str) -> Server:
        server = self.servers.get(provider)
        if self.closed or server is None:
            why = "the transport is closed" if self.closed else "no such host in the simulation"
            raise TransportFailed(why, sent=False)
        return server

    async def aclose(self) -> None:
        """Take no more requests."""
        self.closed = True
