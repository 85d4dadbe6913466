"""What callers send to `POST /v1/messages`: Anthropic's format, read into our own words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from understudy.gateway.asked import Asked, converted, model_of, others
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

MESSAGES_MAX: Final = 10_000
TOOLS_MAX: Final = 1_000
UNSUPPORTED: Final = frozenset({"mcp_servers", "container"})

_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}


class _Text(Struct, tag_field="type", tag="text"):
    text: str


class _Base64(Struct, tag_field="type", tag="base64"):
    media_type: str
    data: str


class _Url(Struct, tag_field="type", tag="url"):
    url: str


class _Image(Struct, tag_field="type", tag="image"):
    source: _Base64 | _Url


class _Use(Struct, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: dict[str, Any]


class _Answer(Struct, tag_field="type", tag="tool_result"):
    tool_use_id: str
    content: str | list[_Text | _Image] = ""


class _Thinking(Struct, tag_field="type", tag="thinking"):
    """What a model thought in an earlier turn; other models cannot read it."""


class _Redacted(Struct, tag_field="type", tag="redacted_thinking"):
    """The same, sealed."""


_Block: TypeAlias = _Text | _Image | _Use | _Answer | _Thinking | _Redacted


class _Message(Struct):
    role: Literal["user", "assistant"]
    content: str | list[_Block]


class _Tool(Struct):
    name: str
    input_schema: dict[str, Any]
    description: str | None = None


class _Choice(Struct):
    type: Literal["auto", "any", "none", "tool"]
    name: str | None = None


class _Metadata(Struct):
    user_id: str | None = None


class _Format(Struct):
    type: Literal["json_schema"]
    schema: dict[str, Any]


class _Output(Struct):
    format: _Format | None = None


class Prompt(Struct):
    """The fields of which the prompt consists: all that counting its tokens takes."""

    model: Annotated[str, Meta(min_length=1, max_length=512)]
    messages: Annotated[list[_Message], Meta(min_length=1, max_length=MESSAGES_MAX)]
    system: str | list[_Text] | None = None
    tools: Annotated[list[_Tool], Meta(max_length=TOOLS_MAX)] | None = None
    tool_choice: _Choice | None = None


class Body(Prompt, kw_only=True):
    """The fields that are understood; others go on to targets of the same format."""

    max_tokens: Annotated[int, Meta(ge=1)]
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    metadata: _Metadata | None = None
    output_config: _Output | None = None
    understudy: Any = None


def read(body: Any) -> Asked:
    """What a caller asks for.

    Raises:
        Refused: It is none of this format.
    """
    asked = converted(body, Body)
    extra = others(body, Body, UNSUPPORTED)
    form = asked.output_config.format if asked.output_config is not None else None
    chat = ChatInput(
        tuple(_turns(asked)),
        asked.max_tokens,
        asked.temperature,
        asked.top_p,
        tuple(asked.stop_sequences or ()),
        None,
        tuple(map(_tool, asked.tools or ())),
        _choice(asked.tool_choice),
        None if form is None else form.schema,
        {"anthropic": extra} if extra else None,
    )
    user = None if asked.metadata is None else asked.metadata.user_id
    return Asked(
        request=Request(
            operation=operation.CHAT, input=chat, model=model_of(asked.model), user=user
        ),
        model=asked.model,
        stream=bool(asked.stream),
        overrides=asked.understudy,
    )


def read_prompt(body: Any) -> Request:
    """The prompt alone, for counting its tokens.

    Raises:
        Refused: It is none of this format.
    """
    asked = converted(body, Prompt)
    chat = ChatInput(tuple(_turns(asked)), tools=tuple(map(_tool, asked.tools or ())))
    return Request(operation=operation.CHAT, input=chat, model=model_of(asked.model))


def _turns(asked: Prompt) -> Iterator[Message]:
    if asked.system:
        system = asked.system
        yield Message("system", system if isinstance(system, str) else _texts(system))
    for message in asked.messages:
        if isinstance(message.content, str):
            yield Message(message.role, message.content)
        else:
            yield from _message(message.role, message.content)


def _message(role: str, blocks: list[_Block]) -> Iterator[Message]:
    """Answers of tools are turns of their own here, and come before the words beside them."""
    for each in blocks:
        if isinstance(each, _Answer):
            content = each.content
            said = content if isinstance(content, str) else tuple(map(_part, content))
            yield Message("tool", said, tool_call_id=each.tool_use_id)
    parts = tuple(_part(each) for each in blocks if isinstance(each, _Text | _Image))
    calls = tuple(_call(each) for each in blocks if isinstance(each, _Use))
    if parts or calls:
        yield Message(role, parts, calls)


def _texts(blocks: list[_Text]) -> tuple[Part, ...]:
    return tuple(TextPart(each.text) for each in blocks)


def _part(block: _Text | _Image) -> Part:
    if isinstance(block, _Text):
        return TextPart(block.text)
    source = block.source
    if isinstance(source, _Url):
        return ImagePart(source.url)
    return ImagePart(f"data:{source.media_type};base64,{source.data}")


def _call(block: _Use) -> ToolCall:
    return ToolCall(block.id, block.name, msgspec.json.encode(block.input).decode())


def _tool(tool: _Tool) -> Tool:
    return Tool(tool.name, tool.description or "", tool.input_schema)


def _choice(choice: _Choice | None) -> str | None:
    if choice is None:
        return None
    return choice.name if choice.type == "tool" else _CHOICES[choice.type]
