"""`POST /v1/messages`: Anthropic's format of answers, whole and streamed."""

from __future__ import annotations

from typing import Any, Final

from understudy.adapters.body import decode
from understudy.gateway.asked import Asked, Frames
from understudy.gateway.contract import anthropic as contract
from understudy.gateway.contract.entry import Dialect, Entry
from understudy.gateway.problem import Problem
from understudy.gateway.wires import anthropic_requests
from understudy.gateway.wires.openai_chat import output_of
from understudy.gateway.wires.sse import event
from understudy_actors.domain import operation
from understudy_actors.domain.delta import Delta, TextDelta, ToolCallDelta
from understudy_actors.domain.request import ToolCall
from understudy_actors.domain.result import Result, Usage

STOPS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
"""Why answers end, in this format."""

KINDS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""What a status is called; every other one is an `api_error`."""


class AnthropicMessages:
    """The format of messages."""

    operation: str = operation.CHAT
    entry = Entry(
        summary="Continue a conversation, whole or as a stream",
        tag="Anthropic",
        name="Message",
        body=anthropic_requests.Body,
        answers=(contract.AnthropicMessage,),
        events=(*contract.EVENTS, contract.AnthropicError),
        dialect=Dialect.ANTHROPIC,
    )

    def read(self, body: Any) -> Asked:
        """See `Wire.read`."""
        return anthropic_requests.read(body)

    def answer(self, asked: Asked, result: Result, created: int) -> Any:  # noqa: ARG002
        """See `Wire.answer`."""
        output = output_of(result)
        content: list[dict[str, Any]] = [_use(each) for each in output.tool_calls]
        if output.text:
            content.insert(0, {"type": "text", "text": output.text})
        return {
            **_head(result.request_id, result.model),
            "content": content,
            "stop_reason": STOPS[output.finish_reason],
            "stop_sequence": None,
            "usage": usage_of(result.usage),
        }

    def frames(self, asked: Asked, request_id: str, created: int) -> Frames:  # noqa: ARG002
        """See `Wire.frames`."""
        return _Events(request_id)

    def error(self, problem: Problem) -> Any:
        """See `Wire.error`."""
        return error_body(problem)


class _Events:
    """A streamed answer as named events, with one block open at a time."""

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id
        self._index = -1
        self._open: int | None = None  # the call whose block is open; -1 is text

    def begin(self, model: str) -> bytes:
        message = {
            **_head(self._request_id, model),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_of(Usage()),
        }
        return event("message_start", {"type": "message_start", "message": message})

    def piece(self, delta: Delta) -> bytes:
        if isinstance(delta, TextDelta):
            opened = self._turn_to(-1, {"type": "text", "text": ""})
            return opened + self._delta({"type": "text_delta", "text": delta.text})
        if isinstance(delta, ToolCallDelta):
            block = {
                "type": "tool_use",
                "id": delta.id or "",
                "name": delta.name or "",
                "input": {},
            }
            opened = self._turn_to(delta.index, block)
            return opened + self._delta(
                {"type": "input_json_delta", "partial_json": delta.arguments}
            )
        return b""

    def end(self, result: Result) -> bytes:
        told = {
            "type": "message_delta",
            "delta": {"stop_reason": STOPS[output_of(result).finish_reason], "stop_sequence": None},
            "usage": usage_of(result.usage),
            "model": result.model,
        }
        return self._close() + event("message_delta", told) + event("message_stop", _STOP)

    def fail(self, problem: Problem) -> bytes:
        return event("error", error_body(problem))

    def _turn_to(self, call: int, block: dict[str, Any]) -> bytes:
        if self._open == call:
            return b""
        closed = self._close()
        self._open = call
        self._index += 1
        start = {"type": "content_block_start", "index": self._index, "content_block": block}
        return closed + event("content_block_start", start)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        told = {"type": "content_block_delta", "index": self._index, "delta": delta}
        return event("content_block_delta", told)

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return event("content_block_stop", {"type": "content_block_stop", "index": self._index})


_STOP: Final = {"type": "message_stop"}


def error_body(problem: Problem) -> dict[str, Any]:
    """The body of an error, or of the event that ends a stream."""
    return {
        "type": "error",
        "error": {"type": KINDS.get(problem.status, "api_error"), "message": problem.message},
        "request_id": problem.request_id,
    }


def usage_of(usage: Usage) -> dict[str, Any]:
    """Token counts in this format, where cached ones stand beside the others."""
    return {
        "input_tokens": usage.input_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }


def _head(request_id: str, model: str) -> dict[str, Any]:
    return {"id": f"msg_{request_id}", "type": "message", "role": "assistant", "model": model}


def _use(call: ToolCall) -> dict[str, Any]:
    arguments = decode(call.arguments.encode("utf-8", "replace"))
    return {
        "type": "tool_use",
        "id": call.id,
        "name": call.name,
        "input": arguments if isinstance(arguments, dict) else {},
    }
