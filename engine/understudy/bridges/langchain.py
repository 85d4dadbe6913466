"""understudy as a chat model of LangChain's (extra `langchain`).

    model = ChatUnderstudy(engine=engine, conditions={"max_cost_usd": 0.05})
    model.invoke("Explain quantum computing").content

Everything that LangChain builds on chat models (chains, tools, structured output, streams) is then
routed, priced and failed over.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, TypeAlias

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    InvalidToolCall,
    ToolCall,
    convert_to_openai_messages,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field

from understudy.bridges.asyncio_engine import AsyncioEngine
from understudy.bridges.blocking_engine import BlockingEngine
from understudy.bridges.chat_json import chat_request
from understudy_actors.domain.delta import Delta, TextDelta, ToolCallDelta
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import ChatOutput, Result

AnyTool: TypeAlias = dict[str, Any] | type | Callable[..., Any] | BaseTool
ONLY_ASYNC = (
    "this model has an AsyncioEngine, which is awaited: use `ainvoke`, `astream`, `abatch`; or "
    "give it a BlockingEngine, which serves both"
)


class ChatUnderstudy(BaseChatModel):
    """A chat model that an engine answers for.

    Attributes:
        engine: A `BlockingEngine`, or an `AsyncioEngine` for programs that only await.
        model: A model or a model group; None lets any provider of chat serve.
        conditions: Fields of every `Request`: `max_cost_usd`, `timeout_s`, `tags`, `user`, ...
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    engine: BlockingEngine | AsyncioEngine = Field(exclude=True, repr=False)
    model: str | None = None
    conditions: dict[str, Any] = Field(default_factory=dict)

    @property
    def _llm_type(self) -> str:
        return "understudy"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "conditions": self.conditions}

    def bind_tools(
        self, tools: Sequence[AnyTool], *, tool_choice: str | None = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Let it call tools; `tool_choice` is `auto`, `none`, `any` or a tool's name."""
        declared = [convert_to_openai_tool(each) for each in tools]
        choice = _choice(tool_choice)
        return self.bind(
            tools=declared, **({} if choice is None else {"tool_choice": choice}), **kwargs
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        if isinstance(self.engine, AsyncioEngine):
            raise TypeError(ONLY_ASYNC)
        return _answer(self.engine.route(self._request(messages, stop, kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if isinstance(self.engine, BlockingEngine):
            return await super()._agenerate(messages, stop, run_manager, **kwargs)
        return _answer(await self.engine.route(self._request(messages, stop, kwargs)))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if isinstance(self.engine, AsyncioEngine):
            raise TypeError(ONLY_ASYNC)
        with self.engine.stream(self._request(messages, stop, kwargs)) as stream:
            for delta in stream:
                if (chunk := _piece(delta)) is not None:
                    if run_manager is not None:
                        run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk
            yield _last(stream.result())

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if isinstance(self.engine, BlockingEngine):
            async for each in super()._astream(messages, stop, run_manager, **kwargs):
                yield each
            return
        async with self.engine.stream(self._request(messages, stop, kwargs)) as stream:
            async for delta in stream:
                if (chunk := _piece(delta)) is not None:
                    if run_manager is not None:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk
            yield _last(stream.result())

    def _request(
        self, messages: list[BaseMessage], stop: list[str] | None, more: dict[str, Any]
    ) -> Request:
        fields = {name: value for name, value in more.items() if not name.startswith("ls_")}
        model = fields.pop("model", self.model)
        body = {"messages": convert_to_openai_messages(messages), "stop": stop, **fields}
        return chat_request(model, body, self.conditions)


def _choice(choice: str | bool | None) -> Any:
    if choice in ("any", True):
        return "required"
    if choice in (None, False, "auto", "none", "required"):
        return choice or None
    return {"type": "function", "function": {"name": choice}}


def _answer(result: Result) -> ChatResult:
    output = result.output
    message = AIMessage(
        content=result.text,
        usage_metadata=_usage(result),
        response_metadata=_facts(result),
    )
    for call in output.tool_calls if isinstance(output, ChatOutput) else ():
        try:
            arguments = json.loads(call.arguments or "{}")
        except ValueError as error:
            broken = InvalidToolCall(
                name=call.name,
                args=call.arguments,
                id=call.id,
                error=str(error),
                type="invalid_tool_call",
            )
            message.invalid_tool_calls.append(broken)
        else:
            message.tool_calls.append(
                ToolCall(name=call.name, args=arguments, id=call.id, type="tool_call")
            )
    return ChatResult(generations=[ChatGeneration(message=message)])


def _piece(delta: Delta) -> ChatGenerationChunk | None:
    if isinstance(delta, TextDelta):
        return ChatGenerationChunk(message=AIMessageChunk(content=delta.text))
    if isinstance(delta, ToolCallDelta):
        call = tool_call_chunk(
            name=delta.name, args=delta.arguments, id=delta.id, index=delta.index
        )
        message = AIMessageChunk(content="", tool_call_chunks=[call])
        return ChatGenerationChunk(message=message)
    return None


def _last(result: Result) -> ChatGenerationChunk:
    message = AIMessageChunk(
        content="",
        usage_metadata=_usage(result),
        response_metadata=_facts(result),
        chunk_position="last",
    )
    return ChatGenerationChunk(message=message)


def _usage(result: Result) -> UsageMetadata:
    usage = result.usage
    return UsageMetadata(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
        input_token_details={"cache_read": usage.cached_tokens},
        output_token_details={"reasoning": usage.reasoning_tokens},
    )


def _facts(result: Result) -> dict[str, Any]:
    output = result.output
    return {
        "model_name": result.model,
        "model_provider": result.provider,
        "finish_reason": output.finish_reason if isinstance(output, ChatOutput) else "stop",
        "request_id": result.request_id,
        "attempts": len(result.attempts),
        "cost_usd": result.cost_usd,
        "degraded": result.degraded,
    }
