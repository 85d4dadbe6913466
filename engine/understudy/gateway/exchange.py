"""One exchange with a caller: its request in, the answer or the stream out, and nothing after it.

Whoever hangs up is noticed at once: the attempt is cancelled, and with that settled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

import msgspec

from understudy.gateway.asked import Asked, Frames, Wire
from understudy.gateway.body import Gone, Receive
from understudy.gateway.headers import (
    JSON,
    STREAM,
    Headers,
    named,
    of_problem,
    of_result,
    served_by,
)
from understudy.gateway.limits import DEFAULT, Limits
from understudy.gateway.problem import Problem, problem_of
from understudy.gateway.wires.sse import KEEP_ALIVE
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import Result

Send = Callable[[Any], Awaitable[None]]
_T = TypeVar("_T")
_encode: Final = msgspec.json.Encoder().encode


class Routing(Protocol):
    """What an engine does for callers; the embedding API for asyncio has it."""

    async def route(self, request: Request) -> Result:
        """The whole answer."""
        ...

    def stream(self, request: Request) -> Any:
        """The answer piece by piece."""
        ...


class Exchange:
    """One request of one caller, and its answer."""

    def __init__(
        self, receive: Receive, send: Send, request_id: str, limits: Limits = DEFAULT
    ) -> None:
        self._limits = limits
        self._receive = receive
        self._send = send
        self.request_id = request_id
        self.status = 0
        self._silent = False
        self._whole = False  # the last byte was handed over

    async def whole(self, engine: Routing, wire: Wire, asked: Asked, created: int) -> Result:
        """Answer in one piece.

        Raises:
            UnderstudyError: Nobody answered; nothing was sent yet.
            Gone: The caller hung up.
        """
        result = await self._unless_gone(engine.route(asked.request))
        await self.result(wire, asked, result, created)
        return result

    async def result(self, wire: Wire, asked: Asked, result: Result, created: int) -> None:
        """Send an answer."""
        headers = [*named(result.request_id or self.request_id), *of_result(result)]
        await self.send(200, _encode(wire.answer(asked, result, created)), headers)

    async def streamed(self, engine: Routing, wire: Wire, asked: Asked, created: int) -> Result:
        """Answer piece by piece. After the first one every end is told inside the stream.

        Raises:
            UnderstudyError: Nobody began to answer; nothing was sent yet.
            Gone: The caller hung up.
        """
        return await self._unless_gone(self._stream(engine, wire, asked, created))

    async def problem(self, wire: Wire, problem: Problem) -> None:
        """Send an error."""
        told = msgspec.structs.replace(problem, request_id=problem.request_id or self.request_id)
        headers = [*named(told.request_id), *of_problem(told)]
        await self.send(told.status, _encode(wire.error(told)), headers)

    async def send(self, status: int, body: bytes, headers: Headers) -> None:
        """Send a whole JSON answer."""
        own = [JSON, (b"content-length", b"%d" % len(body)), *headers]
        await self._start(status, own)
        await self._more(body, last=True)

    async def _stream(self, engine: Routing, wire: Wire, asked: Asked, created: int) -> Result:
        async with engine.stream(asked.request) as stream:
            ident = stream.request_id
            frames = wire.frames(asked, ident, created)
            assert frames is not None, "only formats that have streams are asked for one"
            own = [*STREAM, *named(ident), *served_by(stream.provider, stream.model)]
            await self._start(200, own)
            pulse = asyncio.create_task(self._pulse())
            try:
                return await self._pieces(stream, frames)
            finally:
                pulse.cancel()
                with suppress(asyncio.CancelledError):
                    await pulse

    async def _pieces(self, stream: Any, frames: Frames) -> Result:
        await self._more(frames.begin(stream.model))
        try:
            async for delta in stream:
                if piece := frames.piece(delta):
                    await self._more(piece)
            result: Result = stream.result()
        except Exception as error:
            if isinstance(error, Gone):
                raise
            told = problem_of(error)
            told = msgspec.structs.replace(told, request_id=self.request_id)
            await self._more(frames.fail(told), last=True)
            raise Told from error
        await self._more(frames.end(result), last=True)
        return result

    async def _start(self, status: int, headers: Headers) -> None:
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _more(self, body: bytes, *, last: bool = False) -> None:
        """Send a piece; a caller who does not take it is given up in the end."""
        self._silent, self._whole = False, last
        try:
            async with asyncio.timeout(self._limits.send_s):
                await self._send(
                    {"type": "http.response.body", "body": body, "more_body": not last}
                )
        except TimeoutError:
            raise Gone from None

    async def _pulse(self) -> None:
        while True:
            self._silent = True
            await asyncio.sleep(self._limits.pulse_s)
            if self._silent:
                await self._send(
                    {"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True}
                )

    async def _unless_gone(self, work: Awaitable[_T]) -> _T:
        """What `work` returns; if the caller hangs up before, it is cancelled.

        Raises:
            Gone: The caller hung up.
        """
        task = asyncio.ensure_future(work)
        gone = asyncio.create_task(self._gone())
        try:
            await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
            if not (task.done() or self._whole):
                raise Gone
            return await task
        finally:
            gone.cancel()
            if not task.done():
                task.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Told(Exception):
    """A stream ended badly, and its caller was told inside it; the cause says how."""


def header_map(scope: Mapping[str, Any]) -> dict[str, str]:
    """The request's headers, with names in lower case; of doubles the last."""
    return {name.decode("latin-1").lower(): v.decode("latin-1") for name, v in scope["headers"]}
