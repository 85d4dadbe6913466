"""understudy as a model of pydantic-ai's (extra `pydantic-ai`).

    agent = Agent(UnderstudyModel(engine, conditions={"max_cost_usd": 0.05}))
    result = await agent.run("Explain quantum computing")

Every request of an agent, its tools and structured outputs included, is then routed, priced and
failed over.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import (
    BinaryContent,
    FinishReason,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.profiles import ModelProfileSpec
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from understudy.bridges.asyncio_engine import AsyncioEngine
from understudy.bridges.asyncio_streams import AsyncioStream
from understudy.bridges.chat_json import chat_request
from understudy_actors.domain.delta import TextDelta, ToolCallDelta
from understudy_actors.domain.errors import InvalidRequest
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import ChatOutput, Result, Usage

SYSTEM = "understudy"
_SETTINGS = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "stop_sequences": "stop",
}
"""Settings of pydantic-ai's that are passed on, as they are called in JSON."""
_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_call",
    "content_filter": "content_filter",
}


class UnderstudyModel(Model[None]):
    """A model that an engine answers for, on the loop that the engine was opened on.

    Args:
        engine: An open `AsyncioEngine`.
        model: A model or a model group; None lets any provider of chat serve.
        conditions: Fields of every `Request`: `max_cost_usd`, `timeout_s`, `tags`, `user`, ...
    """

    def __init__(
        self,
        engine: AsyncioEngine,
        model: str | None = None,
        *,
        conditions: Mapping[str, Any] | None = None,
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ) -> None:
        super().__init__(settings=settings, profile=profile)
        self._engine = engine
        self._model = model
        self._conditions = dict(conditions or {})

    @property
    def model_name(self) -> str:
        """What is asked for; who answered stands in each response."""
        return self._model or "auto"

    @property
    def system(self) -> str:
        """Who answers, to telemetry."""
        return SYSTEM

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """See `Model.request`; raises what `Engine.route` does."""
        request = self._request(messages, model_settings, model_request_parameters)
        return _response(await self._engine.route(request))

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,  # noqa: ARG002
    ) -> AsyncGenerator[StreamedResponse]:
        """See `Model.request_stream`; raises what `Engine.stream` does."""
        request = self._request(messages, model_settings, model_request_parameters)
        async with self._engine.stream(request) as stream:
            yield _Streamed(model_request_parameters=model_request_parameters, _stream=stream)

    def _request(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        parameters: ModelRequestParameters,
    ) -> Request:
        settings, parameters = self.prepare_request(settings, parameters)
        given: Mapping[str, Any] = settings or {}
        tools = [_tool(each) for each in parameters.tool_defs.values()]
        body: dict[str, Any] = {
            "messages": [*_instructions(messages, parameters), *_turns(messages)],
            **{ours: given.get(theirs) for theirs, ours in _SETTINGS.items()},
        }
        if tools:
            body["tools"] = tools
            body["tool_choice"] = "auto" if parameters.allow_text_output else "required"
        form = parameters.output_object
        if parameters.output_mode == "native" and form is not None:
            schema = {"name": form.name or "answer", "schema": form.json_schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        timeout = given.get("timeout")
        more = {"timeout_s": float(timeout)} if isinstance(timeout, int | float) else {}
        return chat_request(self._model, body, {**more, **self._conditions})


@dataclass
class _Streamed(StreamedResponse):
    """A streamed answer in pydantic-ai's events."""

    _stream: AsyncioStream
    _begun: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        parts = self._parts_manager
        async for delta in self._stream:
            if isinstance(delta, TextDelta):
                for event in parts.handle_text_delta(vendor_part_id="text", content=delta.text):
                    yield event
            elif isinstance(delta, ToolCallDelta):
                for event in parts.handle_tool_call_delta_events(
                    vendor_part_id=delta.index,
                    tool_name=delta.name,
                    args=delta.arguments,
                    tool_call_id=delta.id,
                ):
                    yield event
        result = self._stream.result()
        self._usage = _usage(result.usage)
        self.provider_response_id = result.request_id
        self.provider_details = _facts(result)
        output = result.output
        if isinstance(output, ChatOutput):
            self.finish_reason = _FINISH.get(output.finish_reason)

    async def close_stream(self) -> None:
        """Leave the stream, which gives up what is under way."""
        await self._stream.__aexit__(None, None, None)

    @property
    def model_name(self) -> str:
        """Who is answering now."""
        return self._stream.model or "auto"

    @property
    def provider_name(self) -> str | None:
        """Who is answering now."""
        return self._stream.provider or None

    @property
    def provider_url(self) -> str | None:
        """There is none: it may change within one answer."""
        return None

    @property
    def timestamp(self) -> datetime:
        """When it began."""
        return self._begun


def _instructions(
    messages: list[ModelMessage], parameters: ModelRequestParameters
) -> Iterator[dict[str, Any]]:
    parts = parameters.instruction_parts
    if parts is not None:
        texts = [each.content for each in parts]
    else:
        last = next((each for each in reversed(messages) if isinstance(each, ModelRequest)), None)
        texts = [last.instructions] if last is not None and last.instructions else []
    yield from ({"role": "system", "content": each} for each in texts if each)


def _turns(messages: list[ModelMessage]) -> Iterator[dict[str, Any]]:
    for message in messages:
        if isinstance(message, ModelResponse):
            yield _said(message)
        else:
            yield from map(_asked, message.parts)


def _said(message: ModelResponse) -> dict[str, Any]:
    calls = [
        {
            "id": part.tool_call_id,
            "type": "function",
            "function": {"name": part.tool_name, "arguments": part.args_as_json_str()},
        }
        for part in message.parts
        if isinstance(part, ToolCallPart)
    ]
    text = "".join(part.content for part in message.parts if isinstance(part, TextPart))
    return {
        "role": "assistant",
        "content": text or None,
        **({"tool_calls": calls} if calls else {}),
    }


def _asked(part: Any) -> dict[str, Any]:
    """One part of a request as a turn; its reasoning and files of other kinds have no word here."""
    match part:
        case SystemPromptPart():
            return {"role": "system", "content": part.content}
        case UserPromptPart(content=str(text)):
            return {"role": "user", "content": text}
        case UserPromptPart():
            return {"role": "user", "content": [_content(each) for each in part.content]}
        case ToolReturnPart():
            text = part.model_response_str()
            return {"role": "tool", "tool_call_id": part.tool_call_id, "content": text}
        case RetryPromptPart(tool_name=None):
            return {"role": "user", "content": part.model_response()}
        case RetryPromptPart():
            text = part.model_response()
            return {"role": "tool", "tool_call_id": part.tool_call_id, "content": text}
        case _:
            raise InvalidRequest(f"a {type(part).__name__} cannot be sent: leave it out")


def _content(item: Any) -> dict[str, Any]:
    match item:
        case str():
            return {"type": "text", "text": item}
        case ImageUrl():
            return {"type": "image_url", "image_url": {"url": item.url}}
        case BinaryContent() if item.is_image:
            return {"type": "image_url", "image_url": {"url": item.data_uri}}
        case _:
            raise InvalidRequest(f"a {type(item).__name__} cannot be sent: texts and images can")


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description or "",
        "parameters": tool.parameters_json_schema,
    }
    return {"type": "function", "function": function}


def _response(result: Result) -> ModelResponse:
    output = result.output
    parts: list[ModelResponsePart] = [TextPart(result.text)] if result.text else []
    reason: FinishReason | None = "stop"
    if isinstance(output, ChatOutput):
        reason = _FINISH.get(output.finish_reason)
        parts += [ToolCallPart(each.name, each.arguments, each.id) for each in output.tool_calls]
    return ModelResponse(
        parts,
        usage=_usage(result.usage),
        model_name=result.model,
        provider_name=result.provider,
        provider_response_id=result.request_id,
        provider_details=_facts(result),
        finish_reason=reason,
    )


def _usage(usage: Usage) -> RequestUsage:
    return RequestUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        details={"reasoning_tokens": usage.reasoning_tokens} if usage.reasoning_tokens else {},
    )


def _facts(result: Result) -> dict[str, Any]:
    return {
        "attempts": len(result.attempts),
        "cost_usd": result.cost_usd,
        "degraded": result.degraded,
    }
