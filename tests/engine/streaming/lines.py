"""Providers that stream as a script says, on a virtual clock and without a network."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs
import msgspec
import trio

from tests.engine.house import Books, house
from understudy import Engine, Request, TextDelta, ToolCallDelta
from understudy.streaming.stream import ChatStream
from understudy.transport.http import (
    HttpRequest,
    HttpResponse,
    HttpStream,
    PiecedStream,
    TransportFailed,
)
from understudy_sim.mock import anthropic as anthropic_wire, openai as openai_wire
from understudy_sim.mock.wire import Origin, Tokens, Wire


@attrs.frozen
class Held:
    """A piece of the body that comes when something happens, in that very turn."""

    event: trio.Event
    piece: bytes


Step: TypeAlias = bytes | float | TransportFailed | Held
"""A piece of the body, a wait in seconds, or the end of the connection."""
EVENTS: Final = {"content-type": "text/event-stream"}
TOKENS: Final = Tokens(10, 20)
CUT: Final = TransportFailed("the connection was closed early", sent=True)
HANG: Final = 1e9


@attrs.define
class Script:
    """One answer: its head after `wait_s`, then its steps, `pace_s` apart.

    Letting go of it takes `close_s`.
    """

    steps: Sequence[Step] = ()
    wait_s: float = 0.1
    pace_s: float = 0.1
    status: int = 200
    headers: Mapping[str, str] = attrs.Factory(lambda: dict(EVENTS))
    close_s: float = 0.0


def frames(text: str, wire: Wire = "openai", tokens: Tokens | None = TOKENS) -> list[bytes]:
    """The events of a good answer."""
    origin = Origin(wire=wire, n=1, provider="p", model="m", wall_s=0.0)
    make = openai_wire.chat_frames if wire == "openai" else anthropic_wire.message_frames
    return list(make(origin, text, tokens, "stop"))


def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    """One OpenAI chunk."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + msgspec.json.encode({"choices": [choice]}) + b"\n\n"


def failing(status: int, **error: Any) -> Script:
    """An error with an HTTP status."""
    body = msgspec.json.encode({"error": {"message": "no", **error}})
    return Script([body], status=status, headers={"content-type": "application/json"})


Scripts: TypeAlias = Mapping[str, Any]
"""Provider to its script, or to its scripts in order."""


class _Stream:
    """A scripted body."""

    def __init__(self, script: Script, wire: StreamWire) -> None:
        self.status = script.status
        self.headers = script.headers
        self._steps = list(script.steps)
        self._pace_s = script.pace_s
        self._close_s = script.close_s
        self._wire = wire
        self._open = True
        wire.under_way += 1

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        while self._steps:
            step = self._steps.pop(0)
            if isinstance(step, TransportFailed):
                raise step
            if isinstance(step, Held):
                await step.event.wait()
                return step.piece
            if isinstance(step, bytes):
                await trio.sleep(self._pace_s)
                self._wire.pieces += 1
                return step
            await trio.sleep(step)
        return b""

    async def aclose(self, *, over: bool = False) -> None:
        if self._open:
            self._open = False
            self._wire.under_way -= 1
            if self._close_s:
                with trio.CancelScope(shield=True):
                    await trio.sleep(self._close_s)


class StreamWire:
    """A transport whose answers are scripted; each provider's last script repeats for ever."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts: dict[str, list[Script | TransportFailed]] = {
            name: [each] if isinstance(each, Script) else list(each)
            for name, each in scripts.items()
        }
        self.sent: list[tuple[str, Any]] = []
        self.under_way = 0
        self.pieces = 0

    async def send(self, provider: str, request: HttpRequest) -> HttpResponse:
        raise TransportFailed("only streams here", sent=False)

    async def open(self, provider: str, request: HttpRequest) -> HttpStream:
        self.sent.append((provider, msgspec.json.decode(request.body)))
        scripts = self._scripts[provider]
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        if isinstance(script, TransportFailed):
            raise script
        await trio.sleep(script.wait_s)
        if script.status != 200:
            return PiecedStream(script.status, script.headers, [bytes(script.steps[0])])  # type: ignore[arg-type]
        return _Stream(script, self)

    async def aclose(self) -> None:
        pass

    def asked(self) -> str:
        """Whom it was sent to, in order."""
        return "".join(provider for provider, _ in self.sent)


def providers(*names: str, **own: Mapping[str, Any]) -> dict[str, Any]:
    """Entries in this order of priority; keywords add to those of one provider."""
    return {
        name: {
            "kind": "openai-compatible",
            "base_url": f"http://{name}.test/v1",
            "models": ["m"],
            "priority": at,
            "price": {"input": 1.0, "output": 2.0},
            "retry": {"attempts": 0},
            **own.get(name, {}),
        }
        for at, name in enumerate(names)
    }


@contextlib.asynccontextmanager
async def streaming(
    scripts: Scripts,
    config: Mapping[str, Any] | None = None,
    **own: Mapping[str, Any],
) -> AsyncIterator[tuple[Engine, Books, StreamWire]]:
    """An engine over scripted providers; its books balance and no stream is open when it closes."""
    wire = StreamWire(scripts)
    table = {"strategy": "priority", "providers": providers(*scripts, **own), **(config or {})}
    async with house(table, transport=wire) as (engine, books):
        yield engine, books, wire
        assert wire.under_way == 0


@attrs.define
class Heard:
    """What a caller got of a stream."""

    stream: ChatStream
    texts: list[str] = attrs.Factory(list)
    calls: list[ToolCallDelta] = attrs.Factory(list)
    at_s: list[float] = attrs.Factory(list)
    error: Exception | None = None

    @property
    def text(self) -> str:
        return "".join(self.texts)


async def hear(
    engine: Engine,
    request: Request | None = None,
    each: Callable[[Heard], Any] | None = None,
) -> Heard:
    """Read a stream to its end, however that is."""
    heard = Heard(engine.stream(request or Request.chat("hi")))
    began = trio.current_time()
    try:
        async with heard.stream as stream:
            async for delta in stream:
                heard.at_s.append(trio.current_time() - began)
                if isinstance(delta, TextDelta):
                    heard.texts.append(delta.text)
                if isinstance(delta, ToolCallDelta):
                    heard.calls.append(delta)
                assert heard.text == stream.text
                if each is not None:
                    await each(heard)
    except Exception as error:
        heard.error = error
    return heard
