"""The mock provider as its clients see it, over real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio

from understudy_sim.mock import Behaviour, MockHandle, MockSettings, running_mock

pytestmark = pytest.mark.wall_clock

CHAT = "/v1/chat/completions"
BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
SHORT_S = 0.15


@asynccontextmanager
async def serving(
    *faults: dict[str, Any], **settings: Any
) -> AsyncIterator[tuple[MockHandle, httpx.AsyncClient]]:
    async with running_mock(MockSettings(**settings)) as mock:
        mock.control.set_schedule(list(faults))
        async with httpx.AsyncClient(base_url=mock.url, timeout=10) as client:
            yield mock, client


async def chat(client: httpx.AsyncClient, **more: Any) -> httpx.Response:
    return await client.post(CHAT, json={**BODY, **more})


def head(length: int, more: str = "") -> bytes:
    return f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{more}\r\n".encode()


async def raw_exchange(port: int, request: bytes, patience_s: float = 2) -> bytes:
    """What comes back for these bytes, until the server closes or says nothing for a while."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    answer = b""
    async with stream:
        await stream.send_all(request)
        with trio.move_on_after(patience_s):
            while data := await stream.receive_some(65536):
                answer += data
    return answer


async def until(mock: MockHandle, **wanted: int) -> None:
    with trio.fail_after(3):
        while any(getattr(mock.control.stats, n) != value for n, value in wanted.items()):  # noqa: ASYNC110
            await trio.sleep(0.005)  # counters have no events


async def test_a_reset_request_was_read_and_breaks_the_connection() -> None:
    async with serving({"kind": "reset"}) as (mock, client):
        with pytest.raises(httpx.ReadError):
            await chat(client)
        await until(mock, open_connections=0)
        assert mock.control.stats.outcomes == mock.control.stats.faults == {"reset": 1}
        assert (await client.get("/health")).json()["status"] == "ok"


async def test_a_refused_request_breaks_the_connection_before_its_body_is_sent() -> None:
    async with serving({"kind": "refuse"}) as (mock, client):
        stream = await trio.open_tcp_stream("127.0.0.1", mock.port)
        async with stream:
            await stream.send_all(head(9))
            with pytest.raises(trio.BrokenResourceError), trio.fail_after(2):
                await stream.receive_some(1)
        await until(mock, open_connections=0)
        assert mock.control.stats.outcomes == mock.control.stats.faults == {"refuse": 1}
        assert (await client.get("/health")).json()["status"] == "ok"


async def test_a_hanging_provider_sends_no_byte() -> None:
    async with serving({"kind": "hang"}) as (mock, client):
        with pytest.raises(httpx.ReadTimeout):
            await client.post(CHAT, json=BODY, timeout=SHORT_S)
        await until(mock, in_flight=0, open_connections=0)
        assert mock.control.stats.bytes_out == 0
        assert mock.control.stats.outcomes == {"hang": 1}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stalling_provider_sends_headers_and_some_bytes(stream: bool) -> None:
    async with serving({"kind": "stall", "after_bytes": 7}) as (mock, client):
        body, timeout = {**BODY, "stream": stream}, httpx.Timeout(SHORT_S)
        async with client.stream("POST", CHAT, json=body, timeout=timeout) as response:
            assert response.status_code == 200
            received = b""
            with pytest.raises(httpx.ReadTimeout):
                async for part in response.aiter_raw():
                    received += part
        assert len(received) == 7
        await until(mock, in_flight=0, open_connections=0)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stall_that_ends_is_followed_by_the_rest(stream: bool) -> None:
    stall = {"kind": "stall", "after_bytes": 7, "lasts": "50ms", "times": 1}
    async with serving(stall, behaviour=Behaviour(reply="all of it")) as (mock, client):
        stalled, whole = await chat(client, stream=stream), await chat(client, stream=stream)
        assert stalled.status_code == 200
        assert b"all of it" in whole.content or b" of" in whole.content
        assert len(stalled.content) == len(whole.content)
        with trio.fail_after(10):  # an answer is counted once its last byte is out
            while mock.control.stats.outcomes != {"stall": 1, "ok": 1}:  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert mock.control.stats.connections == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("after", [{}, {"after_bytes": 5}, {"after_bytes": 10**9}])
async def test_a_cut_answer_is_noticed_as_cut(stream: bool, after: dict[str, int]) -> None:
    async with serving({"kind": "cut", "times": 1, **after}) as (mock, client):
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed"):
            await chat(client, stream=stream)
        assert (await chat(client)).status_code == 200
        assert mock.control.stats.outcomes == {"cut": 1, "ok": 1}


async def test_a_dripping_answer_comes_whole_but_slowly() -> None:
    async with serving({"kind": "drip", "bytes_per_s": 3000}) as (_, client):
        started = trio.current_time()
        assert (await chat(client)).json()["object"] == "chat.completion"
        assert trio.current_time() - started >= 0.15
        streamed = await chat(client, stream=True)
        assert streamed.text.endswith("data: [DONE]\n\n")


async def test_slow_layers_delay_a_healthy_answer() -> None:
    async with serving(
        {"kind": "slow", "add": "50ms"},
        {"kind": "slow", "multiplier": 3},
        behaviour=Behaviour(latency_s=0.05),
    ) as (mock, client):
        started = trio.current_time()
        assert (await chat(client)).status_code == 200
        assert 0.2 <= trio.current_time() - started < 1
        assert mock.control.stats.outcomes == {"ok": 1}
        assert mock.control.stats.faults == {"slow": 2}


async def test_a_timeout_sleeps_and_then_says_504() -> None:
    async with serving({"kind": "timeout", "duration": "100ms"}) as (_, client):
        started = trio.current_time()
        assert (await chat(client)).status_code == 504
        assert trio.current_time() - started >= 0.1


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "status", "statuses": [503]}, 503),
        ({"kind": "status", "statuses": [529]}, 529),
        ({"kind": "rate_limit"}, 429),
        ({"kind": "credit"}, 402),
        ({"kind": "credit", "variant": "quota"}, 429),
        ({"kind": "auth"}, 401),
        ({"kind": "context_length"}, 400),
        ({"kind": "content_policy"}, 400),
        ({"kind": "model_not_found"}, 404),
        ({"kind": "malformed", "variant": "html"}, 200),
        ({"kind": "malformed", "variant": "empty"}, 200),
    ],
)
async def test_an_error_arrives_whole_and_the_connection_lives(
    fault: dict[str, Any], status: int
) -> None:
    async with serving(fault) as (mock, client):
        for _ in range(2):
            response = await chat(client)
            assert response.status_code == status
            assert response.headers["x-request-id"]
        stats = mock.control.stats
        assert stats.statuses == {str(status): 2}
        assert (stats.outcomes, stats.connections) == ({fault["kind"]: 2}, 1)


@pytest.mark.parametrize("variant", ["truncated_json", "empty", "html"])
async def test_a_malformed_answer_is_no_json(variant: str) -> None:
    async with serving({"kind": "malformed", "variant": variant}) as (_, client):
        response = await chat(client)
        with pytest.raises(json.JSONDecodeError):
            response.json()


async def test_a_bucket_lets_its_burst_through() -> None:
    bucket = {"kind": "rate_limit", "requests_per_min": 60, "burst": 3}
    async with serving(bucket) as (_, client):
        statuses = [(await chat(client)).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        assert (await chat(client)).headers["retry-after"] == "1"


async def test_selectors_choose_by_model_operation_path_and_key() -> None:
    async with serving(
        {"kind": "status", "statuses": [501], "selector": {"model": "a"}},
        {"kind": "status", "statuses": [502], "selector": {"operation": "embedding"}},
        {"kind": "status", "statuses": [503], "selector": {"path": "/v1/models"}},
        {"kind": "status", "statuses": [505], "selector": {"key": "sk-bad"}},
        {"kind": "status", "statuses": [506], "selector": {"provider": "another"}},
    ) as (_, client):
        assert (await chat(client)).status_code == 200
        assert (await chat(client, model="a")).status_code == 501
        embedding = await client.post("/v1/embeddings", json={"model": "m", "input": "x"})
        assert embedding.status_code == 502
        assert (await client.get("/v1/models")).status_code == 503
        client.headers["authorization"] = "Bearer sk-bad"
        assert (await chat(client)).status_code == 505


async def test_faults_begin_and_end_on_time() -> None:
    async with serving() as (mock, client):
        started = trio.current_time()
        mock.control.set_schedule([{"kind": "auth", "from": "100ms", "for": "200ms"}])
        slack_s = trio.current_time() - started
        statuses = []
        while (before := trio.current_time() - started) < 0.5:
            statuses.append((await chat(client)).status_code)
            after = trio.current_time() - started
            if statuses[-1] == 401:
                assert after >= 0.1
                assert before < 0.3 + slack_s
            else:
                assert before < 0.1 + slack_s or after >= 0.3
            await trio.sleep(0.01)
        assert 401 in statuses
        assert statuses[-1] == 200


async def test_streams_are_paced_and_complete() -> None:
    behaviour = Behaviour(reply="one two three four", tokens_per_s=50)
    async with serving(behaviour=behaviour) as (_, client):
        started = trio.current_time()
        async with client.stream("POST", CHAT, json={**BODY, "stream": True}) as response:
            lines = [line async for line in response.aiter_lines() if line.startswith("data: {")]
        deltas = [json.loads(line[6:])["choices"][0]["delta"] for line in lines]
        assert "".join(delta.get("content", "") for delta in deltas) == "one two three four"
        assert trio.current_time() - started >= 0.08


async def test_connections_are_reused() -> None:
    async with serving() as (mock, client):
        for _ in range(20):
            assert (await chat(client)).status_code == 200
        assert mock.control.stats.connections == 1


async def test_counters_are_exact_under_300_concurrent_requests() -> None:
    share = {"kind": "status", "share": 0.3}
    async with serving(share, behaviour=Behaviour(latency_s=0.5)) as (mock, _):
        body = json.dumps(BODY).encode()
        request = head(len(body), "Connection: close\r\n") + body
        statuses: list[bytes] = []

        async def one() -> None:
            statuses.append((await raw_exchange(mock.port, request, 20))[9:12])

        async with trio.open_nursery() as nursery:
            for _ in range(300):
                nursery.start_soon(one)
        await until(mock, open_connections=0)
        stats = mock.control.stats
        failed = statuses.count(b"500")
        assert 50 < failed < 130
        assert stats.requests == stats.paths[CHAT] == stats.connections == 300
        assert stats.outcomes == {"ok": 300 - failed, "status": failed}
        assert stats.statuses == {"200": 300 - failed, "500": failed}
        assert stats.faults == {"status": failed}
        assert stats.in_flight == 0
        assert 10 < stats.max_in_flight <= 300


async def test_too_large_a_head_is_431_and_too_large_a_body_413() -> None:
    async with serving(max_header_bytes=4096, max_body_bytes=1000) as (mock, client):
        for size in (4097, 50_000):
            response = await client.get("/health", headers={"x-filler": "x" * size})
            assert response.status_code == 431
        response = await client.post(CHAT, content=b"x" * 1001)
        assert response.status_code == 413
        assert response.json()["error"]["code"] == "request_too_large"

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b"x" * 100

        assert (await client.post("/v1/messages", content=chunks())).status_code == 413
        assert mock.control.stats.outcomes == {"client_error": 4}
        assert (await chat(client)).status_code == 200


async def test_what_is_not_http_is_told_so() -> None:
    async with serving() as (mock, client):
        answer = await raw_exchange(mock.port, b"\x16\x03\x01 hello\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert (await client.get("/nowhere")).status_code == 404
        wrong = await client.get(CHAT)
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_supported")
        assert (await client.get("/v1/models?limit=1")).status_code == 200


async def test_a_waiting_client_is_told_to_continue() -> None:
    async with serving() as (mock, _):
        body = json.dumps(BODY).encode()
        stream = await trio.open_tcp_stream("127.0.0.1", mock.port)
        async with stream:
            await stream.send_all(head(len(body), "Expect: 100-continue\r\n"))
            assert (await stream.receive_some(100)).startswith(b"HTTP/1.1 100 ")
            await stream.send_all(body)
            assert (await stream.receive_some(100)).startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_leaves_is_counted_and_harms_nobody() -> None:
    async with serving() as (mock, client):
        stream = await trio.open_tcp_stream("127.0.0.1", mock.port)
        await stream.send_all(head(99) + b"{")
        await until(mock, in_flight=1)
        await stream.aclose()
        await until(mock, in_flight=0)
        assert mock.control.stats.outcomes == {"disconnected": 1}
        assert (await chat(client)).status_code == 200


async def test_silent_and_surplus_connections_are_closed() -> None:
    async with serving(idle_s=0.1, max_connections=1) as (mock, _):
        silent = await trio.open_tcp_stream("127.0.0.1", mock.port)
        async with silent:
            await until(mock, open_connections=1)
            surplus = await trio.open_tcp_stream("127.0.0.1", mock.port)
            async with surplus:
                with pytest.raises(trio.BrokenResourceError):
                    await surplus.receive_some(1)
            with trio.fail_after(2):
                assert await silent.receive_some(1) == b""
        assert mock.control.stats.refused_connections == 1


async def test_shutdown_cancels_what_is_open_and_leaves_no_task() -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    async with trio.open_nursery() as nursery:
        failures: list[Exception] = []
        all_failed = trio.Event()

        async def one(client: httpx.AsyncClient, timeout: float) -> None:
            try:
                await client.post(CHAT, json=BODY, timeout=timeout)
            except httpx.TransportError as error:
                failures.append(error)
                if len(failures) == 20:
                    all_failed.set()

        async with httpx.AsyncClient() as client:
            async with running_mock(MockSettings(behaviour=Behaviour(latency_s=60))) as mock:
                client.base_url = httpx.URL(mock.url)
                for _ in range(20):
                    nursery.start_soon(one, client, 30)
                await until(mock, in_flight=20)
            assert mock.control.stats.in_flight == mock.control.stats.open_connections == 0
            assert mock.control.stats.outcomes == {"cancelled": 20}
            await all_failed.wait()
            with pytest.raises(httpx.ConnectError):
                await client.get("/health")
    assert trio.lowlevel.current_statistics().tasks_living == before
