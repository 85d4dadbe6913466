"""A user's function is a provider like any other: its answers are checked, its failures typed."""

from __future__ import annotations

import functools
import socket
import threading
from typing import Any

import pytest
import trio

from understudy.adapters.base import CallAdapter, Reply
from understudy.adapters.function import FunctionAdapter
from understudy.transport.http import TransportFailed
from understudy_actors.domain.errors import (
    AdapterFailed,
    AttemptTimeout,
    ConnectionFailed,
    ProviderError,
    RateLimited,
)
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import ChatOutput, EmbeddingOutput, ImageOutput, Usage

CHAT = Request.chat("hi")


async def call(function: Any, request: Request = CHAT, **options: Any) -> Reply:
    """What an adapter over `function` answers."""
    adapter = FunctionAdapter(function, name="mine", **options)
    assert isinstance(adapter, CallAdapter)
    return await adapter.call(request, "small")


class Callable:
    """An object that is async in its `__call__`."""

    async def __call__(self, request: Request) -> str:
        return request.operation


async def test_any_kind_of_callable_may_answer() -> None:
    async def asynchronous(request: Request) -> str:
        await trio.sleep(1)
        return request.operation

    def with_model(request: Request, model: str) -> str:
        return f"{request.operation} {model}"

    def with_optional_model(request: Request, model: str = "") -> str:
        return f"{request.operation} {model}"

    def with_option(request: Request, retries: int = 3) -> str:
        return f"{request.operation} {retries}"

    assert await call(lambda request: request.operation) == Reply(ChatOutput("chat"))
    assert await call(asynchronous) == Reply(ChatOutput("chat"))
    assert await call(lambda request: asynchronous(request)) == Reply(ChatOutput("chat"))
    assert await call(functools.partial(asynchronous)) == Reply(ChatOutput("chat"))
    assert await call(Callable()) == Reply(ChatOutput("chat"))
    assert await call(with_model) == Reply(ChatOutput("chat small"))
    assert await call(with_optional_model) == Reply(ChatOutput("chat small"))
    assert await call(with_option) == Reply(ChatOutput("chat 3"))


async def test_what_it_returns_may_be_a_reply_or_an_output() -> None:
    full = Reply(ChatOutput("x"), Usage(1, 2), "id", degraded=True)
    assert await call(lambda _: full) is full
    assert await call(lambda _: Reply("x", Usage(1))) == Reply(ChatOutput("x"), Usage(1))
    assert await call(lambda _: ChatOutput("x", "length")) == Reply(ChatOutput("x", "length"))
    vectors = EmbeddingOutput(((1.0,),))
    assert await call(lambda _: vectors, Request.embed("a")) == Reply(vectors)
    for anything in (None, 7, "text", {"a": 1}):
        assert await call(lambda _, it=anything: it, Request.custom("mine")) == Reply(anything)


@pytest.mark.parametrize(
    ("request_", "returned"),
    [
        (CHAT, None),
        (CHAT, 7),
        (CHAT, Reply(7)),
        (CHAT, ImageOutput(())),
        (Request.embed("a"), "text"),
        (Request.embed("a", "b"), EmbeddingOutput(((1.0,),))),
        (Request.image("a"), ChatOutput("x")),
    ],
)
async def test_what_is_no_answer_is_a_failure_of_the_function(
    request_: Request, returned: object
) -> None:
    with pytest.raises(AdapterFailed, match="it returned"):
        await call(lambda _: returned, request_)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (TimeoutError(), ErrorClass.SILENT),
        (trio.TooSlowError(), ErrorClass.SILENT),
        (ConnectionRefusedError(), ErrorClass.CONNECT),
        (socket.gaierror(), ErrorClass.CONNECT),
        (OSError("all attempts to connect failed"), ErrorClass.CONNECT),
        (ConnectionResetError(), ErrorClass.RESET),
        (BrokenPipeError(), ErrorClass.RESET),
        (trio.BrokenResourceError(), ErrorClass.RESET),
        (TransportFailed("refused", sent=False), ErrorClass.CONNECT),
        (TransportFailed("hung up", sent=True), ErrorClass.RESET),
        (FileNotFoundError(), ErrorClass.ADAPTER),
        (KeyError("secret"), ErrorClass.ADAPTER),
        (ExceptionGroup("secret", [ValueError()]), ErrorClass.ADAPTER),
    ],
)
async def test_an_exception_becomes_a_typed_error_that_tells_only_its_name(
    raised: Exception, kind: ErrorClass
) -> None:
    def fail(_: Request) -> str:
        raise raised

    with pytest.raises(ProviderError) as caught:
        await call(fail)
    assert caught.value.kind is kind
    assert caught.value.__cause__ is raised
    assert "secret" not in str(caught.value)
    assert (caught.value.provider, caught.value.model) == ("mine", "small")
    if kind is ErrorClass.ADAPTER:
        assert type(raised).__name__ in str(caught.value)


async def test_a_typed_error_passes_through() -> None:
    error = RateLimited("slow down", retry_after_s=2.0)

    def limited(_: Request) -> str:
        raise error

    with pytest.raises(RateLimited) as caught:
        await call(limited)
    assert caught.value is error


async def test_cancellation_is_no_failure() -> None:
    with trio.move_on_after(1) as scope:
        await call(_sleep)
    assert scope.cancelled_caught


async def test_a_blocking_function_runs_in_a_thread_and_is_left_behind_when_given_up() -> None:
    here = threading.get_ident()
    reply = await call(lambda _: str(threading.get_ident() != here), blocking=True)
    assert reply == Reply(ChatOutput("True"))
    with pytest.raises(AttemptTimeout):
        await call(_time_out, blocking=True)


@pytest.mark.wall_clock
async def test_a_deadline_does_not_wait_for_a_thread() -> None:
    release = threading.Event()
    with trio.move_on_after(0.05) as scope:
        await call(lambda _: str(release.wait(30)), blocking=True)
    assert scope.cancelled_caught
    release.set()


async def _sleep(_: Request) -> None:
    await trio.sleep_forever()


def _time_out(_: Request) -> str:
    raise TimeoutError


def test_an_async_function_needs_no_thread() -> None:
    async def answer(_: Request) -> str:
        return "x"

    with pytest.raises(TypeError, match="blocking"):
        FunctionAdapter(answer, blocking=True)


async def test_a_refused_connection_is_a_connection_that_failed() -> None:
    def refuse(_: Request) -> str:
        raise ConnectionRefusedError

    with pytest.raises(ConnectionFailed):
        await call(refuse)
