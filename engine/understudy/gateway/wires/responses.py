"""`POST /v1/responses`: OpenAI's newer format of answers, whole and streamed."""

from __future__ import annotations

from typing import Any, Final

from understudy.gateway.asked import Asked, Frames
from understudy.gateway.contract import responses as contract
from understudy.gateway.contract.entry import Entry
from understudy.gateway.problem import Problem
from understudy.gateway.wires import responses_requests
from understudy.gateway.wires.openai_chat import output_of
from understudy.gateway.wires.openai_errors import error_body
from understudy.gateway.wires.sse import event
from understudy_actors.domain import operation
from understudy_actors.domain.delta import Delta, TextDelta, ToolCallDelta
from understudy_actors.domain.result import ChatOutput, Result, Usage

CODES: Final = {400: "invalid_prompt", 429: "rate_limit_exceeded"}
"""What the end of a failed response is called, where it is not `server_error`: a closed list, of
which strict readers accept no other word."""


class Responses:
    """The format of responses."""

    operation: str = operation.CHAT
    entry = Entry(
        summary="Answer, whole or as a stream; no state is kept",
        tag="OpenAI",
        name="Response",
        body=responses_requests.Body,
        answers=(contract.Response,),
        events=contract.EVENTS,
    )

    def read(self, body: Any) -> Asked:
        """See `Wire.read`."""
        return responses_requests.read(body)

    def answer(self, asked: Asked, result: Result, created: int) -> Any:
        """See `Wire.answer`."""
        output = output_of(result)
        ident = result.request_id
        items = [_called(ident, at, c.id, c.name, c.arguments) for at, c in _calls(output)]
        if output.text or not items:
            items.insert(0, _said(ident, output.text, "completed"))
        return _ended(_response(asked, ident, created), result, items)

    def frames(self, asked: Asked, request_id: str, created: int) -> Frames:
        """See `Wire.frames`."""
        return _Events(asked, request_id, created)

    def error(self, problem: Problem) -> Any:
        """See `Wire.error`."""
        return error_body(problem)


class _Item:
    """One item of an answer that is being written: its words, or one call."""

    def __init__(self, place: int, call: ToolCallDelta | None) -> None:
        self.place = place
        self.call = call
        self.text = ""


class _Events:
    """A streamed answer as events, each with its number, and one item open at a time."""

    def __init__(self, asked: Asked, request_id: str, created: int) -> None:
        self._asked = asked
        self._id = request_id
        self._created = created
        self._model = ""
        self._number = -1
        self._open: _Item | None = None
        self._items: list[dict[str, Any]] = []

    def begin(self, model: str) -> bytes:
        self._model = model
        response = self._response("in_progress")
        started = self._event("response.created", response=response)
        return started + self._event("response.in_progress", response=response)

    def piece(self, delta: Delta) -> bytes:
        if isinstance(delta, TextDelta):
            opened = self._turn_to(None)
            return opened + self._words(delta.text)
        if isinstance(delta, ToolCallDelta):
            opened = self._turn_to(delta)
            return opened + self._arguments(delta.arguments)
        return b""

    def end(self, result: Result) -> bytes:
        closed = self._close()
        self._model = result.model
        response = _ended(self._response("completed"), result, self._items)
        return closed + self._event(f"response.{response['status']}", response=response)

    def fail(self, problem: Problem) -> bytes:
        response = self._response("failed")
        code = CODES.get(problem.status, "server_error")
        response["error"] = {"code": code, "message": problem.message}
        return self._event("response.failed", response=response)

    def _response(self, status: str) -> dict[str, Any]:
        response = _response(self._asked, self._id, self._created)
        return {**response, "status": status, "model": self._model}

    def _event(self, name: str, /, **facts: Any) -> bytes:
        self._number += 1
        return event(name, {"type": name, **facts, "sequence_number": self._number})

    def _turn_to(self, call: ToolCallDelta | None) -> bytes:
        item = self._open
        index = None if call is None else call.index
        if item is not None and index == (None if item.call is None else item.call.index):
            return b""
        closed = self._close()
        self._open = item = _Item(len(self._items), call)
        shown = _said(self._id, None, "in_progress") if call is None else self._call(item, "")
        opened = self._event("response.output_item.added", output_index=item.place, item=shown)
        if call is None:
            part = _part("")
            opened += self._event("response.content_part.added", **self._at(item), part=part)
        return closed + opened

    def _words(self, text: str) -> bytes:
        item = self._open
        assert item is not None
        item.text += text
        return self._event("response.output_text.delta", **self._at(item), delta=text, logprobs=[])

    def _arguments(self, text: str) -> bytes:
        item = self._open
        assert item is not None
        item.text += text
        name = "response.function_call_arguments.delta"
        return self._event(name, item_id=self._call_id(item), output_index=item.place, delta=text)

    def _close(self) -> bytes:
        item, self._open = self._open, None
        if item is None:
            return b""
        if item.call is None:
            at, shown = self._at(item), _said(self._id, item.text, "completed")
            text = item.text
            done = self._event("response.output_text.done", **at, text=text, logprobs=[])
            done += self._event("response.content_part.done", **at, part=_part(text))
        else:
            shown = self._call(item, item.text)
            done = self._event(
                "response.function_call_arguments.done",
                item_id=self._call_id(item),
                output_index=item.place,
                name=shown["name"],
                arguments=item.text,
            )
        self._items.append(shown)
        return done + self._event("response.output_item.done", output_index=item.place, item=shown)

    def _at(self, item: _Item) -> dict[str, Any]:
        return {"item_id": f"msg_{self._id}", "output_index": item.place, "content_index": 0}

    def _call_id(self, item: _Item) -> str:
        assert item.call is not None
        return f"fc_{self._id}_{item.call.index}"

    def _call(self, item: _Item, arguments: str) -> dict[str, Any]:
        call = item.call
        assert call is not None
        return _called(self._id, call.index, call.id or "", call.name or "", arguments)


def _calls(output: ChatOutput) -> enumerate[Any]:
    return enumerate(output.tool_calls)


def _response(asked: Asked, ident: str, created: int) -> dict[str, Any]:
    return {
        "id": f"resp_{ident}",
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": "",
        "output": [],
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        **asked.shown,
    }


def _ended(response: dict[str, Any], result: Result, items: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole response; one cut at its length is `incomplete`."""
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(
        output_of(result).finish_reason
    )
    return {
        **response,
        "model": result.model,
        "status": "completed" if reason is None else "incomplete",
        "incomplete_details": None if reason is None else {"reason": reason},
        "output": items,
        "usage": usage_of(result.usage),
    }


def usage_of(usage: Usage) -> dict[str, Any]:
    """Token counts in this format."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _said(ident: str, text: str | None, status: str) -> dict[str, Any]:
    return {
        "id": f"msg_{ident}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [] if text is None else [_part(text)],
    }


def _called(ident: str, at: int, call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {
        "id": f"fc_{ident}_{at}",
        "type": "function_call",
        "status": "completed",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }
