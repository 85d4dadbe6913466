"""What a request over HTTP costs its client: `python -m benchmarks.http [--quick] [--json]`.

A provider in another process answers at once, over loopback. Callers ask it one request after the
other, each as soon as it has its answer:

- raw: fixed bytes over a socket of its own, on trio; nothing is parsed
- own: `WireTransport.send`, which is what an engine sends through
- routed: `engine.route` with everything on, over the same transport
- aiohttp: `ClientSession.post`, on asyncio (skipped if it is not installed: extra `bench`)
- httpx: `AsyncClient.post`, on trio, without limits

CPU microseconds of this process for a request, by turns in one run, while all callers are in
flight; median of rounds; of httpx one. With more than 32 in flight httpx is not asked, for a
request then takes it up to a tenth of a second: its cost with 32 stands beside the others there.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec
from typing import Final

import httpx
import msgspec
import trio

from benchmarks.overhead import crowd
from benchmarks.report import Record, command, record
from benchmarks.upstream import PATH, QUESTION, upstream
from understudy import Request, open_engine
from understudy.transport.http import HttpRequest
from understudy.transport.wire.transport import WireTransport

IN_FLIGHT: Final = (1, 32, 256, 1000)
EACH_MIN: Final = 4
WARM: Final = 3
STOCK_MAX: Final = 32
FLAT: Final = 1.5
SHARE_OF_HTTPX: Final = 0.2
BODY: Final = msgspec.json.encode(QUESTION)
HEADERS: Final = {"content-type": "application/json", "authorization": "Bearer sk-benchmark"}

Once = Callable[[], Awaitable[object]]
Client = Callable[[int], AbstractAsyncContextManager[Once]]
"""Opens a client for a port; asking it once is one request."""


@asynccontextmanager
async def raw(port: int) -> AsyncIterator[Once]:
    """Bytes over sockets: the floor."""
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()
    asked = b"POST %b HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n%bcontent-length: %d\r\n\r\n%b" % (
        PATH.encode(),
        port,
        head,
        len(BODY),
        BODY,
    )
    idle: list[socket.socket] = []
    every: list[socket.socket] = []

    async def once() -> None:
        if idle:
            line = idle.pop()
        else:
            line = socket.create_connection(("127.0.0.1", port))
            line.setblocking(False)
            every.append(line)
        line.send(asked)
        await trio.lowlevel.wait_readable(line)
        line.recv(65_536)
        idle.append(line)

    yield once
    for line in every:
        line.close()


@asynccontextmanager
async def own(port: int) -> AsyncIterator[Once]:
    """The transport alone."""
    transport = WireTransport()
    url = f"http://127.0.0.1:{port}{PATH}"

    async def once() -> None:
        response = await transport.send("p", HttpRequest("POST", url, dict(HEADERS), BODY))
        assert response.status == 200

    yield once
    await transport.aclose()


@asynccontextmanager
async def routed(port: int) -> AsyncIterator[Once]:
    """Through the engine."""
    provider = {
        "kind": "openai-compatible",
        "base_url": f"http://127.0.0.1:{port}/v1",
        "models": ["m"],
        "concurrency": 2048,
    }
    question = Request.chat("hi", max_tokens=100)
    async with open_engine({"log": {"level": "off"}, "providers": {"p": provider}}) as engine:

        async def once() -> None:
            await engine.route(question)

        yield once


@asynccontextmanager
async def stock(port: int) -> AsyncIterator[Once]:
    """httpx as it comes."""
    # What expires is closed even while it is in use: with a thousand in flight requests then fail.
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=None, keepalive_expiry=None
    )
    async with httpx.AsyncClient(limits=limits, timeout=None, trust_env=False) as client:
        url = f"http://127.0.0.1:{port}{PATH}"

        async def once() -> None:
            response = await client.post(url, headers=HEADERS, content=BODY)
            assert response.status_code == 200

        yield once


@asynccontextmanager
async def by_aiohttp(port: int) -> AsyncIterator[Once]:
    """aiohttp as it comes."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        url = f"http://127.0.0.1:{port}{PATH}"

        async def once() -> None:
            async with session.post(url, headers=HEADERS, data=BODY) as response:
                await response.read()
                assert response.status == 200

        yield once


async def on_trio(client: Client, port: int, callers: int, each: int) -> float:
    """CPU microseconds for a request of a client that runs on trio."""
    async with client(port) as once:
        await crowd(callers, WARM, once)  # every connection is there
        return await crowd(callers, each, once)


async def on_asyncio(client: Client, port: int, callers: int, each: int) -> float:
    """The same on asyncio."""
    calls, answered, began, ended = callers * each, 0, 0.0, 0.0

    async def caller(once: Once) -> None:
        nonlocal answered, began, ended
        for _ in range(each):
            await once()
            answered += 1
            if answered == callers:
                began = time.process_time()
            elif answered == calls - callers:
                ended = time.process_time()

    async with client(port) as once:
        for rounds in (False, True):
            answered = 0 if rounds else -calls
            gc.collect()
            await asyncio.gather(*(caller(once) for _ in range(callers)))
    return (ended - began) / (calls - 2 * callers) * 1e6


def costs(port: int, callers: int, calls: int, rounds: int) -> dict[str, float]:
    """Median cost by client."""
    taken: dict[str, list[float]] = {}
    each = max(EACH_MIN, calls // callers)
    for number in range(rounds):
        for name, client in (("raw", raw), ("own", own), ("routed", routed)):
            taken.setdefault(name, []).append(trio.run(on_trio, client, port, callers, each))
        if number == 0 and callers <= STOCK_MAX:  # it takes longer than all the others together
            fewer = max(WARM, calls // 10 // callers)
            taken["httpx"] = [trio.run(on_trio, stock, port, callers, fewer)]
        if find_spec("aiohttp"):
            measured = asyncio.run(on_asyncio(by_aiohttp, port, callers, each))
            taken.setdefault("aiohttp", []).append(measured)
    return {name: statistics.median(each) for name, each in taken.items()}


def main(quick: bool) -> list[Record]:
    """Everything."""
    calls, rounds = (2_000, 3) if quick else (10_000, 5)
    records: list[Record] = []
    by_callers: dict[int, dict[str, float]] = {}
    with upstream() as port:
        for callers in IN_FLIGHT:
            found = by_callers[callers] = costs(port, callers, calls, rounds)
            stock_us = found.get("httpx", by_callers[min(callers, STOCK_MAX)]["httpx"])
            for name, value in found.items():
                budget = SHARE_OF_HTTPX * stock_us if name == "own" else None
                case = f"{name}, {callers} in flight, beside httpx"
                records.append(record(case, value, "us", baseline=stock_us, budget=budget))
            if (peer := found.get("aiohttp")) is not None:
                case = f"own, {callers} in flight, beside aiohttp"
                records.append(record(case, found["own"], "us", baseline=peer, budget=peer))
    growth = max(each["own"] for each in by_callers.values()) / by_callers[32]["own"]
    records.append(record("own: dearest to 32 in flight", growth, "times", budget=FLAT))
    return records


if __name__ == "__main__":
    missing = "" if find_spec("aiohttp") else "; aiohttp is skipped: pip install -e '.[bench]'"
    command("http", __doc__, main, f"CPU us a request; {os.cpu_count()} cores{missing}")
