"""A provider in another process, as fast as Python can be: what benchmarks of HTTP talk to."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Final

import msgspec
import uvloop
from httptools import HttpRequestParser

PATH: Final = "/v1/chat/completions"
QUESTION: Final = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}
TOKENS: Final = 20
_CHOICE: Final = {
    "index": 0,
    "message": {"role": "assistant", "content": "Hello there."},
    "finish_reason": "stop",
}
_USAGE: Final = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
ANSWER: Final = msgspec.json.encode(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [_CHOICE],
        "usage": _USAGE,
    }
)
_WHOLE: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)
)


def _event(delta: object, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return _chunk(b"data: %b\n\n" % msgspec.json.encode({**head, "choices": [choice]}))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_STREAMED: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    + b"".join(_event({"content": f" token{at}"}) for at in range(TOKENS))
    + _event({}, "stop")
    + _chunk(b"data: [DONE]\n\n")
    + b"0\r\n\r\n"
)


class _Connection(asyncio.Protocol):
    """Answers each request at once; whoever asks for a stream gets one, all of it in one go."""

    def __init__(self) -> None:
        self._parser = HttpRequestParser(self)
        self._asked = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """A part of the request's body."""
        self._asked += body

    def on_message_complete(self) -> None:
        """The request is here."""
        asked, self._asked = self._asked.replace(b" ", b""), b""
        streamed = b'"stream":true' in asked
        self._transport.write(_STREAMED if streamed else _WHOLE)  # type: ignore[attr-defined]


def _serve(told: Connection) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=4096)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


@contextmanager
def upstream() -> Iterator[int]:
    """Runs it for the length of a block; gives its port on loopback."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs,), daemon=True
    )
    process.start()
    try:
        port: int = ours.recv()
        yield port
    finally:
        process.terminate()
        process.join()
