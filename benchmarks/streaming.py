"""What a streamed answer costs over a bare httpx stream.

    python -m benchmarks.streaming [--quick] [--json]

A provider in another process sends the same 200 tokens over loopback, each in an event of its own,
at once or one every 2 ms. Bare: `httpx.AsyncClient.stream`, lines, JSON, text, as a program without
a router would read it. Routed: `engine.stream`, with everything on, over our own transport. Both by
turns in this process, over connections that stay open. Time to the first token is wall-clock time
from asking to having it; the cost of a token is CPU time of this process. Medians of rounds.

`value` is what the engine adds, `baseline` the bare stream; less than nothing is a gain.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any, Final

import httpx
import msgspec
import trio

from benchmarks.report import Record, record, report
from understudy import Engine, Request, TextDelta, open_engine

TOKENS: Final = 200
PACE_S: Final = 0.002
STREAMS: Final = (1, 100)
ADDED_US_MAX: Final = 25.0
"""Budget for a token, as for a whole routed call."""
BODY: Final = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)

Once = Callable[[], Awaitable[tuple[float, int]]]
"""Reads one stream; returns seconds to the first token, and how many there were."""


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return _chunk(b"data: " + msgspec.json.encode({**head, "choices": [choice]}) + b"\n\n")


_TOKENS: Final = [_event({"content": f" token{at}"}) for at in range(TOKENS)]
_END: Final = _event({}, "stop") + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


async def _answer(stream: trio.SocketStream) -> None:
    """Answer requests on one connection; the path says at which pace."""
    seen = b""
    while data := await stream.receive_some(65536):
        seen += data
        head, found, body = seen.partition(b"\r\n\r\n")
        if not found or not body.endswith(b"}"):
            continue
        seen = b""
        await stream.send_all(_HEAD)
        if b"/paced/" in head.split(b"\r\n", 1)[0]:
            for token in _TOKENS:
                await stream.send_all(token)
                await trio.sleep(PACE_S)
        else:
            await stream.send_all(b"".join(_TOKENS))
        await stream.send_all(_END)


def _serve(told: Connection) -> None:
    """The provider's process."""

    async def main() -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=1024)
        told.send(listeners[0].socket.getsockname()[1])
        await trio.serve_listeners(_answer, listeners)

    trio.run(main)


def bare(client: httpx.AsyncClient, url: str) -> Once:
    """Reads a stream with httpx alone."""

    async def once() -> tuple[float, int]:
        began, first, count = time.perf_counter(), 0.0, 0
        async with client.stream("POST", url, json=BODY) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    delta = msgspec.json.decode(line[6:])["choices"][0]["delta"]
                    if delta.get("content"):
                        first = first or time.perf_counter() - began
                        count += 1
        return first, count

    return once


def routed(engine: Engine, model: str) -> Once:
    """Reads a stream through an engine."""
    request = Request.chat("hi", model=model)

    async def once() -> tuple[float, int]:
        began, first, count = time.perf_counter(), 0.0, 0
        async with engine.stream(request) as stream:
            async for delta in stream:
                if isinstance(delta, TextDelta):
                    first = first or time.perf_counter() - began
                    count += 1
        return first, count

    return once


async def crowd(streams: int, rounds: int, once: Once) -> tuple[float, float]:
    """(microseconds to the first token, CPU microseconds a token) with so many streams at once."""
    firsts: list[float] = []

    async def reader() -> None:
        for _ in range(rounds):
            first, count = await once()
            assert count == TOKENS, f"{count} of {TOKENS} tokens arrived"
            firsts.append(first)

    gc.collect()
    began = time.process_time()
    async with trio.open_nursery() as nursery:
        for _ in range(streams):
            nursery.start_soon(reader)
    cpu_s = time.process_time() - began
    return statistics.median(firsts) * 1e6, cpu_s / (streams * rounds * TOKENS) * 1e6


async def compare(streams: int, plain: Once, ours: Once, each: int, rounds: int) -> list[float]:
    """Medians: bare first token and token, then what the engine adds to each."""
    for once in (plain, ours):
        await crowd(streams, 1, once)  # connections are open from here on
    pairs = [
        (*await crowd(streams, each, plain), *await crowd(streams, each, ours))
        for _ in range(rounds)
    ]
    first, token, our_first, our_token = (
        statistics.median(column) for column in zip(*pairs, strict=True)
    )
    return [first, token, our_first - first, our_token - token]


async def measure(port: int, *, quick: bool) -> list[Record]:
    """Every case."""
    base = f"http://127.0.0.1:{port}"
    common = {"kind": "openai-compatible", "concurrency": 256}
    config = {
        "log": {"level": "off"},
        "providers": {
            pace: {**common, "base_url": f"{base}/{pace}/v1", "models": [pace]}
            for pace in ("burst", "paced")
        },
    }
    records: list[Record] = []
    limits = httpx.Limits(max_connections=256, max_keepalive_connections=256)
    rounds = 3 if quick else 9
    async with (
        httpx.AsyncClient(limits=limits, timeout=60) as client,
        open_engine(config, environ={}) as engine,
    ):
        engine.listen(lambda _seq, _event: None, fine=False)
        for pace in ("burst", "paced"):
            plain = bare(client, f"{base}/{pace}/v1/chat/completions")
            for streams in STREAMS:
                each = max(1, (20 if quick else 60) // streams) if pace == "burst" else 1
                ours = routed(engine, pace)
                first, token, adds, costs = await compare(streams, plain, ours, each, rounds)
                case = f"{pace}, {streams} at once"
                records.append(record(f"{case}: first token, added", adds, "us", baseline=first))
                records.append(
                    record(
                        f"{case}: CPU a token, added",
                        costs,
                        "us",
                        baseline=token,
                        budget=ADDED_US_MAX,
                    )
                )
    return records


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        records = trio.run(lambda: measure(ours.recv(), quick=options.quick))
    finally:
        process.kill()
        process.join()
    note = "value: what the engine adds; baseline: a bare httpx stream that reads the same tokens"
    report("streaming", records, as_json=options.json, note=note)


if __name__ == "__main__":
    main()
