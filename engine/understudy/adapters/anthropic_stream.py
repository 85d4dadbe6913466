"""Events of the Anthropic Messages format: blocks that start, grow and stop within one message."""

from __future__ import annotations

from typing import Any, Final

from understudy.adapters.anthropic_replies import FINISH, WINDOW_FULL, message_usage
from understudy.adapters.anthropic_rules import ANTHROPIC_RULES
from understudy.adapters.body import Unusable, is_object, need_object, text_of
from understudy.adapters.classify import Rules
from understudy.adapters.openai_replies import text_part
from understudy.adapters.sse import SseEvent
from understudy.adapters.streaming import CALLS_MAX, Draft
from understudy_actors.domain.delta import Delta, ToolCallDelta
from understudy_actors.domain.outcome import ErrorClass

_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})
_THOUGHT_DELTAS: Final = frozenset({"thinking_delta", "signature_delta"})


class AnthropicEvents:
    """One streamed message."""

    rules: Rules = ANTHROPIC_RULES

    def __init__(self) -> None:
        self._calls: dict[int, int] = {}  # a tool's block to its number among the calls
        self._usage: dict[str, Any] = {}

    def is_error(self, event: SseEvent, document: Any) -> bool:
        """An event of type `error`."""
        if not is_object(document):
            return False
        named = event.name == "error" or document.get("type") == "error"
        return named or bool(document.get("error"))

    def is_end(self, event: SseEvent) -> bool:  # noqa: ARG002  here the end is JSON as well
        """Never: the end is an event like all others."""
        return False

    def read(self, document: dict[str, Any], draft: Draft) -> list[Delta]:
        """One event; see `Dialect.read`. Types that nobody knows yet say nothing."""
        deltas: list[Delta] = []
        match document.get("type"):
            case "content_block_delta":
                self._grow(document, draft, deltas)
            case "content_block_start":
                self._start(document, draft, deltas)
            case "message_start":
                message = need_object(document.get("message"), "message")
                self._count(message.get("usage"), draft, deltas)
            case "message_delta":
                self._finish(document, draft, deltas)
            case "message_stop":
                draft.ended = True
            case str():
                pass
            case _:
                raise Unusable("it is no event of a message")
        return deltas

    def _start(self, document: dict[str, Any], draft: Draft, deltas: list[Delta]) -> None:
        block = need_object(document.get("content_block"), "a content block")
        kind = block.get("type")
        if kind == "text":
            draft.say(text_part(block), deltas)
        elif kind in _THOUGHTS:
            draft.begun = True
        elif kind == "tool_use":
            block_number, index = _block(document), len(self._calls)
            if index >= CALLS_MAX:
                raise Unusable("one answer cannot have so many tool calls")
            name, call_id = text_of(block.get("name")), text_of(block.get("id"))
            draft.call(ToolCallDelta(index, "", call_id or None, name or None), deltas)
            self._calls[block_number] = index

    def _grow(self, document: dict[str, Any], draft: Draft, deltas: list[Delta]) -> None:
        delta = need_object(document.get("delta"), "delta")
        kind = delta.get("type")
        if kind == "text_delta":
            draft.say(text_part(delta), deltas)
        elif kind in _THOUGHT_DELTAS:
            draft.begun = True
        elif kind == "input_json_delta":
            piece, index = delta.get("partial_json"), self._calls.get(_block(document))
            if not isinstance(piece, str) or index is None:
                raise Unusable("a piece of a tool's input belongs to no tool")
            if piece:
                draft.call(ToolCallDelta(index, piece), deltas)

    def _finish(self, document: dict[str, Any], draft: Draft, deltas: list[Delta]) -> None:
        delta = need_object(document.get("delta"), "delta")
        reason = delta.get("stop_reason")
        if reason is not None and not isinstance(reason, str):
            raise Unusable("stop_reason is no text")
        self._count(document.get("usage"), draft, deltas)
        if reason is None:
            return
        empty = not draft.texts and not draft.calls
        if reason == WINDOW_FULL and empty:
            full = "the window was full before the answer"
            draft.failure = Unusable(full, ErrorClass.CONTEXT_LENGTH)
        elif reason == "refusal" and empty:
            details = delta.get("stop_details")
            words = text_of(details.get("explanation")) if is_object(details) else ""
            declined = "the model declined"
            draft.failure = Unusable(declined, ErrorClass.CONTENT_POLICY, words=words)
        else:
            draft.finish = FINISH.get(reason, "stop")

    def _count(self, usage: object, draft: Draft, deltas: list[Delta]) -> None:
        """Take the latest of each count that is not null: they are running totals, not steps."""
        if is_object(usage):
            self._usage.update((k, v) for k, v in usage.items() if v is not None)
            draft.count(message_usage({"usage": self._usage}), deltas)


def _block(document: dict[str, Any]) -> int:
    index = document.get("index")
    if type(index) is not int:
        raise Unusable("an event names no block")
    return index
