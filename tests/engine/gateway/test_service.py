"""What the service makes of callers who send odd things, hang up, or never read."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.engine.gateway.service import Service, on_loop, oracle, serving
from tests.engine.house import Books
from understudy.gateway import Limits
from understudy_sim.mock.settings import Behaviour

CHAT = "/v1/chat/completions"
HELLO: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}


def client(service: Service, **more: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=service.url, timeout=20.0, trust_env=False, **more)


@on_loop
async def test_health_readiness_status_and_what_is_not_there() -> None:
    async with serving(oracle=oracle) as service, client(service) as http:
        assert (await http.get("/health")).json() == {"status": "healthy"}
        assert (await http.get("/ready")).status_code == 200
        assert (await http.get("/status")).json()["total"] == 1
        await http.post(CHAT, json=HELLO)
        page = await http.get("/metrics")
        assert page.headers["content-type"].startswith("text/plain")
        assert 'understudy_requests_total{status="ok"} 1.0' in page.text
        missing = await http.get("/v1/nothing")
        assert missing.status_code == 404
        assert missing.json()["error"]["code"] == "not_found"
        wrong = await http.get(CHAT)
        assert wrong.status_code == 405
        assert wrong.json()["error"]["message"] == f"GET {CHAT} is not possible"
        as_anthropic = await http.get("/v1/nothing", headers={"anthropic-version": "2023-06-01"})
        assert as_anthropic.json()["error"]["type"] == "not_found_error"


@on_loop
async def test_it_is_not_ready_when_nobody_can_be_asked() -> None:
    async with serving(oracle=oracle) as service, client(service) as http:
        service.engine.isolate("oracle")
        assert (await http.get("/ready")).status_code == 503
        assert (await http.get("/health")).status_code == 200
        refused = await http.post(CHAT, json=HELLO)
        assert refused.status_code in (404, 503)


@on_loop
async def test_a_callers_request_id_is_taken_and_given_back() -> None:
    async with serving(oracle=oracle) as service, client(service) as http:
        answer = await http.post(CHAT, json=HELLO, headers={"x-request-id": "mine-1"})
        assert answer.headers["x-request-id"] == "mine-1"
        assert service.engine.explain("mine-1") is not None
        bad = await http.post(CHAT, json=HELLO, headers={"x-request-id": "a b" * 100})
        assert bad.headers["x-request-id"] not in ("", "a b" * 100)
        refused = await http.post(CHAT, json={}, headers={"x-request-id": "mine-2"})
        assert (refused.status_code, refused.headers["x-request-id"]) == (400, "mine-2")


@on_loop
async def test_a_callers_own_answer_asks_nobody() -> None:
    async with serving(oracle=oracle) as service, client(service) as http:
        books = Books(service.engine)
        body = {**HELLO, "understudy": {"mock_response": "canned"}}
        answer = await http.post(CHAT, json=body)
        assert answer.json()["choices"][0]["message"]["content"] == "canned"
        assert books.events == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'"hello"', 400),
        (b"\xff\xfe{}", 400),
        (b'{"model": "\xc3\x28"}', 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 50_000, 400),
        (b"x" * 300_000, 413),
    ],
    ids=range(9),
)
@on_loop
async def test_what_is_no_request_is_refused(body: bytes, status: int) -> None:
    limits = Limits(body_max=250_000)
    async with serving(oracle=oracle, limits=limits) as service, client(service) as http:
        for path in (CHAT, "/v1/messages", "/v1/responses", "/v1/embeddings"):
            answer = await http.post(path, content=body)
            assert answer.status_code == status
            assert answer.json()["error"]["message"]
        assert (await http.post(CHAT, json=HELLO)).status_code == 200


@on_loop
async def test_a_body_in_pieces_is_bounded_as_well() -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b"x" * 10_000

    async with (
        serving(oracle=oracle, limits=Limits(body_max=250_000)) as service,
        client(service) as http,
    ):
        assert (await http.post(CHAT, content=endless())).status_code == 413


@on_loop
async def test_one_after_the_other_is_never_too_many() -> None:
    limits = Limits(concurrent_max=1)
    async with serving(oracle=oracle, limits=limits) as service, client(service) as http:
        for body in (HELLO, {}, HELLO, {**HELLO, "stream": True}, HELLO):
            assert (await http.post(CHAT, json=body)).status_code in (200, 400)


@on_loop
async def test_too_many_at_once_are_refused_and_told_when_to_come_back() -> None:
    async def slow(_request: object) -> str:
        await asyncio.sleep(0.3)
        return "done"

    async with (
        serving(slow=slow, limits=Limits(concurrent_max=3)) as service,
        client(service) as http,
    ):
        answers = await asyncio.gather(*(http.post(CHAT, json=HELLO) for _ in range(8)))
        refused = [each for each in answers if each.status_code == 503]
        assert len(refused) == 5
        assert all(each.headers["retry-after"] == "1" for each in refused)


@pytest.mark.parametrize("stream", [False, True])
@on_loop
async def test_a_caller_who_hangs_up_ends_the_attempt_at_once(stream: bool) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def never(_request: object) -> str:
        begun.set()
        try:
            await asyncio.sleep(1000)
        finally:
            ended.set()
        return "late"

    async with serving(never=never) as service:
        books = Books(service.engine)
        reader, writer = await asyncio.open_connection(*_address(service))
        writer.write(_http(CHAT, {**HELLO, "stream": stream}))
        await begun.wait()
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(5.0):
            await ended.wait()
            await _idle(service)
        books.balance()
        assert await reader.read() == b""


@on_loop
async def test_a_caller_who_hangs_up_within_a_stream_ends_it() -> None:
    words = " ".join(str(n) for n in range(2000))
    behaviours = (Behaviour(reply=words, tokens_per_s=50.0),)
    async with serving(behaviours=behaviours) as service:
        books = Books(service.engine)
        async with (
            client(service) as http,
            http.stream("POST", CHAT, json={**HELLO, "model": "m", "stream": True}) as answer,
        ):
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for line in answer.aiter_lines():
                if '"content":"' in line and "5" in line:
                    break
        async with asyncio.timeout(5.0):
            await _idle(service)
        books.balance()


async def _idle(service: Service) -> None:
    while service.engine.status().running:  # noqa: ASYNC110 - nobody else is told of it
        await asyncio.sleep(0.01)


def _address(service: Service) -> tuple[str, int]:
    host, port = service.url.removeprefix("http://").split(":")
    return host, int(port)


def _http(path: str, body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content
