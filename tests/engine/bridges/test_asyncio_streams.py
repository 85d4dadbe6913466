"""Streams and whole answers over real sockets, read by asyncio tasks at their own pace."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from tests.engine.bridges.house import HI, house, mock_provider, on_asyncio
from understudy import Request, ShuttingDown, StreamBroken, TextDelta
from understudy.bridges.asyncio_streams import AsyncioStream
from understudy_actors.domain.events import AttemptEnded, Event
from understudy_sim.mock import Behaviour, MockSettings

WORDS = "the quick brown fox jumps over the lazy dog, and goes on like this."


def remote(url: str, **own: Any) -> dict[str, Any]:
    """The mock as the only provider."""
    provider = {"kind": "openai-compatible", "base_url": url, "models": ["m"], **own}
    return {"providers": {"mock": provider}}


@pytest.fixture(scope="module")
def quick() -> Any:
    with mock_provider(MockSettings(behaviour=Behaviour(reply=WORDS))) as url:
        yield url


@pytest.fixture(scope="module")
def slowly() -> Any:
    with mock_provider(MockSettings(behaviour=Behaviour(reply=WORDS, tokens_per_s=200))) as url:
        yield url


async def text_of(stream: AsyncioStream) -> str:
    return "".join([d.text async for d in stream if isinstance(d, TextDelta)])


@on_asyncio
async def test_answers_come_over_sockets(quick: str) -> None:
    async with house(remote(quick)) as (engine, books):
        results = await asyncio.gather(*(engine.route(HI) for _ in range(50)))
        assert {result.text for result in results} == {WORDS}
        async with engine.stream(HI) as stream:
            assert await text_of(stream) == WORDS
        assert books.outcomes() == {"ok": 51}


@on_asyncio
async def test_streams_are_read_side_by_side(slowly: str) -> None:
    async with house(remote(slowly)) as (engine, _):

        async def read() -> str:
            async with engine.stream(HI) as stream:
                return await text_of(stream)

        assert set(await asyncio.gather(*(read() for _ in range(20)))) == {WORDS}


@on_asyncio
async def test_a_slow_reader_is_waited_for(slowly: str) -> None:
    async with house(remote(slowly)) as (engine, _), engine.stream(HI) as stream:
        pieces = []
        async for delta in stream:
            await asyncio.sleep(0.005)
            pieces.append(getattr(delta, "text", ""))
            assert not stream._reading, "nobody asked for more"
        assert "".join(pieces) == WORDS


@on_asyncio
async def test_a_stream_is_left_cancelled_or_read_by_two_without_harm(slowly: str) -> None:
    async with house(remote(slowly)) as (engine, books):
        async with engine.stream(HI) as stream:
            await anext(stream)
        assert books.outcomes() == {"cancelled": 1}
        async with engine.stream(HI) as stream:
            await anext(stream)
            waiting = asyncio.create_task(_next(stream))
            await asyncio.sleep(0)
            stream._ready.clear()
            with pytest.raises(RuntimeError, match="only one may"):
                await anext(stream)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            with contextlib.suppress(StreamBroken):  # unless its read had not begun
                await text_of(stream)
        with pytest.raises(RuntimeError, match="entered once"):
            await stream.__aenter__()


async def _next(stream: AsyncioStream) -> object:
    stream._ready.clear()
    return await anext(stream)


@on_asyncio
async def test_a_task_cancelled_while_pieces_arrive_loses_none_of_them(slowly: str) -> None:
    for patience in range(1, 12):
        async with house(remote(slowly)) as (engine, _), engine.stream(HI) as stream:
            heard, broken = "", False
            for _ in range(500):
                try:
                    async with asyncio.timeout(0.0005 * patience):
                        delta = await anext(stream)
                except TimeoutError:
                    continue
                except StopAsyncIteration:
                    break
                except StreamBroken:
                    broken = True
                    break
                heard += getattr(delta, "text", "")
            assert heard == WORDS if not broken else WORDS.startswith(heard)
            assert heard == stream.text, "what was counted as delivered was delivered"


@on_asyncio
async def test_an_opened_stream_whose_caller_is_gone_is_let_go_of(quick: str) -> None:
    async with house(remote(quick)) as (engine, books):

        async def opens() -> None:
            async with engine.stream(HI):
                await asyncio.get_running_loop().create_future()

        for moment in range(40):
            task = asyncio.create_task(opens())
            await asyncio.sleep(0.0003 * moment)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert engine.status().running == 0
        books.balance()


@on_asyncio
async def test_a_stream_that_opens_as_its_caller_is_cancelled_is_let_go_of() -> None:
    async def answers(request: Request) -> str:
        await asyncio.sleep(0)
        return "yes"

    async with house(a=answers) as (engine, books):

        async def opens() -> None:
            async with engine.stream(HI):
                raise AssertionError("it was cancelled before")

        def listener(_seq: int, event: Event) -> None:
            if isinstance(event, AttemptEnded):  # in the very step in which it begins
                task.cancel()

        engine.listen(listener)
        task = asyncio.create_task(opens())
        with pytest.raises(asyncio.CancelledError):
            await task
        assert books.outcomes() == {"cancelled": 1}


@on_asyncio
async def test_closing_the_engine_ends_a_stream_between_two_pieces(slowly: str) -> None:
    async with house(remote(slowly), drain_s=0.01) as (engine, _):
        stream = engine.stream(HI)
        await stream.__aenter__()
        await anext(stream)
    with pytest.raises((ShuttingDown, StreamBroken)):
        await text_of(stream)
    await stream.__aexit__(None, None, None)


@on_asyncio
async def test_connections_are_kept_and_all_closed_in_the_end(quick: str) -> None:
    async with house(remote(quick)) as (engine, _):
        for _ in range(3):
            await engine.route(Request.chat("hi"))
        transport: Any = engine._parts.transport
        assert "0 busy connections, 1 idle" in repr(transport._real)
