"""OpenAI's own SDK, unmodified and with strict validation, talks to the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.engine.gateway.service import Service, on_loop, oracle, serving
from understudy import ErrorClass
from understudy_actors.domain.errors import provider_error
from understudy_sim.mock.settings import Behaviour

HELLO: Any = [{"role": "user", "content": "hello"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


class Answer(BaseModel):
    text: str


@asynccontextmanager
async def talking(**more: Any) -> AsyncIterator[tuple[openai.AsyncOpenAI, Service]]:
    async with (
        serving(**{k: v for k, v in {"oracle": oracle, **more}.items() if v}) as service,
        openai.AsyncOpenAI(
            base_url=f"{service.url}/v1",
            api_key="sk-test-caller",
            max_retries=0,
            _strict_response_validation=True,
        ) as client,
    ):
        yield client, service


@on_loop
async def test_a_chat() -> None:
    async with talking() as (client, _):
        answer = await client.chat.completions.create(model="auto", messages=HELLO)
        assert answer.choices[0].message.content == "you said: hello"
        assert answer.choices[0].finish_reason == "stop"
        assert answer._request_id


@on_loop
async def test_a_streamed_chat_with_usage() -> None:
    async with talking() as (client, _):
        stream = await client.chat.completions.create(
            model="auto", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text == "you said: hello"
        assert chunks[-1].usage is not None
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"


@on_loop
async def test_the_streaming_helper() -> None:
    async with talking() as (client, _):
        async with client.chat.completions.stream(model="auto", messages=HELLO) as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_completion()
        assert "content.delta" in kinds
        assert final.choices[0].message.content == "you said: hello"


@on_loop
async def test_a_tool_is_called_and_answered() -> None:
    async with talking() as (client, _):
        first = await client.chat.completions.create(model="auto", messages=HELLO, tools=[TOOL])
        (call,) = first.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert (call.function.name, call.function.arguments) == ("get_weather", '{"city": "Oslo"}')
        said: Any = [
            *HELLO,
            first.choices[0].message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "4C, rain"},
        ]
        second = await client.chat.completions.create(model="auto", messages=said, tools=[TOOL])
        assert second.choices[0].message.content == "you said: 4C, rain"


@on_loop
async def test_a_streamed_tool_call() -> None:
    async with talking() as (client, _):
        async with client.chat.completions.stream(
            model="auto", messages=HELLO, tools=[TOOL]
        ) as stream:
            async for _event in stream:
                pass
            final = await stream.get_final_completion()
        (call,) = final.choices[0].message.tool_calls or []
        assert call.function.arguments == '{"city": "Oslo"}'


@on_loop
async def test_an_answer_of_a_json_schema() -> None:
    async with talking() as (client, _):
        answer = await client.chat.completions.parse(
            model="auto", messages=HELLO, response_format=Answer
        )
        assert answer.choices[0].message.parsed == Answer(text="yes")


@on_loop
async def test_embeddings() -> None:
    async with talking() as (client, _):
        answer = await client.embeddings.create(
            model="auto", input=["a", "bcd"], encoding_format="float"
        )
        assert [e.embedding for e in answer.data] == [[1.0, 0.5, -2.0], [3.0, 0.5, -2.0]]


@on_loop
async def test_embeddings_as_the_sdk_asks_for_them_by_itself() -> None:
    """In base64, which its own strict check refuses."""
    async with (
        serving(oracle=oracle) as service,
        openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="sk-test") as client,
    ):
        answer = await client.embeddings.create(model="auto", input="abcd")
        assert list(answer.data[0].embedding) == [4.0, 0.5, -2.0]


@on_loop
async def test_pictures() -> None:
    async with talking() as (client, _):
        answer = await client.images.generate(model="auto", prompt="a cat", n=2)
        assert [each.b64_json for each in answer.data or ()] == ["iVBORw0KGgo="] * 2


@on_loop
async def test_responses() -> None:
    async with talking() as (client, _):
        answer = await client.responses.create(model="auto", input="hello", instructions="be kind")
        assert answer.output_text == "you said: hello"
        assert answer.status == "completed"


@on_loop
async def test_streamed_responses() -> None:
    async with talking() as (client, _):
        async with client.responses.stream(model="auto", input="hello") as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_response()
        assert final.output_text == "you said: hello"
        assert kinds[0] == "response.created"
        assert kinds[-1] == "response.completed"


@on_loop
async def test_models() -> None:
    async with talking() as (client, _):
        listed = [each.id async for each in await client.models.list()]
        assert "oracle/function" in listed
        assert (await client.models.retrieve("oracle/function")).id == "oracle/function"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("nobody")


def test_the_synchronous_client() -> None:
    def talk(url: str) -> tuple[str | None, str]:
        with openai.OpenAI(
            base_url=f"{url}/v1", api_key="sk-test", _strict_response_validation=True
        ) as client:
            whole = client.chat.completions.create(model="auto", messages=HELLO)
            stream = client.chat.completions.create(model="auto", messages=HELLO, stream=True)
            text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
        return whole.choices[0].message.content, text

    @on_loop
    async def test() -> None:
        async with serving(oracle=oracle) as service:
            whole, text = await asyncio.to_thread(talk, service.url)
            assert whole == text == "you said: hello"

    test()


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (ErrorClass.CONTEXT_LENGTH, openai.BadRequestError),
        (ErrorClass.CONTENT_POLICY, openai.BadRequestError),
        (ErrorClass.RATE_LIMIT, openai.RateLimitError),
        (ErrorClass.SERVER, openai.InternalServerError),
    ],
)
@on_loop
async def test_failures_are_errors_of_the_sdk(failure: ErrorClass, raised: Any) -> None:
    async def failing(_request: object) -> None:
        raise provider_error(failure, "scripted")

    async with talking(oracle=failing) as (client, _):
        with pytest.raises(raised) as caught:
            await client.chat.completions.create(model="auto", messages=HELLO)
        assert caught.value.request_id
        assert caught.value.response.headers["x-should-retry"] == "false"


@on_loop
async def test_an_unknown_model_is_not_found() -> None:
    async with talking() as (client, _):
        with pytest.raises(openai.NotFoundError, match="does not serve model"):
            await client.chat.completions.create(model="nobody", messages=HELLO)


@on_loop
async def test_a_provider_that_is_down_is_not_noticed() -> None:
    behaviours = (Behaviour(), Behaviour(reply="from the second"))
    async with talking(behaviours=behaviours) as (client, service):
        service.mocks[0].control.set_schedule([{"kind": "status"}])
        raw = await client.chat.completions.with_raw_response.create(model="m", messages=HELLO)
        assert raw.parse().choices[0].message.content == "from the second"
        assert raw.headers["x-understudy-provider"] == "m1"
        assert raw.headers["x-understudy-attempts"] == "2"
        assert raw.headers["x-understudy-fallback"] == "true"


@on_loop
async def test_a_stream_that_is_cut_goes_on_elsewhere_or_raises() -> None:
    """Both cut the answer, and neither can go on with what the other wrote."""
    words = " ".join(str(n) for n in range(200))
    behaviours = (Behaviour(reply=f"one {words}"), Behaviour(reply=f"two {words}"))
    async with talking(behaviours=behaviours) as (client, service):
        for mock in service.mocks:
            mock.control.set_schedule([{"kind": "cut", "after_bytes": 4000}])
        stream = await client.chat.completions.create(model="m", messages=HELLO, stream=True)
        text = ""
        with pytest.raises(openai.APIError, match="delivered") as caught:
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
        assert caught.value.code == "stream_broken"
        assert text.startswith("one 0 1 2")


@on_loop
async def test_conditions_of_a_request_travel_with_it() -> None:
    """In the body as `extra_body`, and in headers as `extra_headers`."""

    async def first(_request: object) -> None:
        raise provider_error(ErrorClass.SERVER, "scripted")

    async def second(_request: object) -> str:
        return "from the second"

    providers = {
        "first": {"kind": "function", "models": ["m"]},
        "second": {"kind": "function", "models": ["spare"]},
    }
    config = {"providers": providers, "breaker": {"trip_after": 100}}
    async with talking(config=config, oracle=None, first=first, second=second) as (client, _):
        ask: Any = client.chat.completions.create
        own = {"fallbacks": ["spare"], "timeout": "20s"}
        answer = await ask(model="m", messages=HELLO, extra_body={"understudy": own})
        assert answer.choices[0].message.content == "from the second"
        headers = {"x-understudy-fallbacks": "nobody, spare"}
        stream = await ask(model="m", messages=HELLO, extra_headers=headers, stream=True)
        text = "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])
        assert text == "from the second"
        none: list[dict[str, Any]] = [{}, {"fallbacks": []}, {**own, "fallback": False}]
        for alone in none:
            with pytest.raises(openai.InternalServerError):
                await ask(model="m", messages=HELLO, extra_body={"understudy": alone})
        with pytest.raises(openai.BadRequestError, match="fallbacks"):
            await ask(model="m", messages=HELLO, extra_body={"understudy": {"fallbacks": "spare"}})
