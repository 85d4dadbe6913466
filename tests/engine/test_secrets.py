"""No key and no prompt shows anywhere, whatever happens and whoever repeats them."""

from __future__ import annotations

import io
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import pytest

from tests.engine.house import Books, Wire, house
from understudy import (
    Engine,
    InvalidRequest,
    Message,
    Request,
    UnderstudyError,
)
from understudy.config import LogConfig, redacted
from understudy.secret import Secret
from understudy.telemetry.log import log_to
from understudy.transport.http import HttpRequest, HttpResponse, TransportFailed

KEYS: Final = {
    "OPENAI_API_KEY": "sk-proj-Zx81TestOpenAiKeyThatNobodyMaySee",
    "ANTHROPIC_API_KEY": "sk-ant-api03-Qw55TestAnthropicKeyNobodySees",
    "HOUSE_KEY": "plain:house/key+with=odd.signs",
    "HOUSE_HEADER": "extra-header-secret-7781",
}
PROMPT: Final = "the-prompt-that-stays-between-us"
HI: Final = Request.chat(PROMPT, system="the-system-text")
HIDDEN: Final = (*KEYS.values(), PROMPT, "the-system-text")

CONFIG: Final = {
    "strategy": "round_robin",
    "deadline": 60,
    "retry": {"attempts": 1},
    "providers": {
        "openai": {"models": ["gpt-5.4-mini"]},
        "anthropic": {"models": ["claude-haiku-4-5"]},
        "house": {
            "kind": "openai-compatible",
            "base_url": "http://house/v1",
            "models": ["m"],
            "key": "env:HOUSE_KEY",
            "headers": {"X-Auth-Token": "env:HOUSE_HEADER"},
        },
    },
}


def _echo(status: int) -> Callable[[str, HttpRequest], HttpResponse]:
    """A provider that repeats everything it was sent: keys, headers, prompt."""

    def answer(provider: str, request: HttpRequest) -> HttpResponse:
        said = f"Incorrect API key provided: {' '.join(request.headers.values())}. "
        said += f"You asked: {request.body.decode()}"
        error = {"message": said, "type": said, "code": said, "param": said}
        body = msgspec.json.encode({"type": "error", "error": error})
        return HttpResponse(status, {"retry-after": "1", "x-request-id": said[:50]}, body)

    return answer


def _raw(status: int) -> Callable[[str, HttpRequest], HttpResponse]:
    def answer(provider: str, request: HttpRequest) -> HttpResponse:
        text = "<html>" + " ".join(request.headers.values()) + request.body.decode()
        return HttpResponse(status, {}, text.encode())

    return answer


def _cut(provider: str, request: HttpRequest) -> TransportFailed:
    return TransportFailed("the connection broke", sent=True)


def _good(provider: str, request: HttpRequest) -> HttpResponse:
    body = {
        "id": "x",
        "type": "message",
        "choices": [{"message": {"content": "an answer"}, "finish_reason": "stop"}],
        "content": [{"type": "text", "text": "an answer"}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 1,
            "output_tokens": 1,
            "prompt_tokens": 1,
            "completion_tokens": 1,
        },
    }
    return HttpResponse(200, {}, msgspec.json.encode(body))


ANSWERS: Final[dict[str, Any]] = {
    **{f"echo {status}": _echo(status) for status in (200, 400, 401, 402, 403, 404, 429, 500, 529)},
    **{f"raw {status}": _raw(status) for status in (200, 401, 502)},
    "cut": _cut,
    "good": _good,
}


def _told_by(error: Exception) -> Iterator[str]:
    yield str(error)
    yield repr(error)
    yield "".join(traceback.format_exception(error))
    yield "".join(traceback.format_exception(ExceptionGroup("all", [error])))
    if isinstance(error, UnderstudyError):
        yield repr(error.attempts)
        yield repr(error.reasons)
        yield repr({name: value for name, value in vars(error).items() if name != "detail"})


def _details(error: BaseException | None) -> Iterator[str]:
    """What providers said themselves: it may repeat the prompt, but no key."""
    while error is not None:
        yield str(getattr(error, "detail", ""))
        error = error.__cause__


def _told_by_engine(engine: Engine, books: Books) -> Iterator[str]:
    parts = engine._parts
    yield repr(engine)
    yield repr(parts)
    yield repr(parts.config)
    yield repr(parts.transport)
    yield repr(parts.wiring)
    for target in parts.targets.values():
        yield repr(target)
        yield f"{target} {target.key!r} {target.key} {target.key:>40}"
    yield repr(redacted(parts.config))
    yield repr(engine.status())
    yield msgspec.json.encode(engine.status()).decode()
    yield repr(engine.health())
    yield repr(engine.select(Request.chat(PROMPT)) if engine.health()[0].healthy else "")
    for event in books.events:
        yield repr(event)
        yield msgspec.json.encode(event).decode()


async def _act(engine: Engine, books: Books, wire: Wire) -> list[str]:
    told: list[str] = []
    requests = [HI, Request.chat(PROMPT, model="m"), Request.chat(PROMPT, max_attempts=1)]
    for request in [*requests, Request.embed(PROMPT), Request.chat([Message(PROMPT, "user")])]:
        try:
            result = await engine.route(request)
            told += [repr(result), repr(engine.explain(result.request_id))]
        except UnderstudyError as error:
            told += _told_by(error)
            for detail in _details(error):
                assert not any(key in detail for key in KEYS.values())
            told.append(repr(engine.explain(error.request_id or "")))
    for name in CONFIG["providers"]:  # type: ignore[attr-defined]
        told += [repr(report) for report in await engine.test_provider(name)]
    told += _told_by_engine(engine, books)
    told += [repr(request) for _, request in wire.sent]
    return told


@pytest.mark.parametrize("name", ANSWERS)
async def test_nothing_that_can_be_printed_shows_a_key_or_a_prompt(name: str) -> None:
    wire = Wire(ANSWERS[name])
    logs = {form: io.StringIO() for form in ("json", "console")}
    async with house(CONFIG, transport=wire, environ=KEYS) as (engine, books):
        for form, file in logs.items():
            config = LogConfig(level="debug", format=form)  # type: ignore[arg-type]
            log_to(engine._parts.trace, config, file)
        told = [*await _act(engine, books, wire), *(file.getvalue() for file in logs.values())]
    assert len(wire.sent) >= 6
    for text in told:
        for secret in HIDDEN:
            assert secret not in text
    assert all("att.ended" in file.getvalue() for file in logs.values())


async def test_keys_do_reach_the_wire_they_are_meant_for_and_no_other() -> None:
    wire = Wire(_good)
    async with house(CONFIG, transport=wire, environ=KEYS) as (engine, _):
        for _ in range(3):
            await engine.route(HI)
    sent = {provider: " ".join(request.headers.values()) for provider, request in wire.sent}
    own = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "house": "HOUSE_KEY"}
    for provider, headers in sent.items():
        for other, variable in own.items():
            assert (KEYS[variable] in headers) == (provider == other)
    assert KEYS["HOUSE_HEADER"] in sent["house"]


async def test_an_exception_of_a_users_function_gives_away_only_its_type() -> None:
    async def leaky(request: Request) -> str:
        raise ValueError(f"cannot send {KEYS['HOUSE_KEY']}: {PROMPT}")

    log = io.StringIO()
    async with house({"retry": {"attempts": 0}}, a=leaky) as (engine, books):
        log_to(engine._parts.trace, LogConfig(level="debug", format="json"), log)
        with pytest.raises(UnderstudyError) as caught:
            await engine.route(HI)
        error = caught.value
        told = [str(error), repr(error), repr(error.attempts), log.getvalue()]
        told += [repr(event) for event in books.events] + [repr(engine.status())]
        told.append(repr(engine.explain(error.request_id or "")))
    for text in told:
        for secret in HIDDEN:
            assert secret not in text
    assert "ValueError" in str(error.attempts[0].reason)


@pytest.mark.parametrize(
    "request_",
    [
        Request.chat([Message(PROMPT, "user")]),
        Request.chat([PROMPT]),  # type: ignore[list-item]
        Request.chat([Message("user", (PROMPT,))]),  # type: ignore[arg-type]
        PROMPT,
    ],
    ids=["swapped", "bare", "part", "no request"],
)
async def test_a_refusal_does_not_repeat_what_was_mixed_up(request_: Any) -> None:
    async with house(CONFIG, environ=KEYS) as (engine, books):
        with pytest.raises(InvalidRequest) as caught:
            await engine.route(request_)
        assert PROMPT not in repr(caught.value) + repr(books.events)


async def test_a_finished_request_keeps_no_prompt_in_the_engine() -> None:
    async with house(CONFIG, transport=Wire(_good), environ=KEYS) as (engine, _):
        await engine.route(HI)
        assert PROMPT not in repr(engine._parts.records)


def test_a_secret_shows_nothing() -> None:
    secret = Secret("hush-hush")
    for text in (repr(secret), str(secret), f"{secret}", f"{secret!r:>30}", repr([secret])):
        assert "hush" not in text
    assert secret.reveal() == "hush-hush"
