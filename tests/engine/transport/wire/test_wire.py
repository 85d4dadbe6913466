"""What own HTTP promises on sockets: each request once, whole answers, nothing left behind."""

from __future__ import annotations

import functools
import socket
import struct
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any, Final

import pytest
import trio

from tests.engine.transport.kit import until
from tests.engine.transport.wire.scripted import Script, Scripted, Wire, obliging, ok, scripted
from understudy.transport.http import HttpRequest, TransportFailed
from understudy.transport.wire import transport as real
from understudy.transport.wire.transport import PREPARED_MAX, WireTransport

pytestmark = pytest.mark.wall_clock

LARGE: Final = bytes(range(256)) * 49_152
"""12 MiB: more than sockets hold of it."""

Law = Callable[[Any, Scripted], Awaitable[None]]


def post(url: str, body: bytes = b"{}", /, **headers: str) -> HttpRequest:
    """A request."""
    return HttpRequest("POST", url, headers, body)


async def refused(transport: Any, request: HttpRequest) -> TransportFailed:
    """How it fails."""
    try:
        await transport.send("p", request)
    except TransportFailed as error:
        failed = error
    else:
        raise AssertionError("it was answered")
    assert failed.__context__ is None
    return failed


async def said_by(transport: Any, server: Scripted) -> bytes:
    """The answer to a short request."""
    response = await transport.send("p", post(server.url()))
    assert response.status == 200
    body: bytes = response.body
    return body


async def leaves(wire: Wire) -> None:
    """Answers once, and hangs up without a word."""
    await wire.request()
    await wire.say(ok(b"%d" % wire.number))


async def adds(wire: Wire) -> None:
    """Says more than it was asked for, in one go."""
    await wire.request()
    await wire.say(ok(b"%d" % wire.number) + ok(b"smuggled"))
    wire.done = True
    await wire.request()


async def adds_later(wire: Wire) -> None:
    """Says more than it was asked for, while nobody asks."""
    await wire.request()
    await wire.say(ok(b"%d" % wire.number))
    await trio.sleep(0.01)
    await wire.say(ok(b"smuggled"))
    wire.done = True
    await wire.request()


async def closes(wire: Wire) -> None:
    """Says that this is the last answer here, and then breaks its word."""
    while await wire.request():
        await wire.say(ok(b"%d" % wire.number, b"Connection: close"))
        wire.done = True


async def until_the_end(wire: Wire) -> None:
    """Ends the body by closing."""
    await wire.request()
    await wire.say(b"HTTP/1.1 200 OK\r\n\r\n%d" % wire.number)


async def each_its_own(transport: Any, server: Scripted) -> None:
    """A connection that ended, or on which something unasked came, is not used."""
    for number in range(3):
        assert await said_by(transport, server) == b"%d" % number
        await until(lambda: server.wires[-1].done)
    assert server.made == 3


async def sends_it_again_nowhere(transport: Any, server: Scripted) -> None:
    """What was sent on a kept connection and not answered is a failure."""
    assert await said_by(transport, server) == b"0"
    failed = await refused(transport, post(server.url()))
    assert failed.sent
    assert server.made == 1


async def vanishes(wire: Wire) -> None:
    """Answers one request, takes the next one, and hangs up."""
    await wire.request()
    await wire.say(ok(b"%d" % wire.number))
    await wire.request()


async def keeps_the_last_used(transport: Any, server: Scripted) -> None:
    """Of idle connections the last used one serves."""
    gate = trio.Event()

    async def one(number: int) -> None:
        stream = await transport.open("p", post(server.url()))
        while await stream.receive():
            pass
        await gate.wait()
        await trio.sleep(0.01 * number)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(one, number)
            await until(functools.partial(server.has_made, number + 1))
        gate.set()
    for _ in range(5):
        assert await said_by(transport, server) == b"2"
    assert server.made == 3


async def serves_in_order(transport: Any, server: Scripted) -> None:
    """Whoever waits is served in the order of coming, over the connections that there may be."""
    done: list[int] = []

    async def one(number: int) -> None:
        with trio.move_on_after(0.001 if number % 5 == 4 else 5):
            await said_by(transport, server)
            done.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(one, number)
            await trio.testing.wait_all_tasks_blocked()
    assert done == [number for number in range(20) if number % 5 != 4 or number in done]
    assert server.made <= 1 + 4  # whoever left while being served took a connection along
    assert transport.in_flight == 0


async def slowly(wire: Wire) -> None:
    """Takes its time."""
    while await wire.request():
        await trio.sleep(0.003)
        await wire.say(ok(b"%d" % wire.number))


async def gets_all_of_it(transport: Any, server: Scripted) -> None:
    """A body that fits into no buffer arrives, and comes back, whole."""
    for _ in range(2):
        response = await transport.send("p", post(server.url(), LARGE))
        assert response.body == LARGE
    assert server.made == 1


async def echoes(wire: Wire) -> None:
    """Says what it was told."""
    while request := await wire.request():
        await wire.say(ok(request.partition(b"\r\n\r\n")[2]))


async def is_answered_early(transport: Any, server: Scripted) -> None:
    """An answer before all was read counts, and its connection serves nobody else."""
    for number in range(2):
        response = await transport.send("p", post(server.url(), LARGE))
        assert (response.status, response.body) == (413, b"%d" % number)
    await until(lambda: server.open == 0)


async def declines(wire: Wire) -> None:
    """Reads the head, answers, and reads no more."""
    await wire.stream.receive_some(100)
    await wire.say(b"HTTP/1.1 413 Much\r\nContent-Length: 1\r\n\r\n%d" % wire.number)
    await trio.sleep(0.2)


async def declines_and_leaves(wire: Wire) -> None:
    """Reads the head, answers, and hangs up."""
    await wire.stream.receive_some(100)
    await wire.say(b"HTTP/1.1 413 Much\r\nContent-Length: 1\r\n\r\n%d" % wire.number)


async def is_told_of_a_break(transport: Any, server: Scripted) -> None:
    """A request that was broken off on its way may have been seen."""
    assert (await refused(transport, post(server.url(), LARGE))).sent
    assert transport.in_flight == 0


async def breaks(wire: Wire) -> None:
    """Resets the connection in the middle of a request."""
    await wire.stream.receive_some(100)
    assert isinstance(wire.stream, trio.SocketStream)
    wire.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def asks_for_heads(transport: Any, server: Scripted) -> None:
    """A HEAD has no body, and its connection goes on."""
    for _ in range(3):
        response = await transport.send("p", HttpRequest("HEAD", server.url(), {}))
        assert (response.status, response.body) == (200, b"")
        assert response.headers["content-length"] == "7"
    assert server.made == 1


async def only_heads(wire: Wire) -> None:
    """Answers with heads."""
    while (request := await wire.request()).startswith(b"HEAD / HTTP/1.1\r\n"):
        assert b"content-length" not in request
        await wire.say(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")


async def hears_what_is_meant(transport: Any, server: Scripted) -> None:
    """The request is what was asked for, to the byte."""
    url = server.url("/a b/ü?q=1&x=%20#part")
    await transport.send("p", post(url, b"body", **{"X-A": "1", "User-Agent": "me"}))
    await transport.send("p", HttpRequest("GET", server.url(""), {}))
    await transport.send("p", HttpRequest("POST", server.url("/"), {}))


async def listens(wire: Wire) -> None:
    """Compares."""
    host = b"host: 127.0.0.1:%d\r\n" % wire.stream.socket.getsockname()[1]  # type: ignore[attr-defined]
    begin = host + b"user-agent: understudy\r\naccept-encoding: gzip\r\n"
    for expected in (
        b"POST /a%20b/%C3%BC?q=1&x=%20 HTTP/1.1\r\n" + host + b"user-agent: me\r\n"
        b"accept-encoding: gzip\r\nx-a: 1\r\ncontent-length: 4\r\n\r\nbody",
        b"GET / HTTP/1.1\r\n" + begin + b"\r\n",
        b"POST / HTTP/1.1\r\n" + begin + b"content-length: 0\r\n\r\n",
    ):
        assert await wire.request() == expected
        await wire.say(ok())


async def is_left_as_it_was(transport: Any, server: Scripted) -> None:
    """Cancelled at any of its steps, a request leaves every place free and no connection open."""
    for steps in range(12):
        for method in ("send", "open"):
            with trio.CancelScope() as scope:
                trio.lowlevel.add_instrument(after := After(steps, scope))
                try:
                    request = post(server.url(), LARGE[:300_000])
                    found = await getattr(transport, method)("p", request)
                    if method == "open":
                        try:
                            await found.receive()
                        finally:
                            await found.aclose()
                finally:
                    trio.lowlevel.remove_instrument(after)
            assert transport.in_flight == 0
            with trio.fail_after(2):  # there is but one place
                await said_by(transport, server)


class After(trio.abc.Instrument):
    """Cancels a scope after so many steps of this task."""

    def __init__(self, steps: int, scope: trio.CancelScope) -> None:
        self._left, self._scope = steps, scope
        self._task = trio.lowlevel.current_task()
        if not steps:
            scope.cancel()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """One step less."""
        if task is self._task:
            self._left -= 1
            if self._left == 0:
                self._scope.cancel()


LAWS: Final[dict[str, tuple[Script, Law, int]]] = {
    "closed in silence": (leaves, each_its_own, 9),
    "an answer too many": (adds, each_its_own, 9),
    "an answer unasked": (adds_later, each_its_own, 9),
    "the last one here": (closes, each_its_own, 9),
    "ended by closing": (until_the_end, each_its_own, 9),
    "once only": (vanishes, sends_it_again_nowhere, 9),
    "the last used first": (obliging, keeps_the_last_used, 9),
    "in order": (slowly, serves_in_order, 1),
    "answered early": (declines, is_answered_early, 1),
    "answered early, and left": (declines_and_leaves, is_answered_early, 1),
    "broken on its way": (breaks, is_told_of_a_break, 1),
    "heads": (only_heads, asks_for_heads, 1),
    "to the byte": (listens, hears_what_is_meant, 1),
    "large both ways": (echoes, gets_all_of_it, 1),
    "cancelled anywhere": (slowly, is_left_as_it_was, 1),
}
"""What a server does, what holds then, and how many connections there may be."""


async def check(name: str, module: ModuleType = real) -> None:
    """One of them, with the transport of a module."""
    script, law, connections_max = LAWS[name]
    async with scripted(script) as server:
        transport = module.WireTransport(connections_max=connections_max)
        try:
            await law(transport, server)
            assert transport.in_flight == 0
        finally:
            await transport.aclose()


@pytest.mark.parametrize("name", LAWS)
async def test_it_keeps_its_promise(name: str) -> None:
    await check(name)


async def test_heads_are_kept_up_to_a_bound() -> None:
    async with scripted(obliging) as server:
        transport = WireTransport()
        for number in range(PREPARED_MAX + 10):
            await transport.send("p", post(server.url(f"/{number}")))
        assert len(transport._prepared) <= PREPARED_MAX
        assert server.made == 1
        await transport.aclose()


@pytest.mark.parametrize("name", ["content-length", "Transfer-Encoding"])
async def test_how_long_a_body_is_says_the_transport_alone(name: str) -> None:
    transport = WireTransport()
    failed = await refused(transport, post("http://127.0.0.1:1/", **{name: "1"}))
    assert not failed.sent
    assert "leave it out" in str(failed)


async def test_what_must_go_through_a_proxy_goes_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    transport = WireTransport(proxied=WireTransport)
    failed = await refused(transport, post("http://name.invalid/"))
    assert str(failed) == "no connection could be made"
    assert repr(transport) == "<WireTransport 0 busy connections, 0 idle>"
    assert transport._elsewhere is not None
    await transport.aclose()
    assert "closed" in str(await refused(transport, post("http://name.invalid/")))


async def test_every_address_of_a_host_is_tried() -> None:
    async with scripted(obliging) as server:
        transport = WireTransport()
        url = server.url(host="localhost")  # ::1 as well, where nobody listens
        assert (await transport.send("p", post(url))).body == b"0"
        await transport.aclose()
