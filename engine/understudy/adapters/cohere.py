"""The Cohere API, version 2.

Options of a target (each optional): `input_type`, what embeddings are for (`search_document` unless
set); `body`, a mapping that is laid over every request body; `errors`, a mapping from a status or
code to an error class.
"""

from __future__ import annotations

from typing import Any, Final

from understudy.adapters.base import Reply, Target
from understudy.adapters.body import Unusable, count, encode, is_object, need_object, text_of
from understudy.adapters.classify import STATUSES, Phrase, Rules
from understudy.adapters.family import StreamingFamily, body_of, laid_over, no_such_operation
from understudy.adapters.gemini_replies import vectors_for
from understudy.adapters.headers import json_headers, stream_headers
from understudy.adapters.openai_replies import (
    content_text,
    settled_finish,
    text_part,
    tool_calls_of,
)
from understudy.adapters.openai_requests import answer_limit, message_body, tool_body
from understudy.adapters.openai_rules import CONTEXT_WORDS
from understudy.adapters.sse import SseEvent
from understudy.adapters.streaming import CALLS_MAX, Draft
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain import operation
from understudy_actors.domain.delta import Delta, ToolCallDelta
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ChatInput, EmbeddingInput, Request
from understudy_actors.domain.result import ChatOutput, Usage

RULES: Final = Rules(
    codes={},
    types={},
    phrases=(
        Phrase(ErrorClass.CONTEXT_LENGTH, frozenset({400, 413, 422}), CONTEXT_WORDS),
        Phrase(ErrorClass.QUOTA, frozenset({429}), ("monthly", "trial key")),
    ),
    statuses={**STATUSES, 498: ErrorClass.AUTH},  # its "invalid token"
)
"""Its errors are a status and a sentence. Trial keys have so many calls a month."""

FINISH: Final = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}
FINISH_FAILURES: Final = {"ERROR": ErrorClass.SERVER, "TIMEOUT": ErrorClass.TIMEOUT}
_CHOICES: Final = {"required": "REQUIRED", "none": "NONE"}


class CohereAdapter(StreamingFamily):
    """Chat and embeddings in Cohere's format."""

    name = "cohere"
    operations: tuple[str, ...] = (operation.CHAT, operation.EMBEDDING)
    rules = RULES
    request_ids: tuple[str, ...] = ("x-request-id", "x-debug-trace-id")

    def compose(self, request: Request, target: Target, *, stream: bool) -> HttpRequest:
        """The HTTP request; see `Family.compose`."""
        asked = request.input
        if isinstance(asked, ChatInput):
            path, body = "/v2/chat", {**_chat_body(asked, target), "stream": stream}
        elif isinstance(asked, EmbeddingInput):
            path, body = "/v2/embed", _embed_body(asked, target)
        else:
            raise no_such_operation()
        headers = json_headers(target, "authorization", "Bearer ")
        if stream:
            headers = stream_headers(headers)
        return HttpRequest("POST", _url(target, path), headers, encode(laid_over(body, target)))

    def read(self, request: Request, response: HttpResponse, document: Any) -> Reply:
        """The reply; see `Family.read`."""
        body, asked = body_of(document, response), request.input
        known = text_of(body.get("id"))[:128] or None
        if isinstance(asked, EmbeddingInput):
            rows = need_object(body.get("embeddings"), "embeddings").get("float")
            if not isinstance(rows, list):
                raise Unusable("it holds no vectors of numbers")
            return Reply(vectors_for(asked, rows), _embed_usage(body), known)
        return Reply(_chat_output(body), usage_of(body), known)

    def is_error(self, document: Any) -> bool:
        """A sentence where there should be a message of the model, or an error object."""
        if not is_object(document):
            return False
        return bool(document.get("error")) or isinstance(document.get("message"), str)

    def probe(self, target: Target) -> HttpRequest:
        """A list of models: free, and refused without a valid key."""
        headers = json_headers(target, "authorization", "Bearer ")
        return HttpRequest("GET", _url(target, "/v1/models?page_size=1"), headers)

    def events(self) -> CohereEvents:
        """Events of one answer."""
        return CohereEvents()


def _url(target: Target, path: str) -> str:
    return target.base_url.rstrip("/").removesuffix("/v2") + path


def _chat_body(asked: ChatInput, target: Target) -> dict[str, Any]:
    body: dict[str, Any] = {
        **(asked.extra or {}).get("cohere", {}),
        "model": target.model,
        "messages": [message_body(each) for each in asked.messages],
    }
    for turn in body["messages"]:
        if turn["role"] == "developer":
            turn["role"] = "system"
        if turn["content"] is None:
            del turn["content"]
    knobs = {
        "max_tokens": answer_limit(asked.max_tokens, target.max_output_tokens),
        "temperature": asked.temperature,
        "p": asked.top_p,
        "stop_sequences": asked.stop or None,
        "seed": asked.seed,
    }
    body.update((name, value) for name, value in knobs.items() if value is not None)
    if asked.json_schema is not None:
        body["response_format"] = {"type": "json_object", "json_schema": asked.json_schema}
    if asked.tools:
        body.update(_tools(asked))
    return body


def _tools(asked: ChatInput) -> dict[str, Any]:
    """The tools; it has no word for a certain one, so that one is all that it is given."""
    choice, tools = asked.tool_choice or "auto", asked.tools
    if choice not in ("auto", *_CHOICES):
        choice, tools = "required", tuple(each for each in tools if each.name == choice)
    listed: dict[str, Any] = {"tools": [tool_body(each) for each in tools]}
    return listed | ({"tool_choice": _CHOICES[choice]} if choice in _CHOICES else {})


def _embed_body(asked: EmbeddingInput, target: Target) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": target.model,
        "texts": asked.texts,
        "input_type": str(target.options.get("input_type", "search_document")),
        "embedding_types": ["float"],
    }
    return body | ({} if asked.dimensions is None else {"output_dimension": asked.dimensions})


def _chat_output(body: dict[str, Any]) -> ChatOutput:
    message = need_object(body.get("message"), "message")
    word = text_of(body.get("finish_reason"))
    if not word:
        raise Unusable("it has no finish_reason")
    if (failed := FINISH_FAILURES.get(word)) is not None:
        raise Unusable("it gave up within the answer", failed)
    finish = FINISH.get(word, "stop")
    text = content_text(message.get("content"))
    calls = tool_calls_of(message.get("tool_calls"), cut=finish == "length")
    return ChatOutput(text, settled_finish(finish, text, calls), calls)


def usage_of(body: dict[str, Any]) -> Usage | None:
    """Tokens of an answer; None when they are not reported, or not believable."""
    usage = body.get("usage")
    tokens = usage.get("tokens") if is_object(usage) else None
    if not is_object(usage) or not is_object(tokens):
        return None
    prompt, output = count(tokens.get("input_tokens")), count(tokens.get("output_tokens"))
    if prompt is None or output is None:
        return None
    return Usage(prompt, output, min(count(usage.get("cached_tokens")) or 0, prompt))


def _embed_usage(body: dict[str, Any]) -> Usage | None:
    meta = body.get("meta")
    billed = meta.get("billed_units") if is_object(meta) else None
    prompt = count(billed.get("input_tokens")) if is_object(billed) else None
    return None if prompt is None else Usage(prompt)


class CohereEvents:
    """One streamed answer: contents and calls that start and grow, then the end of the message."""

    rules: Rules = RULES

    def is_error(self, event: SseEvent, document: Any) -> bool:  # noqa: ARG002  its types are inside
        """A sentence instead of an event."""
        return is_object(document) and "type" not in document and "message" in document

    def is_end(self, event: SseEvent) -> bool:
        """`[DONE]`, which may follow the end of the message."""
        return event.data.strip() == b"[DONE]"

    def read(self, document: dict[str, Any], draft: Draft) -> list[Delta]:
        """One event; see `Dialect.read`. Types that nobody knows yet say nothing."""
        deltas: list[Delta] = []
        kind = document.get("type")
        if not isinstance(kind, str):
            raise Unusable("it is no event of an answer")
        if kind == "message-end":
            self._end(need_object(document.get("delta"), "delta"), draft, deltas)
        elif kind in ("content-start", "content-delta"):
            content = need_object(_message(document).get("content"), "content")
            if "thinking" in content:
                draft.begun = True
            else:
                draft.say(text_part(content), deltas)
        elif kind in ("tool-call-start", "tool-call-delta"):
            draft.call(_call(document), deltas)
        elif kind == "tool-plan-delta":
            draft.begun = True
        return deltas

    def _end(self, delta: dict[str, Any], draft: Draft, deltas: list[Delta]) -> None:
        word = text_of(delta.get("finish_reason"))
        if (failed := FINISH_FAILURES.get(word)) is not None:
            words = text_of(delta.get("error"))
            draft.failure = Unusable("it gave up within the answer", failed, words=words)
            return
        if not word:
            raise Unusable("it has no finish_reason")
        draft.finish = FINISH.get(word, "stop")
        draft.count(usage_of(delta), deltas)


def _message(document: dict[str, Any]) -> dict[str, Any]:
    delta = need_object(document.get("delta"), "delta")
    return need_object(delta.get("message"), "message")


def _call(document: dict[str, Any]) -> ToolCallDelta:
    index, call = document.get("index"), need_object(_message(document).get("tool_calls"), "a call")
    function = need_object(call.get("function"), "a function call")
    if type(index) is not int or not 0 <= index < CALLS_MAX:
        raise Unusable("a tool call has an impossible index")
    name, arguments = text_of(function.get("name")), text_of(function.get("arguments"))
    return ToolCallDelta(index, arguments, text_of(call.get("id")) or None, name or None)
