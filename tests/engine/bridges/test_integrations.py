"""LangChain, pydantic-ai and FastAPI, the real ones, over an engine whose first choice is down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.engine.bridges.house import mock_provider
from tests.engine.house import QUIET
from understudy import (
    AllAttemptsFailed,
    ChatOutput,
    InvalidRequest,
    Request,
    Tool,
    ToolCall,
)
from understudy.bridges import AsyncioEngine, BlockingEngine
from understudy_actors.domain.request import ChatInput, ImagePart, TextPart
from understudy_sim.faults import Failures
from understudy_sim.mock import MockSettings
from understudy_sim.mock.settings import Behaviour

pytest.importorskip("langchain_core", reason="the extra `langchain` is not installed")
pytest.importorskip("pydantic_ai", reason="the extra `pydantic-ai` is not installed")
pytest.importorskip("fastapi", reason="FastAPI is not installed")

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ImageUrl
from pydantic_ai.settings import ModelSettings

from understudy.bridges.langchain import ChatUnderstudy
from understudy.bridges.pydantic_ai import UnderstudyModel

WORDS = "one two three four five"
PIXEL = b"\x89PNG\r\n\x1a\n"


class City(BaseModel):
    """A city."""

    name: str
    people: int


class Sees:
    """A provider that answers by what it is asked, and keeps that."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> ChatOutput:
        self.asked.append(request)
        chat = self.chat
        if chat.tools and chat.messages[-1].role != "tool":
            tool = chat.tools[0]
            return ChatOutput("", "tool_calls", (ToolCall("c1", tool.name, self.fill(tool)),))
        if chat.tools and any(each.name == "final_result" for each in chat.tools):
            last = ToolCall("c2", "final_result", self.fill(chat.tools[-1]))
            return ChatOutput("", "tool_calls", (last,))
        return ChatOutput(f"said {chat.messages[-1].content}")

    @property
    def chat(self) -> ChatInput:
        body = self.asked[-1].input
        assert isinstance(body, ChatInput)
        return body

    def fill(self, tool: Tool) -> str:
        values: dict[str, Any] = {"string": "Bern", "integer": 7}
        fields = tool.parameters["properties"]
        return json.dumps({name: values[field["type"]] for name, field in fields.items()})


class SeesAsync(Sees):
    """The same for asyncio."""

    async def answers(self, request: Request) -> ChatOutput:
        await asyncio.sleep(0)
        return self(request)


@pytest.fixture(scope="module")
def outage() -> Iterator[dict[str, Any]]:
    """A configuration over two mocks on real sockets: the first one is down."""
    down = MockSettings(failures=Failures(server_error_probability=1.0))
    with (
        mock_provider(down) as first,
        mock_provider(MockSettings(behaviour=Behaviour(reply=WORDS))) as second,
    ):
        price = {"input": 1.0, "output": 2.0}
        kind = {"kind": "openai-compatible", "models": ["m"], "price": price}
        yield {
            **QUIET,
            "strategy": "priority",
            "retry": {"attempts": 0},
            "providers": {"a": {**kind, "base_url": first}, "b": {**kind, "base_url": second}},
        }


def on_asyncio(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 60))


# LangChain


def test_langchain_asks_whoever_can_answer(outage: dict[str, Any]) -> None:
    with BlockingEngine.open(outage, environ={}) as engine:
        model = ChatUnderstudy(engine=engine, conditions={"timeout_s": 30})
        answer = model.invoke("hi")
        assert answer.text == WORDS
        facts = answer.response_metadata
        assert (facts["model_provider"], facts["attempts"]) == ("b", 2)
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["total_tokens"] > 0
        whole = None
        for chunk in model.stream("hi"):
            whole = chunk if whole is None else whole + chunk
        assert whole is not None
        assert whole.text == WORDS
        assert whole.response_metadata["model_provider"] == "b"
        assert [each.text for each in model.batch(["x", "y"])] == [WORDS, WORDS]


def test_langchain_on_asyncio(outage: dict[str, Any]) -> None:
    async def body() -> None:
        async with AsyncioEngine.open(outage, environ={}) as engine:
            model = ChatUnderstudy(engine=engine)
            assert (await model.ainvoke("hi")).text == WORDS
            assert "".join([each.text async for each in model.astream("hi")]) == WORDS
            with pytest.raises(TypeError, match="ainvoke"):
                model.invoke("hi")

    on_asyncio(body)


def test_langchains_messages_tools_and_structures_arrive() -> None:
    sees = Sees()

    def weather(city: str) -> str:
        """The weather of a city."""
        return f"sunny in {city}"

    with BlockingEngine.open(QUIET, functions={"a": sees}, environ={}) as engine:
        model = ChatUnderstudy(engine=engine, model="function", conditions={"user": "ann"})
        tooled = model.bind_tools([weather], tool_choice="any")
        talk: list[Any] = [SystemMessage("be kind"), HumanMessage("how is it?")]
        called = tooled.invoke(talk)
        assert isinstance(called, AIMessage)
        assert [(each["name"], each["args"]) for each in called.tool_calls] == [
            ("weather", {"city": "Bern"})
        ]
        assert sees.chat.tool_choice == "required"
        assert sees.asked[-1].user == "ann"
        talk += [called, ToolMessage("sunny", tool_call_id="c1")]
        assert tooled.invoke(talk).text == "said sunny"
        assert [each.role for each in sees.chat.messages] == ["system", "user", "assistant", "tool"]
        assert sees.chat.messages[2].tool_calls[0].arguments == '{"city": "Bern"}'
        made = model.with_structured_output(City).invoke("a city")
        assert made == City(name="Bern", people=7)
        picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
        model.invoke([HumanMessage([{"type": "text", "text": "what is it?"}, picture])], stop=["."])
        assert sees.chat.messages[0].content == (
            TextPart("what is it?"),
            ImagePart("https://example.com/a.png"),
        )
        assert sees.chat.stop == (".",)


def test_langchain_hears_the_engines_own_errors() -> None:
    def down(_request: Request) -> str:
        raise ConnectionResetError

    with BlockingEngine.open(QUIET, functions={"a": down}, environ={}) as engine:
        with pytest.raises(AllAttemptsFailed):
            ChatUnderstudy(engine=engine, conditions={"max_attempts": 1}).invoke("hi")
        with pytest.raises(InvalidRequest, match="conditions"):
            ChatUnderstudy(engine=engine, conditions={"max_price": 1}).invoke("hi")
        with pytest.raises(InvalidRequest, match="temperature"):
            ChatUnderstudy(engine=engine).invoke("hi", temperature="warm")


def test_arguments_that_are_no_json_are_told_as_such() -> None:
    def breaks(_request: Request) -> ChatOutput:
        return ChatOutput("", "tool_calls", (ToolCall("c1", "weather", '{"city": '),))

    with BlockingEngine.open(QUIET, functions={"a": breaks}, environ={}) as engine:
        answer = ChatUnderstudy(engine=engine).invoke("hi")
    assert (answer.tool_calls, [each["name"] for each in answer.invalid_tool_calls]) == (
        [],
        ["weather"],
    )


# pydantic-ai


def test_pydantic_ai_asks_whoever_can_answer(outage: dict[str, Any]) -> None:
    async def body() -> None:
        async with AsyncioEngine.open(outage, environ={}) as engine:
            agent = Agent(UnderstudyModel(engine), instructions="be kind")
            found = await agent.run("hi")
            assert found.output == WORDS
            response = found.all_messages()[-1]
            assert getattr(response, "provider_name", None) == "b"
            async with agent.run_stream("hi") as stream:
                pieces = [each async for each in stream.stream_text(delta=True, debounce_by=None)]
                assert len(pieces) > 2
                assert "".join(pieces) == WORDS
            async with agent.run_stream("hi"):
                pass  # left before its end
            assert engine.status().running == 0

    on_asyncio(body)


def test_pydantic_ais_messages_tools_and_structures_arrive() -> None:
    sees = SeesAsync()

    async def body() -> None:
        async with AsyncioEngine.open(QUIET, functions={"a": sees.answers}, environ={}) as engine:
            model = UnderstudyModel(engine, "function", conditions={"user": "ann"})
            agent = Agent(model, output_type=City, instructions="be kind")

            @agent.tool_plain
            def weather(city: str) -> str:
                """The weather of a city."""
                return f"sunny in {city}"

            picture = BinaryContent(PIXEL, media_type="image/png")
            asked: list[Any] = ["what is it?", ImageUrl("https://example.com/a.png"), picture]
            found = await agent.run(asked)
            assert found.output == City(name="Bern", people=7)
            first, last = sees.asked[0].input, sees.chat
            assert isinstance(first, ChatInput)
            assert first.messages[0].content == "be kind"
            parts = first.messages[1].content
            assert [type(each).__name__ for each in parts] == ["TextPart", "ImagePart", "ImagePart"]
            assert first.tool_choice == "required"
            assert [each.role for each in last.messages] == ["system", "user", "assistant", "tool"]
            assert last.messages[-1].content == "sunny in Bern"
            assert sees.asked[-1].user == "ann"
            plain = Agent(model)
            settings = ModelSettings(max_tokens=7, temperature=0.5, stop_sequences=["."], timeout=9)
            await plain.run("hi", model_settings=settings)
            assert (sees.chat.max_tokens, sees.chat.temperature, sees.chat.stop) == (7, 0.5, (".",))
            assert sees.asked[-1].timeout_s == 9
            assert (model.model_name, model.system) == ("function", "understudy")
            with pytest.raises(InvalidRequest, match="BinaryContent"):
                await plain.run([BinaryContent(b"%PDF", media_type="application/pdf")])

    on_asyncio(body)


# FastAPI


def test_the_fastapi_example_answers_streams_and_closes(
    outage: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastapi import FastAPI
    from httpx import ASGITransport, AsyncClient

    from examples import fastapi_app

    class Open(AsyncioEngine):
        @staticmethod
        def open() -> Any:  # type: ignore[override]
            return AsyncioEngine.open(outage, environ={})

    monkeypatch.setattr(fastapi_app, "AsyncioEngine", Open)

    @asynccontextmanager
    async def serving(app: FastAPI) -> AsyncIterator[AsyncClient]:
        transport = ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            AsyncClient(transport=transport, base_url="http://example") as client,
        ):
            yield client

    async def body() -> None:
        async with serving(fastapi_app.app) as client:
            answer = await client.post("/ask", json={"prompt": "hi"})
            told = answer.json()
            assert (told["text"], told["provider"], told["attempts"]) == (WORDS, "b", 2)
            assert 0 < told["cost_usd"] < 0.05
            assert (await client.post("/stream", json={"prompt": "hi"})).text == WORDS
            assert (await client.post("/ask", json={})).status_code == 422
            assert (await client.get("/health")).json()["total"] == 2
            engine = fastapi_app.app.state.engine
            engine.hold("b")
            engine.hold("a")
            refused = await client.post("/ask", json={"prompt": "hi"})
            assert refused.status_code == 503

    on_asyncio(body)
