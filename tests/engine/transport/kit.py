"""What tests of the transports share: each of them runs over both, on real sockets of loopback."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeAlias

import pytest
import trio

from tests.engine.transport.server import Server, running_server
from understudy.transport.http import HttpRequest, TransportFailed
from understudy.transport.httpx_transport import HttpxTransport
from understudy.transport.wire.transport import WireTransport

Real: TypeAlias = HttpxTransport | WireTransport
REAL: tuple[type[Real], ...] = (WireTransport, HttpxTransport)


class Connected(Protocol):
    """Opens a server, and a transport to it that is closed in the end."""

    def __call__(self, **limits: Any) -> AbstractAsyncContextManager[tuple[Server, Real]]:
        """`limits` are the transport's."""
        ...


def connected_by(real: type[Real]) -> Connected:
    """As `Connected`, with this transport."""

    @asynccontextmanager
    async def connected(**limits: Any) -> AsyncIterator[tuple[Server, Real]]:
        async with running_server() as server:
            transport = real(**limits)
            try:
                with trio.fail_after(10):
                    yield server, transport
            finally:
                await transport.aclose()

    return connected


KEY = "sk-secret-key"


def post(url: str, **headers: str) -> HttpRequest:
    """A request with a body and a key."""
    return HttpRequest("POST", url, {"authorization": f"Bearer {KEY}", **headers}, b'{"a": 1}')


async def fail(transport: Real, request: HttpRequest) -> TransportFailed:
    """How a request fails; nothing of it is shown, and nothing foreign hangs on it."""
    with pytest.raises(TransportFailed) as caught:
        await transport.send("p", request)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None
    assert transport.in_flight == 0
    return caught.value


async def closed_by_now(server: Server, still_open: int = 0) -> None:
    """Wait until the server sees that the client's other connections are closed."""
    await until(lambda: server.open <= still_open)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that a real network brings about in its own time."""
    with trio.fail_after(5):
        while not holds():  # noqa: ASYNC110  there is no event to wait for
            await trio.sleep(0.005)
