"""One answer under way, whatever it comes through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

from msgspec.structs import replace

from understudy.adapters.base import Reader, Reply, StreamingAdapter, Target, WireAdapter
from understudy.adapters.failure import transport_failure
from understudy.adapters.limits import sightings
from understudy.routing.calls import Mark, fit, limit_headers, parsed
from understudy.routing.wiring import Call
from understudy.transport.http import HttpResponse, HttpStream, Transport, TransportFailed
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.delta import Delta, TextDelta, ToolCallDelta, UsageDelta
from understudy_actors.domain.rates import Sighting
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import ChatOutput, Usage
from understudy_actors.runtime.ports import Clock

_JSON: Final = "application/json"


class Channel(Protocol):
    """An answer that arrives piece by piece.

    Attributes:
        over: Nothing follows.
        limits: What its headers said of rate limits.
    """

    over: bool
    limits: tuple[Sighting, ...]

    @property
    def begun(self) -> bool:
        """Has the model put out anything yet, thoughts included?"""
        ...

    @property
    def whole(self) -> bool:
        """Would the answer be whole if it ended here?"""
        ...

    @property
    def usage(self) -> Usage | None:
        """The tokens used so far, if the provider has told."""
        ...

    @property
    def skipped(self) -> int:
        """Events that could not be read, and were left out."""
        ...

    async def read(self) -> list[Delta]:
        """Wait for the next bytes; returns what they deliver, which may be nothing.

        Raises:
            ProviderError: The answer failed.
        """
        ...

    def reply(self) -> Reply:
        """The whole answer.

        Raises:
            ProviderError: It was cut, or it is no answer.
        """
        ...

    async def aclose(self) -> None:
        """Let go of it, at once, and also while being cancelled."""
        ...


Opener: TypeAlias = Callable[[Candidate, Request], Awaitable[Channel]]
"""Asks an endpoint for a streamed answer; returns when that has begun to arrive."""


class WireChannel:
    """A streamed answer over the transport."""

    def __init__(
        self,
        stream: HttpStream,
        reader: Reader,
        target: Target,
        limits: tuple[Sighting, ...] = (),
    ) -> None:
        self._stream = stream
        self._reader = reader
        self._target = target
        self.over = False
        self.limits = limits

    @property
    def begun(self) -> bool:
        """Has the model put out anything yet?"""
        return self._reader.begun

    @property
    def whole(self) -> bool:
        """Would the answer be whole if it ended here?"""
        return self._reader.whole

    @property
    def usage(self) -> Usage | None:
        """The tokens used so far."""
        return self._reader.usage

    @property
    def skipped(self) -> int:
        """Events that were left out."""
        return self._reader.skipped

    async def read(self) -> list[Delta]:
        """Read on; see `Channel.read`."""
        reader = self._reader
        try:
            chunk = await self._stream.receive()
        except TransportFailed as failed:
            if reader.whole:  # only what nobody needs is missing
                self.over = True
                return reader.close()
            error = transport_failure(failed, self._target)
        else:
            if chunk:
                deltas = reader.feed(chunk)
                self.over = reader.ended
                return deltas
            self.over = True
            return reader.close()
        raise error

    def reply(self) -> Reply:
        """The whole answer; see `Channel.reply`."""
        return self._reader.reply()

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._stream.aclose(over=self.over)


class WholeChannel:
    """An answer that is here as a whole, of an adapter or a server that does not stream."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.begun = False
        self.over = False
        self.skipped = 0
        self.limits = reply.limits

    @property
    def whole(self) -> bool:
        """It is."""
        return self.over

    @property
    def usage(self) -> Usage | None:
        """What the provider reported."""
        return self._reply.usage

    async def read(self) -> list[Delta]:
        """All of it."""
        self.begun = self.over = True
        return pieces_of(self._reply)

    def reply(self) -> Reply:
        """All of it."""
        return self._reply

    async def aclose(self) -> None:
        """There is nothing to let go of."""


def pieces_of(reply: Reply) -> list[Delta]:
    """A whole answer as deltas."""
    output, deltas = reply.output, list[Delta]()
    if isinstance(output, ChatOutput):
        if output.text:
            deltas.append(TextDelta(output.text))
        for index, call in enumerate(output.tool_calls):
            deltas.append(ToolCallDelta(index, call.arguments, call.id, call.name))
    elif output is not None:
        deltas.append(TextDelta(str(output)))
    if reply.usage is not None:
        deltas.append(UsageDelta(reply.usage))
    return deltas


def whole(call: Call) -> Opener:
    """Streams what can only be had as a whole: one piece, when it is there."""

    async def open_whole(candidate: Candidate, request: Request) -> Channel:
        return WholeChannel(await call(candidate, request))

    return open_whole


def over_wire(
    adapter: WireAdapter,
    target: Target,
    transport: Transport,
    clock: Clock,
    connect_timeout_s: float | None = None,
    mark: Mark | None = None,
) -> Opener:
    """Asks for a stream over the transport.

    An error, and an answer that is no stream although one was asked for, is read as a whole.
    `connect_timeout_s` limits reaching the provider; None leaves that to the transport. `mark`
    has the last word on what is sent.
    """
    assert isinstance(adapter, StreamingAdapter)
    names = limit_headers(adapter, target)

    async def open_wire(candidate: Candidate, request: Request) -> Channel:
        fitted = fit(target, candidate, request)
        outgoing = adapter.build_stream(request, fitted)
        if connect_timeout_s is not None:
            outgoing = replace(outgoing, connect_timeout_s=connect_timeout_s)
        if mark is not None:
            outgoing = mark(request, outgoing)
        try:
            stream = await transport.open(target.provider, outgoing)
            wall_s = clock.wall()
            seen = sightings(names, stream.headers, wall_s)
            if _streams(stream):
                return await _wire_channel(adapter, stream, fitted, wall_s, seen)
            response = HttpResponse(stream.status, stream.headers, await _body(stream))
        except TransportFailed as failed:
            error = transport_failure(failed, target)
        else:
            return WholeChannel(parsed(adapter, request, fitted, response, clock.wall(), seen))
        raise error

    return open_wire


async def _wire_channel(
    adapter: StreamingAdapter,
    stream: HttpStream,
    target: Target,
    wall_s: float,
    seen: tuple[Sighting, ...],
) -> Channel:
    try:
        return WireChannel(stream, adapter.reader(target, stream.headers, wall_s), target, seen)
    except BaseException:
        await stream.aclose()
        raise


def _streams(stream: HttpStream) -> bool:
    declared = stream.headers.get("content-type", "").strip().lower()
    return 200 <= stream.status < 300 and not declared.startswith(_JSON)


async def _body(stream: HttpStream) -> bytes:
    pieces: list[bytes] = []
    try:
        while piece := await stream.receive():
            pieces.append(piece)
    finally:
        await stream.aclose()
    return b"".join(pieces)
