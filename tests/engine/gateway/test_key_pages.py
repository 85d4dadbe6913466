"""Keys made, changed, replaced and revoked while a gateway runs, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.engine.gateway.service import QUIET, Service, on_loop, oracle, serving
from tests.engine.gateway.test_key_terms import ANTHROPIC, HASHED, KEY, MESSAGES, PRICED
from tests.engine.gateway.test_service import CHAT, HELLO
from understudy.config.reading import parse
from understudy.gateway.guard import guard_of
from understudy.ports import SystemClock

OPS = "sk-test-ops"
ALL = "/admin/keys"


@asynccontextmanager
async def desk(
    store: Path | None, config: dict[str, Any] | None = None, **functions: Any
) -> AsyncIterator[tuple[Service, httpx.AsyncClient]]:
    """A gateway and its operator."""
    own = {"gateway": {"admin_key": "env:OPS"}, **(config or {})}
    if store is not None:
        own["store"] = {"path": str(store / "understudy.db")}
    guard = guard_of(parse(own).gateway, {"OPS": OPS}, SystemClock().wall)
    async with (
        serving(own, guard=guard, **(functions or {"oracle": oracle})) as service,
        client(service, OPS) as ops,
    ):
        yield service, ops


def client(service: Service, key: str) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=service.url, timeout=20.0, trust_env=False, headers=headers)


async def status(service: Service, key: str) -> int:
    async with client(service, key) as caller:
        return (await caller.post(CHAT, json=HELLO)).status_code


def test_a_key_s_life(tmp_path: Path) -> None:
    keys: dict[str, str] = {}

    @on_loop
    async def first() -> None:
        async with desk(tmp_path) as (service, ops):
            assert await status(service, "whatever") == 200, "nobody needs a key yet"
            made = await ops.post(ALL, json={"name": "ann", "expires": "30d", "user": "ann"})
            assert made.status_code == 201, made.text
            assert made.headers["cache-control"] == "no-store"
            keys["ann"] = made.json()["key"]
            assert await status(service, "whatever") == 401, "from now on everybody does"
            assert await status(service, keys["ann"]) == 200
            shown = (await ops.get(f"{ALL}/ann")).json()
            assert (shown["state"], shown["terms"]["user"]) == ("active", "ann")
            assert round(shown["expires_at"] - shown["created_at"]) == 30 * 86_400
            assert "key" not in shown
            assert keys["ann"][-64:] not in (await ops.get(ALL)).text

            new = await ops.post(f"{ALL}/ann/rotate", json={"grace": "1h"})
            assert new.status_code == 201
            keys["new"] = new.json()["key"]
            assert await status(service, keys["ann"]) == await status(service, keys["new"]) == 200
            assert (await ops.post(f"{ALL}/ann/rotate", json={"grace": 0})).status_code == 201
            assert await status(service, keys["new"]) == 401

            bob = await ops.post(ALL, json={"name": "bob"})
            keys["bob"] = bob.json()["key"]
            assert (await ops.delete(f"{ALL}/bob")).json()["state"] == "revoked"
            assert await status(service, keys["bob"]) == 401
            assert (await ops.delete(f"{ALL}/bob")).status_code == 200, "twice is as once"
            cat = await ops.post(ALL, json={"models": ["oracle/*"]})
            keys["cat"] = cat.json()["key"]

    @on_loop
    async def second() -> None:
        async with desk(tmp_path) as (service, ops):
            listed = (await ops.get(ALL)).json()["keys"]
            assert [e["state"] for e in listed] == ["active", "revoked", "active"]
            assert await status(service, keys["bob"]) == 401
            assert await status(service, keys["cat"]) == 403
            async with client(service, keys["cat"]) as cat:
                body = {**HELLO, "model": "oracle/function"}
                assert (await cat.post(CHAT, json=body)).status_code == 200

    first()
    second()


@on_loop
async def test_only_operators_see_and_make_keys() -> None:
    async with desk(None) as (service, ops):
        for key in ("usk-0", "sk-other"):
            async with client(service, key) as nobody:
                for method, path in (
                    ("GET", ALL), ("POST", ALL), ("GET", f"{ALL}/x"), ("DELETE", f"{ALL}/x"),
                    ("PATCH", f"{ALL}/x"), ("POST", f"{ALL}/x/rotate"),
                ):  # fmt: skip
                    assert (await nobody.request(method, path)).status_code == 401, (method, path)
        refused = await ops.post(ALL, json={"name": "ann"})
        assert refused.status_code == 409
        assert "understudy.db" in refused.json()["error"]["message"]


def test_what_cannot_be_is_said_with_its_place(tmp_path: Path) -> None:
    @on_loop
    async def run() -> None:
        async with desk(tmp_path) as (_, ops):
            assert (await ops.post(ALL, json={"name": "ann"})).status_code == 201
            for body, param in (
                ({"budgets": ["ten"]}, "budgets[0]"),
                ({"rpm": 3}, "rpm"),
                ({"parallel": 0}, "parallel"),
                ({"expires": "soon"}, "expires"),
                ({"name": "a b"}, "name"),
                ({"name": 5}, "name"),
            ):
                refused = await ops.post(ALL, json=body)
                assert refused.status_code == 400, body
                assert refused.json()["error"]["param"] == param
            assert (await ops.post(ALL, json={"name": "ann"})).status_code == 400
            assert (await ops.patch(f"{ALL}/ann", json={"team": 3})).status_code == 400
            assert (await ops.post(f"{ALL}/ann/rotate", json={"grace": "x"})).status_code == 400
            assert (await ops.post(f"{ALL}/ann/rotate", json={"soon": "x"})).status_code == 400
            for method in ("GET", "DELETE", "PATCH"):
                missing = await ops.request(method, f"{ALL}/nobody")
                assert missing.json()["error"]["code"] == "unknown_key"

    run()


def test_terms_hold_as_soon_as_they_are_answered(tmp_path: Path) -> None:
    """Money and requests of a key that was made a moment ago, with a crowd at the door."""

    @on_loop
    async def run() -> None:
        async with desk(tmp_path, {"providers": PRICED}) as (service, ops):
            made = await ops.post(ALL, json={"name": "ann", "budgets": ["0.0001/day"]})
            body = {**HELLO, "max_tokens": 5}
            async with client(service, made.json()["key"]) as ann:
                asked = (ann.post(CHAT, json=body) for _ in range(8))
                answers = await asyncio.gather(*asked)
                assert {each.status_code for each in answers} == {200, 429}
                (day,) = (await ops.get(f"{ALL}/ann")).json()["budgets"]
                assert day["spent_usd"] + day["reserved_usd"] <= day["limit_usd"]
                changed = await ops.patch(f"{ALL}/ann", json={"budgets": None, "parallel": 1})
                assert changed.json()["terms"]["parallel"] == 1
                assert (await ann.post(CHAT, json=body)).status_code == 200
                await ops.patch(
                    f"{ALL}/ann", json={"requests_per_minute": 2, "models": ["oracle/*"]}
                )
                other = await ann.post(MESSAGES, json=ANTHROPIC)
                assert (other.status_code, other.json()["error"]["type"]) == (
                    403, "permission_error"
                )  # fmt: skip

    run()


def test_a_name_of_another_configuration_is_the_configuration_s(tmp_path: Path) -> None:
    """The engine is given one more key by a reload: nobody takes its name, or changes it, here."""

    @on_loop
    async def run() -> None:
        async with desk(tmp_path) as (service, ops):
            assert (await ops.post(ALL, json={"name": "ann"})).status_code == 201
            own = {"key_hash": str(HASHED)}
            providers = {"oracle": {"operations": ["chat"], "priority": 50}}
            config = {
                **QUIET, "strategy": "priority", "providers": providers,
                "store": {"path": str(tmp_path / "understudy.db")},
                "gateway": {"admin_key": "env:OPS", "keys": {"bob": own}},
            }  # fmt: skip
            await service.engine.reload(config)
            assert await status(service, KEY) == 200
            assert (await ops.delete(f"{ALL}/bob")).status_code == 400
            assert (await ops.post(ALL, json={"name": "bob"})).status_code == 400
            config["gateway"] = {"admin_key": "env:OPS"}
            await service.engine.reload(config)
            assert await status(service, KEY) == 401
            assert (await ops.post(ALL, json={"name": "bob"})).status_code == 201
            states = [e["name"] for e in (await ops.get(ALL)).json()["keys"]]
            assert states == ["ann", "bob"]

    run()


def test_sdks_tell_their_users_what_a_key_may_not(tmp_path: Path) -> None:
    """OpenAI's and Anthropic's own, unmodified: allowed, refused model, over a limit, revoked."""

    @on_loop
    async def run() -> None:
        async with desk(tmp_path) as (service, ops):
            body = {"name": "ann", "models": ["oracle/*"], "requests_per_minute": 2}
            key = (await ops.post(ALL, json=body)).json()["key"]
            hello: Any = HELLO["messages"]
            model = "oracle/function"
            async with (
                openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key=key, max_retries=0) as own,
                anthropic.AsyncAnthropic(base_url=service.url, api_key=key, max_retries=0) as other,
            ):
                answer = await own.chat.completions.create(model=model, messages=hello)
                assert answer.choices[0].message.content == "you said: hello"
                with pytest.raises(openai.PermissionDeniedError) as denied:
                    await own.chat.completions.create(model="gpt-4o", messages=hello)
                assert denied.value.code == "model_not_allowed"
                with pytest.raises(anthropic.PermissionDeniedError):
                    await other.messages.create(model="x", messages=hello, max_tokens=9)
                await other.messages.create(model=model, messages=hello, max_tokens=9)
                with pytest.raises(openai.RateLimitError) as limited:
                    await own.chat.completions.create(model=model, messages=hello)
                assert int(limited.value.response.headers["retry-after"]) >= 1
                with pytest.raises(anthropic.RateLimitError):
                    await other.messages.create(model=model, messages=hello, max_tokens=9)
                await ops.delete(f"{ALL}/ann")
                with pytest.raises(openai.AuthenticationError):
                    await own.chat.completions.create(model=model, messages=hello)
                with pytest.raises(anthropic.AuthenticationError):
                    await other.messages.create(model=model, messages=hello, max_tokens=9)

    run()
