"""The access log: one line for each request, with who and what, and with nothing that is secret."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest
from hypothesis import given, strategies as st

from tests.engine.gateway.service import on_loop, oracle, serving
from tests.support.mutants import Mutant
from understudy import AllAttemptsFailed
from understudy.config import LogConfig, parse
from understudy.gateway.access import GONE, SEEN, TEXT_MAX, AccessLog, Seen, shown_path
from understudy.gateway.guard import guard_of
from understudy_actors.domain.result import Attempt, ChatOutput, Result
from understudy_sim.mock.settings import Behaviour

JSON: Final = LogConfig(level="error", format="json", access=True)
PROMPT: Final = "tell me the plans for the harbour"
KEY: Final = "sk-live-4f9c2a7be1d84c60aa"
BODY: Final = {"model": "m", "messages": [{"role": "user", "content": PROMPT}]}


def lines(text: str) -> list[dict[str, Any]]:
    """What was written, without when."""
    return [json.loads(each) for each in text.splitlines()]


@on_loop
async def requests_of_all_kinds() -> None:
    """One request of each kind, one after the other."""
    own = parse({"gateway": {"keys": {"alice": {"key": "env:ALICE"}}}}).gateway
    guard = guard_of(own, {"ALICE": KEY})
    mocks = (Behaviour(reply="yes"),)
    async with (
        serving(behaviours=mocks, guard=guard, log=JSON) as service,
        httpx.AsyncClient(base_url=service.url, trust_env=False) as client,
    ):
        own_id = {"authorization": f"Bearer {KEY}", "x-request-id": "r-1"}
        await client.post("/v1/chat/completions", json=BODY, headers=own_id)
        body = {**BODY, "stream": True}
        await client.post("/v1/chat/completions", json=body, headers={"x-api-key": KEY})
        await client.post("/v1/chat/completions", json=BODY, headers={"x-api-key": "wrong"})
        named = {**BODY, "model": PROMPT}
        await client.post("/v1/chat/completions", json=named, headers={"x-api-key": KEY})
        await client.get(f"/health?key={KEY}")
        await client.get(f"/v1/models/{KEY}", headers={"x-api-key": KEY})
        await client.get("/nowhere")


@pytest.mark.wall_clock
def test_each_request_is_one_line_without_anything_secret(
    capsys: pytest.CaptureFixture[str],
) -> None:
    requests_of_all_kinds()
    written = capsys.readouterr().err
    assert PROMPT not in written
    assert KEY not in written
    found = lines(written)
    for each in found:
        assert each.pop("ms") >= 0
        assert each.pop("timestamp")
        assert each.pop("event") == "access"
        assert each.pop("level") == "info"
    whole, streamed, refused, unknown, health, model, nowhere = found
    answered = {
        "method": "POST", "path": "/v1/chat/completions", "status": 200, "key": "alice",
        "model": "m", "provider": "m0", "served_model": "m", "attempts": 1,
    }  # fmt: skip
    assert whole.pop("cost_usd") > 0
    assert whole.pop("input_tokens") > 0
    assert whole.pop("output_tokens") > 0
    assert whole == {**answered, "request_id": "r-1"}
    assert answered.items() <= streamed.items()
    assert streamed["stream"] is True
    assert (refused["status"], refused["error"], "key" in refused) == (401, "Refused", False)
    assert (unknown["status"], unknown["key"], "model" in unknown) == (404, "alice", False)
    assert health == {"method": "GET", "path": "/health", "status": 200}
    assert (model["path"], model["status"]) == ("/v1/models/...", 404)
    assert (nowhere["path"], nowhere["status"]) == ("/nowhere", 404)


@pytest.mark.parametrize(
    ("said", "on"),
    [
        ({}, True),
        ({"level": "debug"}, True),
        ({"level": "warning"}, False),
        ({"level": "off"}, False),
        ({"access": False}, False),
        ({"level": "off", "access": True}, True),
    ],
)
def test_it_is_written_when_it_is_asked_for(said: dict[str, Any], on: bool) -> None:
    assert parse({"log": said}).log.tells_access is on


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers."""
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body", "body": b""})


async def line_of(app: Any, **scope: Any) -> dict[str, Any]:
    """The line of one request to `app`, whose clock goes on by 5 ms each time it is read."""
    written: list[tuple[str, dict[str, Any]]] = []
    times = iter((1.0, 1.005))
    log = AccessLog(app, lambda level, line: written.append((level, line)), lambda: next(times))

    async def send(message: Any) -> None:
        pass

    request = {"type": "http", "method": "GET", "path": "/", **scope}
    with contextlib.suppress(ZeroDivisionError):
        await log(request, None, send)
    ((level, line),) = written
    assert level == "info"
    return line


async def test_time_is_the_clocks() -> None:
    line = await line_of(answering)
    assert line == {"event": "access", "method": "GET", "path": "/", "status": 204, "ms": 5.0}


async def test_who_hangs_up_and_what_breaks_have_a_line_too() -> None:
    async def hanging(scope: Any, receive: Any, send: Any) -> None:
        pass

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    assert (await line_of(hanging))["status"] == GONE
    assert (await line_of(broken))["status"] == 500


async def test_what_is_no_request_has_none() -> None:
    heard: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard.append(scope["type"])
        assert SEEN not in scope

    def write(level: str, line: dict[str, Any]) -> None:
        raise AssertionError

    await AccessLog(app, write, lambda: 0.0)({"type": "lifespan"}, None, None)
    assert heard == ["lifespan"]


@given(st.text(max_size=2000), st.text(max_size=2000), st.text(max_size=2000))
def test_a_line_is_one_short_line_whatever_its_texts(name: str, key: str, path: str) -> None:
    output = ChatOutput("x")
    result = Result(output=output, provider=name, model=name, request_id="r", elapsed_s=0.0)
    seen = Seen(request_id=name, key=key, asked=name, result=result)
    for value in (shown_path(path), *seen.fields().values()):
        assert not isinstance(value, str) or (value.isprintable() and len(value) <= TEXT_MAX + 3)


def test_a_failed_request_says_what_its_attempts_cost() -> None:
    def attempt(cost: float | None) -> Attempt:
        return Attempt(
            provider="p", model="m", outcome="fail", error="server", reason="", cost_usd=cost,
            started_s=0.0, elapsed_s=1.0,
        )  # fmt: skip

    def told(*costs: float | None) -> dict[str, Any]:
        error = AllAttemptsFailed("down", attempts=[attempt(each) for each in costs])
        return Seen(request_id="r", asked="m", error=error).fields()

    assert told(0.25, 0.5) == {
        "request_id": "r", "error": "AllAttemptsFailed", "model": "m", "endpoint": "p/m",
        "attempts": 2, "cost_usd": 0.75,
    }  # fmt: skip
    assert "cost_usd" not in told(0.25, None), "what nobody knows is no sum"
    assert told() == {"request_id": "r", "error": "AllAttemptsFailed"}


def broke(form: str) -> Callable[[], None]:
    """A request over which the gateway itself breaks."""

    @on_loop
    async def request() -> None:
        async with (
            serving(log=LogConfig(level="error", format=form), one=oracle) as service,  # type: ignore[arg-type]
            httpx.AsyncClient(base_url=service.url, trust_env=False) as client,
        ):

            def breaking(request: Any) -> Any:
                secret = f"{PROMPT} {KEY}"
                raise ZeroDivisionError(secret)

            service.engine.route = breaking  # type: ignore[method-assign]
            answer = await client.post("/v1/chat/completions", json={**BODY, "model": "auto"})
            assert answer.status_code == 500

    return request


@pytest.mark.wall_clock
@pytest.mark.parametrize("form", ["json", "text", "console"])
def test_a_fault_of_our_own_is_told_by_its_place_and_not_its_words(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    broke(form)()
    (line,) = capsys.readouterr().err.splitlines()
    assert "gateway.broke" in line
    assert "ZeroDivisionError" in line
    assert "test_access.py:" in line
    assert PROMPT not in line
    assert KEY not in line
    assert "\x1b" not in line


_FAULTS: Final[list[tuple[str, str, str, str, Callable[[], Any]]]] = [
    ("access", "secrets in paths", "if looks_secret(part)", "if False", lambda: _path_hides()),
    (
        "access",
        "long texts",
        "clean if len(clean) <= TEXT_MAX",
        "value if True",
        lambda: _texts_are_short(),
    ),
    ("access", "lines in lines", "if each.isprintable()", "if True", lambda: _texts_are_short()),
    (
        "access",
        "whoever hangs up was answered",
        "int(status) or GONE",
        "int(status) or 200",
        test_who_hangs_up_and_what_breaks_have_a_line_too,
    ),
    (
        "access",
        "what breaks has no line",
        "        finally:\n            line",
        "        else:\n            line",
        test_who_hangs_up_and_what_breaks_have_a_line_too,
    ),
    (
        "access",
        "unknown costs are none",
        "None if None in known else sum(known)",
        "sum(each or 0.0 for each in known)",
        test_a_failed_request_says_what_its_attempts_cost,
    ),
    ("access", "a clock of its own", "self._now() - began", "0.0", test_time_is_the_clocks),
]


def _path_hides() -> None:
    assert shown_path(f"/v1/models/{KEY}") == "/v1/models/..."


def _texts_are_short() -> None:
    for text in ("x" * 900, "a\nb"):
        (value,) = Seen(key=text).fields().values()
        assert value.isprintable()
        assert len(value) <= TEXT_MAX + 3


@pytest.mark.parametrize(
    ("module", "name", "old", "new", "law"), _FAULTS, ids=[each[1] for each in _FAULTS]
)
async def test_planted_faults_are_noticed(
    module: str,
    name: str,
    old: str,
    new: str,
    law: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def judged() -> None:
        if (waiting := law()) is not None:
            await waiting

    await judged()
    faulty = Mutant(name, f"understudy.gateway.{module}", old, new).plant()
    for what in ("AccessLog", "Seen", "shown_path"):
        monkeypatch.setitem(globals(), what, vars(faulty)[what])
    with pytest.raises((AssertionError, ValueError)):
        await judged()
