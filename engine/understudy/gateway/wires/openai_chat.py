"""`POST /v1/chat/completions`: OpenAI's chat format as callers send and read it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from understudy.gateway.asked import Asked, Frames, converted, model_of, others
from understudy.gateway.contract.entry import Entry
from understudy.gateway.contract.openai import ChatChunk, ChatCompletion, OpenAIError
from understudy.gateway.problem import Problem, Refused
from understudy.gateway.wires.openai_errors import error_body
from understudy.gateway.wires.sse import data
from understudy_actors.domain import operation
from understudy_actors.domain.delta import Delta, TextDelta, ToolCallDelta
from understudy_actors.domain.request import (
    ChatInput,
    ImagePart,
    Message,
    Part,
    Request,
    TextPart,
    Tool,
    ToolCall,
)
from understudy_actors.domain.result import ChatOutput, Result, Usage

MESSAGES_MAX: Final = 10_000
TOOLS_MAX: Final = 1_000
UNSUPPORTED: Final = frozenset(
    {"logprobs", "top_logprobs", "audio", "functions", "function_call", "modalities"}
)
"""Fields that ask for something in the answer that could not be passed on."""

MARK: Final = "[DONE]"
"""The last event of a whole stream."""

Count: TypeAlias = Annotated[int, Meta(ge=1)]


class _Text(Struct, tag_field="type", tag="text"):
    text: str


class _Url(Struct):
    url: str
    detail: str | None = None


class _Image(Struct, tag_field="type", tag="image_url"):
    image_url: _Url


class _Refusal(Struct, tag_field="type", tag="refusal"):
    refusal: str


class _Function(Struct):
    name: str
    arguments: str


class _Call(Struct):
    id: str
    function: _Function


class _Message(Struct):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Text | _Image | _Refusal] | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None


class _Declared(Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class _Tool(Struct, tag_field="type", tag="function"):
    function: _Declared


class _Named(Struct):
    name: str


class _Choice(Struct, tag_field="type", tag="function"):
    function: _Named


class _Schema(Struct):
    schema: dict[str, Any] | None = None


class _Format(Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _Schema | None = None


class _StreamOptions(Struct):
    include_usage: bool | None = None


class Body(Struct, forbid_unknown_fields=False):
    """The fields that are understood; others go on to targets of the same format."""

    model: Annotated[str, Meta(min_length=1, max_length=512)]
    messages: Annotated[list[_Message], Meta(min_length=1, max_length=MESSAGES_MAX)]
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    tools: Annotated[list[_Tool], Meta(max_length=TOOLS_MAX)] | None = None
    tool_choice: Literal["auto", "none", "required"] | _Choice | None = None
    response_format: _Format | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    user: str | None = None
    understudy: Any = None


class OpenAIChat:
    """The format of chat completions."""

    operation: str = operation.CHAT
    entry = Entry(
        summary="Continue a conversation, whole or as a stream",
        tag="OpenAI",
        name="Chat",
        body=Body,
        answers=(ChatCompletion,),
        events=(ChatChunk, OpenAIError),
        mark=MARK,
    )

    def read(self, body: Any) -> Asked:
        """See `Wire.read`."""
        asked = converted(body, Body)
        if asked.n not in (None, 1):
            raise Refused("n: one answer a request is given here, so 1", param="n")
        extra = others(body, Body, UNSUPPORTED)
        form = asked.response_format
        if form is not None and form.type == "json_object":
            extra["response_format"] = {"type": "json_object"}
        chat = ChatInput(
            tuple(map(_message, asked.messages)),
            asked.max_completion_tokens or asked.max_tokens,
            asked.temperature,
            asked.top_p,
            _stops(asked.stop),
            asked.seed,
            tuple(map(_tool, asked.tools or ())),
            _choice(asked.tool_choice),
            _schema(form),
            {"openai": extra} if extra else None,
        )
        options = asked.stream_options
        return Asked(
            request=Request(
                operation=self.operation, input=chat, model=model_of(asked.model), user=asked.user
            ),
            model=asked.model,
            stream=bool(asked.stream),
            include_usage=options is not None and bool(options.include_usage),
            overrides=asked.understudy,
        )

    def answer(self, asked: Asked, result: Result, created: int) -> Any:  # noqa: ARG002
        """See `Wire.answer`."""
        output = output_of(result)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": output.text or (None if output.tool_calls else ""),
            "refusal": None,
        }
        if output.tool_calls:
            message["tool_calls"] = [_call(each) for each in output.tool_calls]
        return {
            "id": f"chatcmpl-{result.request_id}",
            "object": "chat.completion",
            "created": created,
            "model": result.model,
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "logprobs": None,
                    "finish_reason": output.finish_reason,
                }
            ],
            "usage": usage_of(result.usage),
        }

    def frames(self, asked: Asked, request_id: str, created: int) -> Frames:
        """See `Wire.frames`."""
        return _Chunks(f"chatcmpl-{request_id}", created, include_usage=asked.include_usage)

    def error(self, problem: Problem) -> Any:
        """See `Wire.error`."""
        return error_body(problem)


class _Chunks:
    """A streamed answer as chunks, then `[DONE]`. The last chunk names the model that ended it."""

    def __init__(self, ident: str, created: int, *, include_usage: bool) -> None:
        self._head = {"id": ident, "object": "chat.completion.chunk", "created": created}
        self._model = ""
        self._tail: dict[str, Any] = {"usage": None} if include_usage else {}

    def begin(self, model: str) -> bytes:
        self._model = model
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def piece(self, delta: Delta) -> bytes:
        if isinstance(delta, TextDelta):
            return self._chunk({"content": delta.text})
        if isinstance(delta, ToolCallDelta):
            return self._chunk({"tool_calls": [_call_piece(delta)]})
        return b""

    def end(self, result: Result) -> bytes:
        self._model = result.model
        last = self._chunk({}, output_of(result).finish_reason)
        if self._tail:
            usage = usage_of(result.usage)
            last += data({**self._head, "model": self._model, "choices": [], "usage": usage})
        return last + f"data: {MARK}\n\n".encode()

    def fail(self, problem: Problem) -> bytes:
        return data(error_body(problem))

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return data({**self._head, "model": self._model, "choices": [choice], **self._tail})


def output_of(result: Result) -> ChatOutput:
    """The answer as a chat's; that of a function of the user's own may be anything."""
    output = result.output
    return output if isinstance(output, ChatOutput) else ChatOutput(result.text)


def usage_of(usage: Usage) -> dict[str, Any]:
    """Token counts in this format."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _message(message: _Message) -> Message:
    calls = tuple(
        ToolCall(each.id, each.function.name, each.function.arguments)
        for each in message.tool_calls or ()
    )
    content = message.content
    parts = content if isinstance(content, str) else tuple(map(_part, content or ()))
    return Message(message.role, parts or "", calls, message.tool_call_id)


def _part(part: _Text | _Image | _Refusal) -> Part:
    if isinstance(part, _Image):
        return ImagePart(part.image_url.url, part.image_url.detail)
    return TextPart(part.text if isinstance(part, _Text) else part.refusal)


def _stops(stop: str | list[str] | None) -> tuple[str, ...]:
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def _tool(tool: _Tool) -> Tool:
    declared = tool.function
    return Tool(declared.name, declared.description or "", declared.parameters or {})


def _choice(choice: str | _Choice | None) -> str | None:
    return choice.function.name if isinstance(choice, _Choice) else choice


def _schema(form: _Format | None) -> dict[str, Any] | None:
    if form is None or form.type != "json_schema":
        return None
    if form.json_schema is None or form.json_schema.schema is None:
        where = "response_format.json_schema.schema"
        raise Refused(f"{where}: a JSON schema is needed here", param=where)
    return form.json_schema.schema


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _call_piece(delta: ToolCallDelta) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": delta.arguments}
    piece: dict[str, Any] = {"index": delta.index, "function": function}
    if delta.id is not None:
        piece |= {"id": delta.id, "type": "function"}
    if delta.name is not None:
        function["name"] = delta.name
    return piece
