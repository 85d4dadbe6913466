"""A crowd at the gateway: streams, idle connections, people who never read, and rubbish.

Small in the normal run; `make gateway-load` runs the whole: 500 streams beside 2,000 idle
connections, and 10,000 mutated requests.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import resource
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from tests.engine.gateway.service import Service, on_loop, oracle, serving
from tests.engine.house import Books
from understudy.gateway import Limits
from understudy_sim.mock.settings import Behaviour

WHOLE: Final = bool(os.environ.get("UNDERSTUDY_LOAD"))
STREAMS: Final = 500 if WHOLE else 24
IDLE: Final = 2_000 if WHOLE else 60
MUTATIONS: Final = 10_000 if WHOLE else 120
CHAT: Final = "/v1/chat/completions"
WORDS: Final = " ".join(str(n) for n in range(60))
LIMITS: Final = Limits(body_max=250_000, concurrent_max=STREAMS + 50)
WIDE: Final = {"concurrency": {"initial": STREAMS, "max": 2 * STREAMS}}
LEFT_MAX: Final = 2_000
"""Objects that a second round may leave behind: caches that fill, and none for each request."""

HELLO: Final[dict[str, Any]] = {
    "model": "auto",
    "messages": [{"role": "user", "content": "hello"}],
}
GOOD: Final[list[tuple[str, dict[str, Any]]]] = [
    (CHAT, {**HELLO, "temperature": 0.5, "stop": ["x"], "understudy": {"labels": ["a"]}}),
    (CHAT, {**HELLO, "stream": True, "stream_options": {"include_usage": True}}),
    ("/v1/messages", {**HELLO, "max_tokens": 9, "system": "be kind"}),
    ("/v1/responses", {"model": "auto", "input": [{"role": "user", "content": "hi"}]}),
    ("/v1/embeddings", {"model": "auto", "input": ["a", "b"]}),
    ("/v1/images/generations", {"model": "auto", "prompt": "a cat", "n": 2}),
    ("/v1/messages/count_tokens", HELLO),
]


def allow_files(wanted: int) -> None:
    """Have so many files open at once, or skip."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"{wanted} open files are needed, and {hard} are allowed here")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def message(path: str, body: bytes, *headers: str, method: str = "POST") -> bytes:
    """One request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def of(value: object, **more: Any) -> bytes:
    """A request for a chat."""
    return message(CHAT, json.dumps({**HELLO, **more} if value is None else value).encode())


@asynccontextmanager
async def connected(
    service: Service, limit: int = 2**20
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that is gone afterwards."""
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=limit)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def answered(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of one whole answer; 0 if there is none."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.lower().partition(": ")[::2] for line in lines[1:])
        status = int(lines[0].split(" ")[1])
        if "content-length" in fields:
            return status, await reader.readexactly(int(fields["content-length"]))
        body = b""
        while not body.endswith(b"0\r\n\r\n"):
            body += await reader.readuntil(b"\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0, b""
    return status, body


async def idle(service: Service) -> None:
    """Nobody is under way any more, and no attempt holds a slot."""
    async with asyncio.timeout(30):
        while service.engine.status().running or any(  # noqa: ASYNC110
            each.in_flight for each in service.engine.health()
        ):
            await asyncio.sleep(0.01)


async def healthy(service: Service) -> None:
    """It serves as if nothing had been."""
    async with connected(service) as (reader, writer):
        for _ in range(3):
            writer.write(of(None))
            status, body = await answered(reader)
            assert (status, b"you said" in body or b"0 1 2" in body) == (200, True)


def objects() -> int:
    """Everything that is kept."""
    for _ in range(3):
        gc.collect()
    return len(gc.get_objects())


async def streams(service: Service, outcome: Counter[str], manner: str) -> None:
    """One caller of a stream, who reads it, is slow, hangs up within it, or closes one half."""
    limit = 2048 if manner == "slow" else 2**20
    async with connected(service, limit) as (reader, writer):
        writer.write(of(None, model="m", stream=True))
        if manner == "half":
            writer.write_eof()
        if manner == "read":
            status, body = await answered(reader)
            whole = status == 200 and b"[DONE]" in body
            refused = status >= 400 and b'"error"' in body
            outcome["whole" if whole else "refused" if refused else "broken"] += 1
            return
        try:
            await reader.readuntil(b"data: ") if manner != "half" else await reader.read()
        except asyncio.IncompleteReadError as error:
            manner = "refused" if b'"error"' in error.partial else "broken"
        if manner == "slow":
            await asyncio.sleep(0.5)
        outcome[manner] += 1


async def crowd(service: Service) -> Counter[str]:
    """All of them at once, beside connections that asked once and stay."""
    outcome: Counter[str] = Counter()
    manners = ["read", "read", "read", "slow", "hang up", "half"]

    async def stays(done: asyncio.Event, ready: asyncio.Semaphore) -> None:
        async with connected(service) as (reader, writer):
            for _ in range(2):
                writer.write(message("/health", b"", method="GET"))
                status, _body = await answered(reader)
                outcome["idle" if status == 200 else "refused"] += 1
                ready.release()
                await done.wait()

    done, ready = asyncio.Event(), asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:
        for _ in range(IDLE):
            group.create_task(stays(done, ready))
        for _ in range(IDLE):
            await ready.acquire()
        async with asyncio.TaskGroup() as streaming:
            for at in range(STREAMS):
                manner = manners[at % len(manners)]
                streaming.create_task(streams(service, outcome, manner))
        done.set()
    return outcome


@on_loop
async def test_a_crowd_is_served_and_leaves_nothing() -> None:
    allow_files(2 * (IDLE + 2 * STREAMS) + 200)
    behaviour = Behaviour(reply=WORDS, tokens_per_s=400.0)
    once = {"stream": {"hedge": False}}
    async with serving(once, behaviours=(behaviour,), limits=LIMITS, each=WIDE) as service:
        books = Books(service.engine)
        tasks, kept = len(asyncio.all_tasks()), 0
        for _ in range(3):
            outcome = await crowd(service)
            await idle(service)
            books.balance()
            books.events.clear()
            assert outcome["idle"] == 2 * IDLE
            assert outcome["broken"] == 0
            assert outcome["refused"] <= STREAMS // 20, "on a busy machine somebody may be too late"
            await asyncio.sleep(0.1)
            before, kept = kept, objects()
        assert len(asyncio.all_tasks()) <= tasks
        assert kept - before < LEFT_MAX
        await healthy(service)


@pytest.mark.parametrize("stream", [False, True])
@on_loop
async def test_whoever_hangs_up_in_a_crowd_ends_the_attempt_at_once(stream: bool) -> None:
    """As many attempts as callers, and none once they are gone."""
    running = 0

    async def never(_request: object) -> str:
        nonlocal running
        running += 1
        try:
            await asyncio.sleep(1000)
        finally:
            running -= 1
        return "late"

    allow_files(4 * STREAMS + 200)
    async with serving(never=never, limits=LIMITS, each=WIDE) as service:
        books = Books(service.engine)
        async with asyncio.TaskGroup() as group:
            gone = asyncio.Event()

            async def caller() -> None:
                async with connected(service) as (_, writer):
                    writer.write(of(None, stream=stream))
                    await gone.wait()

            for _ in range(STREAMS):
                group.create_task(caller())
            while running < STREAMS:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            gone.set()
        await idle(service)
        assert running == 0
        books.balance()


def mutated(rng: random.Random) -> bytes:
    """A good request with something wrong in its body, by bytes or by JSON."""
    path, body = GOOD[rng.randrange(len(GOOD))]
    if rng.random() < 0.5:
        raw = bytearray(json.dumps(body).encode())
        for _ in range(rng.randint(1, 6)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        return message(path, bytes(raw[: rng.randint(1, len(raw))] if rng.random() < 0.2 else raw))
    odd: list[Any] = [
        None,
        True,
        -1,
        2**70,
        1e300,
        "",
        "\u0000",
        "x" * 5000,
        [],
        {},
        [[[]]],
        {"": 0},
    ]
    wrong = json.loads(json.dumps(body))
    place, key = wrong, rng.choice(list(wrong))
    while isinstance(place[key], dict | list) and place[key] and rng.random() < 0.7:
        place = place[key]
        key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
    if rng.random() < 0.2 and isinstance(place, dict):
        del place[key]
    else:
        place[key] = rng.choice(odd)
    return message(path, json.dumps(wrong).encode())


@on_loop
async def test_no_mutation_of_a_request_does_more_than_be_refused() -> None:
    rng = random.Random(20)
    async with serving(oracle=oracle, limits=LIMITS) as service:
        books = Books(service.engine)
        kept, statuses = 0, Counter[int]()
        for _round in range(2):
            for _ in range(MUTATIONS // 20):
                async with connected(service) as (reader, writer):
                    for _ in range(10):
                        sent = mutated(rng)
                        writer.write(sent)
                        status, body = await answered(reader)
                        assert status == 200 or 400 <= status < 500, (status, sent, body)
                        assert status == 200 or b'"error"' in body
                        statuses[status] += 1
            await idle(service)
            books.balance()
            books.events.clear()
            before, kept = kept, objects()
        assert statuses.total() == MUTATIONS // 20 * 20
        assert {200, 400} <= set(statuses)
        assert kept - before < LEFT_MAX
        await healthy(service)


FLOOD: Final = [f"x-{n}: {n}" for n in range(300)]
RUBBISH: Final[list[tuple[bytes, int]]] = [
    (b"GET / HTTP/9.9\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"hello\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
    (message(CHAT, b"{}", *FLOOD), 431),
    (b"GET /health HTTP/1.1\r\n" + b"x: " + b"y" * 2_000_000, 431),
    (b"GET /" + b"z" * 2_000_000, 431),
    (message(CHAT, b"x" * 300_000), 413),
    (message(CHAT, b'{"model": "\xff\xfe"}'), 400),
    (message(CHAT, b"[" * 100_000), 400),
    (message("/v1/images/edits", b"--b", "content-type: multipart/form-data; boundary=b"), 400),
    (message(CHAT, b"{}", method="PUT"), 405),
    (message("/v1/" + "%00" * 50, b"{}"), 404),
]  # fmt: skip
"""What is no request, and what its sender is told."""


@on_loop
async def test_rubbish_is_told_so_and_hurts_nobody() -> None:
    async with serving(oracle=oracle, limits=LIMITS) as service:
        for _ in range(20 if WHOLE else 1):
            for sent, status in RUBBISH:
                async with connected(service) as (reader, writer):
                    writer.write(sent)
                    found, body = await answered(reader)
                    assert found == status, (sent[:80], found, body)
                    assert b'"error"' in body
            async with connected(service) as (reader, writer):
                writer.write(of(None)[:-5])  # a body that never ends
                writer.write_eof()
                assert await reader.read() == b""
        await healthy(service)
