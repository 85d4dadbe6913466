"""Reading answers of the Anthropic Messages format."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from understudy.adapters.body import Unusable, count, is_object, need_object, need_text, text_of
from understudy.adapters.openai_replies import settled_finish, text_part
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ToolCall
from understudy_actors.domain.result import ChatOutput, Usage

WINDOW_FULL: Final = "model_context_window_exceeded"

FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",  # the caller may continue the turn
    "max_tokens": "length",
    WINDOW_FULL: "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Stop reasons, in the words of the core. An unknown one counts as `stop`."""


def message_output(body: dict[str, Any]) -> ChatOutput:
    """The model's turn.

    Raises:
        Unusable: It is no whole answer, or a refusal.
    """
    if body.get("type") != "message":
        raise Unusable("it is no message")
    content = body.get("content")
    if not isinstance(content, list):
        raise Unusable("content is no list")
    blocks = [need_object(block, "a content block") for block in content]
    reason = need_text(body.get("stop_reason"), "stop_reason")
    text = "".join(text_part(block) for block in blocks if block.get("type") == "text")
    calls = tuple(_tool_call(block) for block in blocks if block.get("type") == "tool_use")
    if reason == WINDOW_FULL and not text and not calls:
        raise Unusable("the window was full before the answer", ErrorClass.CONTEXT_LENGTH)
    if reason == "refusal" and not text and not calls:
        words = _explanation(body)
        raise Unusable("the model declined", ErrorClass.CONTENT_POLICY, words=words)
    return ChatOutput(text, settled_finish(FINISH.get(reason, "stop"), text, calls), calls)


def _tool_call(block: dict[str, Any]) -> ToolCall:
    arguments = need_object(block.get("input"), "a tool's input")
    return ToolCall(
        need_text(block.get("id"), "a tool call's id"),
        need_text(block.get("name"), "a tool's name"),
        msgspec.json.encode(arguments).decode(),
    )


def _explanation(body: dict[str, Any]) -> str:
    details = body.get("stop_details")
    return text_of(details.get("explanation")) if is_object(details) else ""


def message_usage(body: dict[str, Any]) -> Usage | None:
    """Tokens of a message; None when they are not reported, or not believable.

    Here `input_tokens` leaves out what the cache held or took up; ours are inclusive.
    """
    usage = body.get("usage")
    if not is_object(usage):
        return None
    fresh, output = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
    if fresh is None or output is None:
        return None
    written = count(usage.get("cache_creation_input_tokens")) or 0
    read = count(usage.get("cache_read_input_tokens")) or 0
    if (total := count(fresh + written + read)) is None:
        return None
    details = usage.get("output_tokens_details")
    thinking = count(details.get("thinking_tokens")) if is_object(details) else None
    return Usage(total, output, read, min(thinking or 0, output), cache_write_tokens=written)
