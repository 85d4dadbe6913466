"""What callers send to `POST /v1/responses`, read into our own words. No state is kept here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from understudy.gateway.asked import Asked, converted, model_of, others
from understudy.gateway.problem import Refused
from understudy_actors.domain import operation
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

ITEMS_MAX: Final = 10_000
TOOLS_MAX: Final = 1_000
STATEFUL: Final = frozenset({"previous_response_id", "conversation", "background", "prompt"})
"""Fields that need a memory of earlier requests."""


class _In(Struct, tag_field="type", tag="input_text"):
    text: str


class _Out(Struct, tag_field="type", tag="output_text"):
    text: str


class _Refusal(Struct, tag_field="type", tag="refusal"):
    refusal: str


class _Image(Struct, tag_field="type", tag="input_image"):
    image_url: str
    detail: str | None = None


_Content: TypeAlias = _In | _Out | _Refusal | _Image


class _Said(Struct, tag_field="type", tag="message"):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Content]


class _Called(Struct, tag_field="type", tag="function_call"):
    call_id: str
    name: str
    arguments: str


class _Returned(Struct, tag_field="type", tag="function_call_output"):
    call_id: str
    output: str | list[_In | _Image]


class _Thought(Struct, tag_field="type", tag="reasoning"):
    """What a model thought in an earlier turn; other models cannot read it."""


_Item: TypeAlias = _Said | _Called | _Returned | _Thought


class _Tool(Struct, tag_field="type", tag="function"):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class _Named(Struct, tag_field="type", tag="function"):
    name: str


class _Plain(Struct, tag_field="type", tag="text"):
    pass


class _Object(Struct, tag_field="type", tag="json_object"):
    pass


class _Schema(Struct, tag_field="type", tag="json_schema"):
    schema: dict[str, Any]


class _TextOptions(Struct):
    format: _Plain | _Object | _Schema | None = None
    verbosity: str | None = None


class _Reasoning(Struct):
    effort: str | None = None


class Body(Struct):
    """The fields that are understood; others go on to targets of the same vendor's format."""

    model: Annotated[str, Meta(min_length=1, max_length=512)]
    input: str | Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=ITEMS_MAX)]
    instructions: str | None = None
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    tools: Annotated[list[_Tool], Meta(max_length=TOOLS_MAX)] | None = None
    tool_choice: Literal["auto", "none", "required"] | _Named | None = None
    text: _TextOptions | None = None
    reasoning: _Reasoning | None = None
    stream: bool | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = None
    include: list[str] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    user: str | None = None
    understudy: Any = None


def read(body: Any) -> Asked:
    """What a caller asks for.

    Raises:
        Refused: It is none of this format, or needs a memory of earlier requests.
    """
    asked = converted(body, Body)
    extra = others(body, Body, STATEFUL)
    form = asked.text.format if asked.text is not None else None
    chat = ChatInput(
        tuple(_turns(asked)),
        asked.max_output_tokens,
        asked.temperature,
        asked.top_p,
        (),
        None,
        tuple(map(_tool, asked.tools or ())),
        asked.tool_choice.name if isinstance(asked.tool_choice, _Named) else asked.tool_choice,
        form.schema if isinstance(form, _Schema) else None,
        {"openai": chosen} if (chosen := _extra(asked, extra)) else None,
    )
    return Asked(
        request=Request(
            operation=operation.CHAT, input=chat, model=model_of(asked.model), user=asked.user
        ),
        model=asked.model,
        stream=bool(asked.stream),
        overrides=asked.understudy,
        shown=_shown(body),
    )


def _shown(body: dict[str, Any]) -> dict[str, Any]:
    """What a response repeats of its request."""
    return {
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation") or "disabled",
    }


def _extra(asked: Body, extra: dict[str, Any]) -> dict[str, Any]:
    """The same wishes as fields of a chat completion, which is what targets are sent."""
    known = {"service_tier", "prompt_cache_key", "safety_identifier"}
    chosen = {name: value for name, value in extra.items() if name in known}
    if asked.reasoning is not None and asked.reasoning.effort is not None:
        chosen["reasoning_effort"] = asked.reasoning.effort
    if asked.parallel_tool_calls is not None and asked.tools:
        chosen["parallel_tool_calls"] = asked.parallel_tool_calls
    if asked.text is not None and isinstance(asked.text.format, _Object):
        chosen["response_format"] = {"type": "json_object"}
    if asked.text is not None and asked.text.verbosity is not None:
        chosen["verbosity"] = asked.text.verbosity
    return chosen


def _turns(asked: Body) -> Iterator[Message]:
    if asked.instructions:
        yield Message("developer", asked.instructions)
    if isinstance(asked.input, str):
        yield Message("user", asked.input)
        return
    calls: list[ToolCall] = []
    for index, each in enumerate(asked.input):
        item = _item(index, each)
        if isinstance(item, _Called):  # calls of one turn stand one after the other
            calls.append(ToolCall(item.call_id, item.name, item.arguments))
            continue
        if calls and not isinstance(item, _Thought):
            yield Message("assistant", "", tuple(calls))
            calls = []
        if isinstance(item, _Said):
            yield Message(item.role, _content(item.content))
        elif isinstance(item, _Returned):
            yield Message("tool", _content(item.output), tool_call_id=item.call_id)
    if calls:
        yield Message("assistant", "", tuple(calls))


def _item(index: int, item: dict[str, Any]) -> _Item:
    """One item; a message need not say that it is one."""
    tagged = item if "type" in item else {"type": "message", **item}
    try:
        return converted(tagged, _Item)  # type: ignore[arg-type]  # a union is a form, too
    except Refused as refused:
        place = f"input[{index}].{refused.problem.param or ''}".rstrip(".")
        why = str(refused).partition(": ")[2] or str(refused)
        raise Refused(f"{place}: {why}", param=place) from None


def _content(content: str | list[Any]) -> str | tuple[Part, ...]:
    return content if isinstance(content, str) else tuple(map(_part, content))


def _part(part: _Content) -> Part:
    if isinstance(part, _Image):
        return ImagePart(part.image_url, part.detail)
    return TextPart(part.refusal if isinstance(part, _Refusal) else part.text)


def _tool(tool: _Tool) -> Tool:
    return Tool(tool.name, tool.description or "", tool.parameters or {})
