"""Anthropic's own SDK, unmodified and with strict validation, talks to the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import pytest

from tests.engine.gateway.service import Service, on_loop, oracle, serving
from understudy import ErrorClass
from understudy_actors.domain.errors import provider_error
from understudy_sim.mock.settings import Behaviour

ASK: dict[str, Any] = {
    "model": "auto",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "hello"}],
}
TOOL: Any = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@asynccontextmanager
async def talking(**more: Any) -> AsyncIterator[tuple[anthropic.AsyncAnthropic, Service]]:
    async with (
        serving(**{"oracle": oracle, **more}) as service,
        anthropic.AsyncAnthropic(
            base_url=service.url,
            api_key="sk-test-caller",
            max_retries=0,
            _strict_response_validation=True,
        ) as client,
    ):
        yield client, service


@on_loop
async def test_a_message() -> None:
    async with talking() as (client, _):
        answer = await client.messages.create(**ASK, system="be kind")
        (block,) = answer.content
        assert block.type == "text"
        assert block.text == "you said: hello"
        assert answer.stop_reason == "end_turn"
        assert answer._request_id


@on_loop
async def test_a_streamed_message() -> None:
    async with talking() as (client, _):
        async with client.messages.stream(**ASK) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            final = await stream.get_final_message()
        assert text == "you said: hello"
        assert final.stop_reason == "end_turn"


@on_loop
async def test_a_tool_is_called_and_answered() -> None:
    async with talking() as (client, _):
        first = await client.messages.create(**ASK, tools=[TOOL])
        (use,) = first.content
        assert use.type == "tool_use"
        assert (use.name, use.input) == ("get_weather", {"city": "Oslo"})
        result = {"type": "tool_result", "tool_use_id": use.id, "content": "4C, rain"}
        turns: Any = [
            *ASK["messages"],
            {"role": "assistant", "content": [use.model_dump(exclude_none=True)]},
            {"role": "user", "content": [result]},
        ]
        second = await client.messages.create(**{**ASK, "messages": turns}, tools=[TOOL])
        (block,) = second.content
        assert block.type == "text"
        assert block.text == "you said: 4C, rain"


@on_loop
async def test_a_streamed_tool_call() -> None:
    async with talking() as (client, _):
        async with client.messages.stream(**ASK, tools=[TOOL]) as stream:
            async for _event in stream:
                pass
            final = await stream.get_final_message()
        (use,) = final.content
        assert use.type == "tool_use"
        assert use.input == {"city": "Oslo"}
        assert final.stop_reason == "tool_use"


@on_loop
async def test_tokens_are_counted_without_asking_anybody() -> None:
    async with talking() as (client, _):
        counted = await client.messages.count_tokens(model="auto", messages=ASK["messages"])
        assert 0 < counted.input_tokens < 20


@on_loop
async def test_models() -> None:
    async with talking() as (_, service):
        async with anthropic.AsyncAnthropic(base_url=service.url, api_key="sk-test") as client:
            listed = [each.id async for each in client.models.list()]
        assert "oracle/function" in listed


def test_the_synchronous_client() -> None:
    def talk(url: str) -> tuple[str, str]:
        with anthropic.Anthropic(
            base_url=url, api_key="sk-test", _strict_response_validation=True
        ) as client:
            (block,) = client.messages.create(**ASK).content
            with client.messages.stream(**ASK) as stream:
                return getattr(block, "text", ""), "".join(stream.text_stream)

    @on_loop
    async def test() -> None:
        async with serving(oracle=oracle) as service:
            whole, text = await asyncio.to_thread(talk, service.url)
            assert whole == text == "you said: hello"

    test()


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (ErrorClass.CONTEXT_LENGTH, anthropic.BadRequestError),
        (ErrorClass.RATE_LIMIT, anthropic.RateLimitError),
        (ErrorClass.SERVER, anthropic.InternalServerError),
    ],
)
@on_loop
async def test_failures_are_errors_of_the_sdk(failure: ErrorClass, raised: Any) -> None:
    async def failing(_request: object) -> None:
        raise provider_error(failure, "scripted")

    async with talking(oracle=failing) as (client, _):
        with pytest.raises(raised) as caught:
            await client.messages.create(**ASK)
        assert caught.value.request_id


@on_loop
async def test_an_openai_target_serves_it_and_a_cut_stream_raises() -> None:
    words = " ".join(str(n) for n in range(200))
    async with talking(behaviours=(Behaviour(reply=words),)) as (client, service):
        whole = await client.messages.create(**{**ASK, "model": "m"})
        assert whole.model == "m"
        service.mocks[0].control.set_schedule([{"kind": "cut", "after_bytes": 4000}])
        text = ""
        with pytest.raises(anthropic.APIStatusError, match="delivered"):
            async with client.messages.stream(**{**ASK, "model": "m"}) as stream:
                async for piece in stream.text_stream:
                    text += piece
        assert text
        assert words.startswith(text)
