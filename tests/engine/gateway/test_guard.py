"""Keys of callers and operators: who comes in, what for, and what nobody learns of them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st

from tests.engine.gateway.service import Service, on_loop, oracle, serving
from tests.engine.gateway.test_service import CHAT, HELLO
from understudy.config.gateway import GatewayConfig
from understudy.config.reading import parse
from understudy.gateway.guard import Guard, guard_of
from understudy.gateway.problem import Refused
from understudy.gateway.wires.anthropic_messages import AnthropicMessages

ENVIRON = {"ALICE": "sk-test-alice", "BOB": "sk-test-bob", "OPS": "sk-test-ops"}
KEYS: dict[str, Any] = {
    "keys": {
        "alice": {"key": "env:ALICE", "user": "alice", "team": "red"},
        "bob": {"key": "env:BOB", "models": ["oracle/function"]},
    },
    "admin_key": "env:OPS",
}


def config() -> GatewayConfig:
    return parse({"gateway": KEYS}).gateway


def guard() -> Guard:
    return guard_of(config(), ENVIRON)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@given(st.text(max_size=20).filter(lambda key: key.strip() not in ENVIRON.values()))
def test_no_other_key_opens_anything(key: str) -> None:
    for headers in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}, {}):
        for asks in (guard().caller, guard().admin, guard().visitor):
            with pytest.raises(Refused) as caught:
                asks(headers)
            assert caught.value.problem.status == 401
            assert "sk-test" not in str(caught.value)


def test_a_key_tells_whose_request_it_is() -> None:
    by_header = guard().caller({"x-api-key": " sk-test-alice "})
    by_bearer = guard().caller(bearer("sk-test-bob"))
    assert by_header is not None
    assert by_bearer is not None
    assert (by_header.name, by_bearer.name) == ("alice", "bob")
    both = guard().caller({"x-api-key": "sk-test-alice", **bearer("sk-test-bob")})
    assert both is not None
    assert both.name == "alice"


def test_an_operator_is_no_caller_and_a_caller_no_operator() -> None:
    with pytest.raises(Refused):
        guard().caller(bearer("sk-test-ops"))
    with pytest.raises(Refused):
        guard().admin(bearer("sk-test-alice"))
    guard().admin(bearer("sk-test-ops"))
    guard().visitor(bearer("sk-test-ops"))


def test_without_keys_everybody_comes_in_but_nobody_as_an_operator() -> None:
    assert Guard().caller({}) is None
    with pytest.raises(Refused, match="no admin key") as caught:
        Guard().admin({})
    assert caught.value.problem.status == 403


def test_a_guard_shows_no_key() -> None:
    shown = repr(vars(guard())) + str(guard())
    assert not any(secret in shown for secret in ENVIRON.values())


def client(service: Service, key: str | None) -> httpx.AsyncClient:
    headers = {} if key is None else bearer(key)
    return httpx.AsyncClient(base_url=service.url, timeout=20.0, trust_env=False, headers=headers)


@on_loop
async def test_only_callers_are_served_and_are_accounted_for() -> None:
    async with serving(oracle=oracle, guard=guard()) as service:
        async with client(service, None) as nobody:
            refused = await nobody.post(CHAT, json=HELLO)
            assert refused.status_code == 401
            assert refused.json()["error"]["code"] == "invalid_api_key"
            other = await nobody.post("/v1/messages", json={})
            assert other.json()["error"]["type"] == "authentication_error"
            for path in ("/status", "/metrics", "/v1/models", "/admin/costs"):
                assert (await nobody.get(path)).status_code == 401, path
            assert (await nobody.get("/health")).status_code == 200
            assert (await nobody.get("/ready")).status_code == 200
        async with client(service, "sk-test-alice") as alice:
            said = {**HELLO, "user": "mallory", "understudy": {"team": "blue"}}
            answer = await alice.post(CHAT, json=said)
            assert answer.status_code == 200
            assert (await alice.get("/metrics")).status_code == 200
            assert (await alice.get("/admin/costs")).status_code == 401
        (top,) = service.engine.top("users")
        assert top.user == "alice", "a caller does not say whose bill it is"


@on_loop
async def test_a_key_is_for_its_models_only() -> None:
    async with (
        serving(oracle=oracle, guard=guard()) as service,
        client(service, "sk-test-bob") as bob,
    ):
        refused = await bob.post(CHAT, json=HELLO)
        assert refused.status_code == 403
        assert "oracle/function" in refused.json()["error"]["message"]
        fine = await bob.post(CHAT, json={**HELLO, "model": "oracle/function"})
        assert fine.status_code == 200


@on_loop
async def test_budgets_hold_for_a_key() -> None:
    own = {"budgets": [{"usd": 0.0, "key": "alice"}]}
    async with serving(own, oracle=oracle, guard=guard()) as service:
        async with client(service, "sk-test-alice") as alice:
            refused = await alice.post(CHAT, json={**HELLO, "max_tokens": 5})
            assert refused.status_code != 200
        async with client(service, "sk-test-bob") as bob:
            body = {**HELLO, "model": "oracle/function", "max_tokens": 5}
            assert (await bob.post(CHAT, json=body)).status_code == 200


@on_loop
async def test_operators_look_and_act() -> None:
    async with (
        serving(oracle=oracle, guard=guard()) as service,
        client(service, "sk-test-ops") as ops,
        client(service, "sk-test-alice") as alice,
    ):
        asked = await alice.post(CHAT, json=HELLO, headers={"x-request-id": "r-1"})
        assert asked.status_code == 200
        assert (await ops.get("/admin/costs")).json()["attempts"] == 1
        assert (await ops.get("/admin/usage?days=2")).json()[-1]["attempts"] == 1
        assert (await ops.get("/admin/top/users")).json()[0]["user"] == "alice"
        assert (await ops.get("/admin/top/models?days=1")).json()[0]["provider"] == "oracle"
        assert (await ops.get("/admin/explain/r-1")).json()["request_id"] == "r-1"
        for path in ("budgets", "projection", "cache"):
            assert (await ops.get(f"/admin/{path}")).status_code == 200, path
        assert (await ops.get("/admin/explain/r-2")).status_code == 404
        assert (await ops.get("/admin/costs?days=many")).status_code == 400

        assert (await ops.post("/admin/hold", json={"name": "oracle"})).json() == {"done": True}
        assert (await alice.post(CHAT, json=HELLO)).status_code in (404, 503)
        assert (await ops.post("/admin/release", json={"name": "oracle"})).status_code == 200
        assert (await alice.post(CHAT, json=HELLO)).status_code == 200
        for path, body in {
            "isolate": {"name": "oracle"}, "enable": {"name": "oracle"}, "reset": {},
            "strategy": {"strategy": "cheapest"}, "cache/clear": {},
        }.items():  # fmt: skip
            done = await ops.post(f"/admin/{path}", json=body)
            assert done.status_code == 200, (path, done.text)
        assert service.engine.status().strategy == "cheapest"
        for path, body in {
            "hold": {"name": "nobody"}, "strategy": {"strategy": "none"}, "reset": {"nam": "x"}
        }.items():  # fmt: skip
            assert (await ops.post(f"/admin/{path}", json=body)).status_code == 400, path


def test_the_other_format_says_it_in_its_own_words() -> None:
    with pytest.raises(Refused) as caught:
        guard().caller({})
    told = AnthropicMessages().error(caught.value.problem)
    assert told["error"]["type"] == "authentication_error"
