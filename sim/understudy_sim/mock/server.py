"""The mock provider on real sockets."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator
from typing import Final

import attrs
import h11
import trio
from msgspec.structs import replace

from understudy.ports import SystemClock
from understudy_actors.runtime.ports import Clock
from understudy_sim.fault_kinds import Hang, Reset
from understudy_sim.mock import control
from understudy_sim.mock.connection import ClientLeft, Connection, TooLarge
from understudy_sim.mock.native_requests import native_route
from understudy_sim.mock.provider import Call, MockProvider, Plan
from understudy_sim.mock.requests import ROUTES, Route
from understudy_sim.mock.settings import MockSettings
from understudy_sim.mock.wire import Answer

_CLOSE: Final = ("connection", "close")
_NOWHERE: Final = Route("GET", "unknown", "openai", ROUTES["/v1/models"].body)


@attrs.frozen
class MockHandle:
    """A mock provider that is serving.

    Attributes:
        url: Its base address, without a path and without a final slash.
        port: The port it listens on.
        control: Its settings and counters, within this process.
    """

    url: str
    port: int
    control: MockProvider


async def serve(
    settings: MockSettings,
    *,
    clock: Clock | None = None,
    task_status: trio.TaskStatus[MockHandle] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled, then close every connection. Reports a `MockHandle` when it listens.

    Raises:
        OSError: The port is taken or not allowed.
    """
    mock = MockProvider(settings, clock or SystemClock())
    listeners = await trio.open_tcp_listeners(settings.port, host=settings.host)
    port = listeners[0].socket.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    task_status.started(MockHandle(url=f"http://{host}:{port}", port=port, control=mock))
    await trio.serve_listeners(functools.partial(_accept, mock), listeners)


@contextlib.asynccontextmanager
async def running_mock(
    settings: MockSettings | None = None, *, clock: Clock | None = None
) -> AsyncIterator[MockHandle]:
    """A mock provider for as long as the block runs, on a free port unless `settings` name one.

    What the block raises comes out as it is, not in a group.
    """
    try:
        async with trio.open_nursery() as nursery:
            start = functools.partial(serve, clock=clock)
            handle: MockHandle = await nursery.start(start, settings or MockSettings())
            try:
                yield handle
            finally:
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        raise group.exceptions[0] from None


async def _accept(mock: MockProvider, stream: trio.SocketStream) -> None:
    """Serve one connection to its end. trio closes the socket, whatever happens here."""
    stats = mock.stats
    connection = Connection(stream, stats, mock.settings.max_header_bytes)
    if stats.open_connections >= mock.settings.max_connections:
        stats.refused_connections += 1
        connection.reset()
        return
    stats.connections += 1
    stats.open_connections += 1
    try:
        while await _exchange(mock, connection) and connection.reuse():
            pass
        await connection.linger()
    except (ClientLeft, trio.BrokenResourceError, h11.RemoteProtocolError):
        pass  # The client broke off. Its request, if there was one, is counted as such.
    finally:
        stats.open_connections -= 1


async def _exchange(mock: MockProvider, connection: Connection) -> bool:
    """Read and answer one request; False when the connection should be closed."""
    try:
        head = None
        with trio.move_on_after(mock.settings.idle_s):
            head = await connection.read_head()
        if head is None:
            return False
    except h11.RemoteProtocolError as error:
        await _reject(mock, connection, error)
        return False
    path = head.target.partition(b"?")[0].decode("latin-1")
    method = head.method.decode("latin-1")
    if path in control.PATHS:
        return await _control(mock, connection, method, path)
    route = ROUTES.get(path) or native_route(path) or _NOWHERE
    call = mock.call(path, route, dict(head.headers))
    mock.stats.arrived(path)
    outcome = "cancelled"
    try:
        outcome, goes_on = await _serve(mock, connection, call, method)
    except (ClientLeft, trio.BrokenResourceError, h11.RemoteProtocolError):
        outcome = "disconnected"
        raise
    finally:
        mock.stats.ended(outcome)
    return goes_on


async def _serve(
    mock: MockProvider, connection: Connection, call: Call, method: str
) -> tuple[str, bool]:
    """Answer one API request: its outcome, and whether the connection may live on."""
    if (refusal := mock.refuse(call)) is not None:
        mock.stats.fault(refusal.kind)
        if refusal.after_s:
            await trio.sleep(refusal.after_s)
        connection.reset()
        return refusal.kind, False
    try:
        body = await _body(mock, connection)
    except TooLarge:
        await _last(mock, connection, mock.error(call, "too_large"))
        return "client_error", False
    if call.route is _NOWHERE or method != call.route.method:
        problem = "not_found" if call.route is _NOWHERE else "method"
        await _send(mock, connection, mock.error(call, problem))
        return "client_error", True
    plan = mock.plan(call, body)
    return plan.outcome, await _act(mock, connection, plan)


async def _act(mock: MockProvider, connection: Connection, plan: Plan) -> bool:
    """Carry out a plan; False when the connection should be closed."""
    if plan.wait_s > 0:
        await trio.sleep(plan.wait_s)
    if plan.answer is not None and plan.fault is None:
        await _send(mock, connection, plan.answer)
        return True
    if plan.answer is None:
        if isinstance(plan.fault, Reset):
            connection.reset()
        elif isinstance(plan.fault, Hang):
            await _silence(connection)
        return False
    assert plan.fault is not None
    mock.stats.status(plan.answer.status)
    try:
        await connection.send_broken(plan.answer, plan.fault)
    except trio.BrokenResourceError:
        return False  # Whoever drips or stalls is left by the client; the fault did its work.
    return True


async def _silence(connection: Connection) -> None:
    with contextlib.suppress(trio.BrokenResourceError):  # a client's reset is leaving as well
        await connection.await_end()


async def _control(mock: MockProvider, connection: Connection, method: str, path: str) -> bool:
    try:
        body = await _body(mock, connection)
    except TooLarge:
        await connection.send(replace(control.TOO_LARGE, headers=(_CLOSE,)))
        return False
    await connection.send(control.respond(mock, method, path, body))
    return True


async def _body(mock: MockProvider, connection: Connection) -> bytes:
    body = None
    with trio.move_on_after(mock.settings.idle_s):
        body = await connection.read_body(mock.settings.max_body_bytes)
    if body is None:
        raise ClientLeft
    return body


async def _send(mock: MockProvider, connection: Connection, answer: Answer) -> None:
    mock.stats.status(answer.status)
    await connection.send(answer)


async def _last(mock: MockProvider, connection: Connection, answer: Answer) -> None:
    """Send the last answer on a connection whose request was not read to its end."""
    await _send(mock, connection, replace(answer, headers=(*answer.headers, _CLOSE)))


async def _reject(
    mock: MockProvider, connection: Connection, error: h11.RemoteProtocolError
) -> None:
    """Answer what is not HTTP, or has too large a head."""
    if not connection.answerable():
        return
    mock.stats.arrived("(unreadable)")
    problem = "headers" if error.error_status_hint == 431 else "bad_request"
    try:
        call = mock.call("(unreadable)", _NOWHERE, {})
        await _last(mock, connection, mock.error(call, problem))
    finally:
        mock.stats.ended("client_error")
