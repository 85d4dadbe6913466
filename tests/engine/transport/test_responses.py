"""The transport over real sockets: whole responses, honest failures, nothing left open."""

from __future__ import annotations

import functools
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.engine.transport.kit import KEY, Connected, Real, closed_by_now, fail, post, until
from tests.engine.transport.server import Server
from understudy.transport.http import HttpRequest, HttpResponse, Transport, TransportFailed

pytestmark = pytest.mark.wall_clock


@pytest.mark.parametrize("path", ["/ok", "/gzip"])
async def test_a_whole_response_arrives(connected: Connected, path: str) -> None:
    async with connected() as (server, transport):
        response = await transport.send("p", post(server.url(path)))
        assert (response.status, response.body) == (200, b"hello")
        assert path == "/gzip" or response.headers["x-request-id"] == "req_1"
        assert b"authorization: Bearer " + KEY.encode() in server.heads[0]
        assert isinstance(response, HttpResponse)


async def test_a_chunked_response_arrives_whole(connected: Connected) -> None:
    async with connected() as (server, transport):
        response = await transport.send("p", HttpRequest("GET", server.url("/chunked"), {}))
        assert response.body == b"hello there"


async def test_a_connection_is_used_again(connected: Connected) -> None:
    async with connected() as (server, transport):
        for _ in range(20):
            await transport.send("p", post(server.url("/ok")))
        assert server.connections == 1
        await transport.send("another provider", post(server.url("/ok")))
        assert server.connections == 2


async def test_a_redirect_is_an_answer_and_not_followed(connected: Connected) -> None:
    async with connected() as (server, transport):
        response = await transport.send("p", post(server.url("/redirect")))
        assert response.status == 302
        assert server.requests == ["/redirect"]


@pytest.mark.parametrize(
    "path", ["/cut", "/cut-chunked", "/cut-head", "/nothing", "/garbage", "/reset"]
)
async def test_a_broken_response_is_a_failure_after_sending_and_is_not_repeated(
    connected: Connected, path: str
) -> None:
    async with connected() as (server, transport):
        failed = await fail(transport, post(server.url(path)))
        assert failed.sent
        assert server.requests == [path]
        await closed_by_now(server)
        assert (await transport.send("p", post(server.url("/ok")))).status == 200


async def test_a_refused_connection_is_a_failure_before_sending(connected: Connected) -> None:
    with socket.socket() as taken:  # bound, so that nobody else listens there
        taken.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{taken.getsockname()[1]}/ok"
        async with connected() as (_, transport):
            failed = await fail(transport, post(gone))
        assert not failed.sent
        assert str(failed) == "no connection could be made"


@pytest.mark.parametrize(
    "request_",
    [
        post("ftp://127.0.0.1/x"),
        post("no address"),
        post("http://[::1"),
        post("http://127.0.0.1:99999/"),
        post("http://127.0.0.1/", x=f"two\r\nlines {KEY}"),
        post("http://127.0.0.1/", x=f"schlüssel {KEY}"),
        post("http://name.invalid/"),
    ],
    ids=["scheme", "words", "bracket", "port", "line break", "foreign letters", "no such host"],
)
async def test_what_cannot_be_sent_is_not_sent(connected: Connected, request_: HttpRequest) -> None:
    async with connected() as (_, transport):
        assert not (await fail(transport, request_)).sent


@pytest.mark.parametrize("path", ["/flood", "/bomb", "/declared"])
async def test_a_response_that_is_too_large_is_given_up_and_its_connection_closed(
    connected: Connected,
    path: str,
) -> None:
    async with connected(body_bytes_max=1_000_000) as (server, transport):
        failed = await fail(transport, post(server.url(path)))
        assert failed.sent
        assert "larger than 1000000 bytes" in str(failed)
        await closed_by_now(server, still_open=1 if path == "/bomb" else 0)


@pytest.mark.parametrize("path", ["/damaged", "/brotli"])
async def test_an_encoding_that_does_not_hold_is_a_failure(connected: Connected, path: str) -> None:
    async with connected() as (server, transport):
        assert (await fail(transport, post(server.url(path)))).sent


async def test_a_kept_connection_that_the_server_closed_is_not_used(connected: Connected) -> None:
    async with connected() as (server, transport):
        await transport.send("p", post(server.url("/ok")))
        with pytest.raises(TransportFailed):
            await transport.send("p", post(server.url("/nothing")))
        assert (await transport.send("p", post(server.url("/ok")))).status == 200
        assert server.connections == 2


async def test_two_hundred_at_once_are_served_over_as_many_connections(
    real: type[Real], connected: Connected
) -> None:
    async with connected() as (server, transport):
        bodies: list[bytes] = []

        async def one() -> None:
            bodies.append((await transport.send("p", post(server.url("/held")))).body)

        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(one)
            await until(lambda: len(server.requests) == 200)
            assert repr(transport) == f"<{real.__name__} 200 busy connections, 0 idle>"
            server.gate.set()
        assert bodies == [b"hello"] * 200
        assert server.connections == 200
        assert transport.in_flight == 0


async def test_beyond_the_bound_requests_wait_and_all_are_served(connected: Connected) -> None:
    async with connected(connections_max=4) as (server, transport):
        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(transport.send, "p", post(server.url("/slow")))
        assert server.connections == 4
        assert len(server.requests) == 40


async def test_a_wait_for_a_connection_ends_with_the_callers_patience(connected: Connected) -> None:
    async with (
        connected(connections_max=1) as (server, transport),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(transport.send, "p", post(server.url("/never")))
        await until(lambda: server.requests == ["/never"])
        with trio.move_on_after(0.05) as scope:
            await transport.send("p", post(server.url("/ok")))
        assert scope.cancelled_caught
        assert transport.in_flight == 1
        nursery.cancel_scope.cancel()


async def test_cancelled_requests_leave_no_connection_in_use(connected: Connected) -> None:
    async with connected(connections_max=16) as (server, transport):
        for patience_s in (0.0, 0.0005, 0.001, 0.005, 0.02):
            for path in ("/never", "/flood", "/slow"):
                async with trio.open_nursery() as nursery:
                    nursery.cancel_scope.deadline = trio.current_time() + patience_s
                    for _ in range(20):
                        nursery.start_soon(transport.send, "p", post(server.url(path)))
        assert transport.in_flight == 0
        async with trio.open_nursery() as nursery:  # every place must be there again
            for _ in range(16):
                nursery.start_soon(transport.send, "p", post(server.url("/held")))
            await until(lambda: server.requests.count("/held") == 16)
            server.gate.set()
        await closed_by_now(server, still_open=16)


async def test_connections_that_only_a_burst_needed_are_closed_soon_after(
    real: type[Real], connected: Connected
) -> None:
    async with connected(keepalive_s=0.05) as (server, transport):
        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(transport.send, "p", post(server.url("/held")))
            await until(lambda: len(server.requests) == 40)
            server.gate.set()
        assert repr(transport) == f"<{real.__name__} 0 busy connections, 40 idle>"
        await trio.sleep(0.1)
        for _ in range(40):
            await transport.send("p", post(server.url("/ok")))
        assert repr(transport) == f"<{real.__name__} 0 busy connections, 1 idle>"
        await closed_by_now(server, still_open=1)


async def test_closing_closes_everything_even_while_cancelled(connected: Connected) -> None:
    async with connected() as (server, transport):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(transport.send, "p", post(server.url("/slow")))
        assert server.open == 20
        with trio.CancelScope() as scope:
            scope.cancel()
            await transport.aclose()
        await closed_by_now(server)
        failed = await fail(transport, post(server.url("/ok")))
        assert not failed.sent
        assert "closed" in str(failed)


async def test_connecting_takes_no_longer_than_allowed(connected: Connected) -> None:
    listener = trio.socket.socket()
    await listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = listener.getsockname()[1]
    async with connected(connect_timeout_s=0.1) as (_, transport):
        with listener:
            fillers = [trio.socket.socket() for _ in range(3)]
            with trio.move_on_after(0.2):  # nobody accepts: the backlog fills up
                async with trio.open_nursery() as nursery:
                    for each in fillers:
                        nursery.start_soon(functools.partial(each.connect, ("127.0.0.1", port)))
            failed = await fail(transport, post(f"http://127.0.0.1:{port}/"))
            for each in fillers:
                each.close()
    assert not failed.sent


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
async def test_a_certificate_that_nobody_vouches_for_is_refused_before_sending(
    real: type[Real],
    scheme: str,
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(Path(__file__).with_name("self_signed.pem"))
    listeners = await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1")
    transport_listener = listeners[0].transport_listener
    assert isinstance(transport_listener, trio.SocketListener)
    port = transport_listener.socket.getsockname()[1]
    server = Server(port)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, server.serve, listeners)
        transport = real()
        failed = await fail(transport, post(f"{scheme}://127.0.0.1:{port}/ok"))
        await transport.aclose()
        nursery.cancel_scope.cancel()
    assert not failed.sent
    assert "certificate" in str(failed)
    assert server.requests == []


@pytest.mark.parametrize(
    "limits", [{"body_bytes_max": 0}, {"connections_max": 0}, {"connect_timeout_s": 0.0}]
)
def test_limits_must_be_positive(real: type[Real], limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be > 0"):
        real(**limits)


def test_it_is_a_transport(real: type[Real]) -> None:
    transport: Transport = real()
    assert repr(transport) == f"<{real.__name__} 0 busy connections, 0 idle>"
