"""The control endpoints, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio

from understudy_sim.faults import Failures, parse_schedule
from understudy_sim.mock import MockHandle, MockSettings, running_mock, serve

pytestmark = pytest.mark.wall_clock

CHAT = "/v1/chat/completions"
BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
NONE = {
    "timeout_probability": 0.0,
    "timeout_duration_seconds": 30.0,
    "rate_limit_probability": 0.0,
    "server_error_probability": 0.0,
}


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[tuple[MockHandle, httpx.AsyncClient]]:
    async with (
        running_mock(MockSettings(**settings)) as mock,
        httpx.AsyncClient(base_url=mock.url, timeout=5) as client,
    ):
        yield mock, client


async def test_failures_are_set_shown_and_reset() -> None:
    async with serving() as (_, client):
        assert (await client.get("/config/failures")).json() == NONE
        for config, status in (
            ({"rate_limit_probability": 1}, 429),
            ({"server_error_probability": 1.0}, 500),
            ({"timeout_probability": 1, "timeout_duration_seconds": 0.05}, 504),
        ):
            effective = (await client.post("/config/failures", json=config)).json()
            assert effective == {**NONE, **config}
            assert (await client.get("/config/failures")).json() == effective
            assert (await client.post(CHAT, json=BODY)).status_code == status
        assert (await client.post("/config/failures", json={})).json() == NONE
        assert (await client.post(CHAT, json=BODY)).status_code == 200


async def test_a_timeout_sleeps_as_long_as_configured() -> None:
    async with serving() as (_, client):
        config = {"timeout_probability": 1, "timeout_duration_seconds": 0.2}
        await client.post("/config/failures", json=config)
        started = trio.current_time()
        assert (await client.post(CHAT, json=BODY)).status_code == 504
        assert 0.2 <= trio.current_time() - started < 1


async def test_probabilities_are_shares_of_the_requests() -> None:
    async with serving(seed=5) as (mock, client):
        config = {"rate_limit_probability": 0.3, "server_error_probability": 0.2}
        await client.post("/config/failures", json=config)
        for _ in range(300):
            await client.post(CHAT, json=BODY)
        outcomes = mock.control.stats.outcomes
        assert 65 <= outcomes["rate_limit"] <= 115
        assert 35 <= outcomes["status"] <= 85


@pytest.mark.parametrize(
    ("path", "config", "key"),
    [
        ("/config/failures", {"timeout_probabilty": 0.5}, "timeout_probabilty"),
        ("/config/failures", {"timeout_probability": 1.5}, "timeout_probability"),
        ("/config/failures", {"rate_limit_probability": -0.1}, "rate_limit_probability"),
        ("/config/failures", {"server_error_probability": "1"}, "server_error_probability"),
        ("/config/failures", {"timeout_duration_seconds": -1}, "timeout_duration_seconds"),
        ("/config/failures", [], None),
        ("/config/failures", 3, None),
        ("/config/schedule", {"faults": [{"kind": "nap"}]}, "faults[0].kind"),
        ("/config/behaviour", {"usage": "none"}, "usage"),
        ("/config/behaviour", {"latency_s": "soon"}, "latency_s"),
        ("/config/behaviour", {"tokens_per_s": 0}, "tokens_per_s"),
    ],
)
async def test_a_bad_configuration_is_refused_by_name_and_changes_nothing(
    path: str, config: object, key: str | None
) -> None:
    async with serving() as (_, client):
        before = (await client.get(path)).json()
        response = await client.post(path, json=config)
        error = response.json()["error"]
        assert (response.status_code, error["key"]) == (422, key)
        assert error["message"]
        assert (await client.get(path)).json() == before


async def test_probabilities_that_sum_to_more_than_one_are_refused() -> None:
    async with serving() as (_, client):
        config = {"timeout_probability": 0.6, "rate_limit_probability": 0.6}
        response = await client.post("/config/failures", json=config)
        assert response.status_code == 422
        assert "rate_limit_probability" in response.json()["error"]["message"]
        assert (await client.get("/config/failures")).json() == NONE


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
async def test_what_is_no_json_is_a_bad_request(body: bytes) -> None:
    async with serving() as (_, client):
        response = await client.post("/config/failures", content=body)
        assert response.status_code == 400
        assert "send a JSON object" in response.json()["error"]["message"]


async def test_a_schedule_is_activated_shown_and_ended() -> None:
    async with serving() as (mock, client):
        schedule = [{"kind": "status", "from": "0s", "for": "1m", "statuses": [502]}]
        shown = {"faults": [{"kind": "status", "until": 60.0, "statuses": [502]}]}
        assert (await client.post("/config/schedule", json=schedule)).json() == shown
        assert (await client.get("/config/schedule")).json() == shown
        assert (await client.post(CHAT, json=BODY)).status_code == 502
        assert (await client.post("/config/schedule", json={})).json() == {}
        assert (await client.post(CHAT, json=BODY)).status_code == 200
        assert mock.control.schedule.faults == ()


async def test_behaviour_is_set_and_reset() -> None:
    async with serving() as (_, client):
        config = {"reply": "Number {n}", "latency_s": "20ms", "usage": "missing"}
        effective = (await client.post("/config/behaviour", json=config)).json()
        assert (effective["latency_s"], effective["usage"]) == (0.02, "missing")
        answer = (await client.post(CHAT, json=BODY)).json()
        assert answer["choices"][0]["message"]["content"] == "Number 1"
        assert "usage" not in answer
        await client.post("/config/behaviour", json={})
        assert "usage" in (await client.post(CHAT, json=BODY)).json()


async def test_statistics_count_requests_but_no_control() -> None:
    async with serving() as (_, client):
        await client.post(CHAT, json=BODY)
        await client.get("/v1/models")
        await client.get("/health")
        stats = (await client.get("/stats")).json()
        assert stats["requests"] == 2
        assert stats["paths"] == {CHAT: 1, "/v1/models": 1}
        assert stats["outcomes"] == {"ok": 2}
        assert (stats["in_flight"], stats["max_in_flight"]) == (0, 1)
        assert stats["bytes_in"] > 0 < stats["bytes_out"]
        stats = (await client.post("/stats/reset")).json()
        assert (stats["requests"], stats["paths"], stats["open_connections"]) == (0, {}, 1)


async def test_other_methods_are_told_which_ones_there_are() -> None:
    async with serving() as (_, client):
        for path, allowed in (
            ("/stats", "GET"),
            ("/stats/reset", "POST"),
            ("/config/failures", "GET, POST"),
        ):
            response = await client.put(path, json={})
            assert (response.status_code, response.headers["allow"]) == (405, allowed)


async def test_a_service_starts_as_its_settings_say() -> None:
    failures = Failures(server_error_probability=1.0)
    schedule = parse_schedule([{"kind": "auth", "times": 1}])
    async with serving(provider="alpha", failures=failures, schedule=schedule) as (_, client):
        assert (await client.get("/health")).json() == {"status": "ok", "provider": "alpha"}
        assert [(await client.post(CHAT, json=BODY)).status_code for _ in "ab"] == [401, 500]


async def test_an_error_in_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with running_mock():
            raise KeyError("mine")


async def test_a_taken_port_is_an_os_error() -> None:
    async with serving() as (mock, _):
        with pytest.raises(OSError, match="in use"):
            await serve(MockSettings(port=mock.port))
