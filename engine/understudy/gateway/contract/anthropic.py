"""Answers in Anthropic's formats: messages, models, token counts and errors."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

Stop = Literal["end_turn", "max_tokens", "tool_use", "refusal"]


class AnthropicFault(Struct):
    """What happened; `type` is what programs look at."""

    type: str
    message: str


class AnthropicError(Struct):
    """Every error of these paths, and the event that ends a broken stream."""

    type: Literal["error"]
    error: AnthropicFault
    request_id: str


class TextBlock(Struct, tag_field="type", tag="text"):
    """Words."""

    text: str


class ToolUseBlock(Struct, tag_field="type", tag="tool_use"):
    """A call that the model wants made."""

    id: str
    name: str
    input: dict[str, Any]


class MessageUsage(Struct):
    """Tokens; those from a cache stand beside the others."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int


class AnthropicMessage(Struct):
    """A whole answer."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[TextBlock | ToolUseBlock]
    stop_reason: Stop | None
    stop_sequence: None
    usage: MessageUsage


class TextPiece(Struct, tag_field="type", tag="text_delta"):
    """More words."""

    text: str


class InputPiece(Struct, tag_field="type", tag="input_json_delta"):
    """More of the arguments, as JSON text."""

    partial_json: str


class MessageStart(Struct, tag_field="type", tag="message_start"):
    """The beginning."""

    message: AnthropicMessage


class BlockStart(Struct, tag_field="type", tag="content_block_start"):
    """A block begins."""

    index: int
    content_block: TextBlock | ToolUseBlock


class BlockDelta(Struct, tag_field="type", tag="content_block_delta"):
    """More of a block."""

    index: int
    delta: TextPiece | InputPiece


class BlockStop(Struct, tag_field="type", tag="content_block_stop"):
    """A block is whole."""

    index: int


class MessageEnd(Struct):
    """Why it ended."""

    stop_reason: Stop
    stop_sequence: None


class MessageDelta(Struct, tag_field="type", tag="message_delta"):
    """How it ended, and which model ended it."""

    delta: MessageEnd
    usage: MessageUsage
    model: str


class MessageStop(Struct, tag_field="type", tag="message_stop"):
    """The end of a whole answer."""


EVENTS = (MessageStart, BlockStart, BlockDelta, BlockStop, MessageDelta, MessageStop)
"""What streams hold, an error apart; each has its `type` as the event's name as well."""


class TokenCount(Struct):
    """About how many tokens a prompt has; no provider is asked."""

    input_tokens: int


class AnthropicModel(Struct):
    """A name that requests may use."""

    type: Literal["model"]
    id: str
    display_name: str
    created_at: str
    lifecycle: Literal["active"]


class AnthropicModels(Struct):
    """All of them."""

    data: list[AnthropicModel]
    has_more: bool
    first_id: str | None
    last_id: str | None
