"""One exchange by itself: a pulse while nothing comes, and patience that ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.engine.gateway.answers import result
from tests.engine.gateway.service import on_loop
from understudy import ChatOutput, Request, TextDelta
from understudy.gateway.asked import Asked
from understudy.gateway.body import Gone
from understudy.gateway.exchange import Exchange
from understudy.gateway.limits import Limits
from understudy.gateway.wires.openai_chat import OpenAIChat
from understudy.gateway.wires.sse import KEEP_ALIVE

ASKED = Asked(request=Request.chat("hi"), model="auto", stream=True)


class Stream:
    """An answer of two words, with a silence between them."""

    request_id, provider, model = "r", "p", "m"

    def __init__(self, silent_s: float) -> None:
        self._silent_s = silent_s

    def __aiter__(self) -> AsyncIterator[TextDelta]:
        return self._words()

    async def _words(self) -> AsyncIterator[TextDelta]:
        yield TextDelta("one")
        await asyncio.sleep(self._silent_s)
        yield TextDelta(" two")

    def result(self) -> Any:
        return result(ChatOutput("one two"))


class Engine:
    """Streams that answer, and whether the last one was left."""

    def __init__(self, silent_s: float) -> None:
        self._silent_s = silent_s
        self.left = False

    async def route(self, request: Request) -> Any:
        raise AssertionError(f"nobody asks for the whole of {request}")

    @asynccontextmanager
    async def stream(self, _request: Request) -> AsyncIterator[Stream]:
        try:
            yield Stream(self._silent_s)
        finally:
            self.left = True


async def forever() -> Any:
    await asyncio.Event().wait()


def body_of(sent: list[Any]) -> bytes:
    return b"".join(each["body"] for each in sent if each["type"] == "http.response.body")


@on_loop
async def test_a_silent_stream_says_that_it_lives_and_nothing_after_its_end() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    exchange = Exchange(forever, send, "r", Limits(pulse_s=0.02))
    await exchange.streamed(Engine(0.2), OpenAIChat(), ASKED, 0)
    assert KEEP_ALIVE in body_of(sent)
    assert body_of(sent).endswith(b"data: [DONE]\n\n")
    count = len(sent)
    await asyncio.sleep(0.1)
    assert len(sent) == count
    assert [each.get("more_body") for each in sent][-1] is False


@on_loop
async def test_a_stream_that_is_not_silent_needs_no_pulse() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await Exchange(forever, send, "r").streamed(Engine(0.0), OpenAIChat(), ASKED, 0)
    assert KEEP_ALIVE not in body_of(sent)


@on_loop
async def test_a_caller_who_takes_nothing_is_given_up() -> None:
    engine = Engine(0.0)

    async def stuck(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    exchange = Exchange(forever, stuck, "r", Limits(send_s=0.05))
    with pytest.raises(Gone):
        await exchange.streamed(engine, OpenAIChat(), ASKED, 0)
    assert engine.left
