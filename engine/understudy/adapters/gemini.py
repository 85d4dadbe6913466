"""The Gemini API (`generateContent`), as Google's developer platform serves it.

Options of a target (each optional): `body`, a mapping that is laid over every request body;
`errors`, a mapping from a code, status word or HTTP status to an error class.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from understudy.adapters.base import Reply, Target
from understudy.adapters.body import Unusable, encode, is_object, text_of
from understudy.adapters.classify import Rules
from understudy.adapters.family import StreamingFamily, body_of, laid_over, no_such_operation
from understudy.adapters.gemini_replies import (
    chat_output,
    embedding_output,
    fragment,
    image_output,
    usage_of,
)
from understudy.adapters.gemini_requests import draw_body, embed_body, generate_body
from understudy.adapters.gemini_rules import GEMINI_RULES
from understudy.adapters.headers import json_headers, stream_headers
from understudy.adapters.sse import SseEvent
from understudy.adapters.streaming import Draft
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain import operation
from understudy_actors.domain.delta import Delta, ToolCallDelta
from understudy_actors.domain.request import ChatInput, EmbeddingInput, ImageInput, Request

_ID_CHARS_MAX: Final = 128


class GeminiAdapter(StreamingFamily):
    """Chat, embeddings and pictures in Gemini's format."""

    name = "gemini"
    operations: tuple[str, ...] = (
        operation.CHAT,
        operation.EMBEDDING,
        operation.IMAGE,
        operation.IMAGE_EDIT,
    )
    rules = GEMINI_RULES

    def compose(self, request: Request, target: Target, *, stream: bool) -> HttpRequest:
        """The HTTP request; see `Family.compose`."""
        asked, verb = request.input, "generateContent"
        if isinstance(asked, ChatInput):
            body = generate_body(asked, target)
            verb = "streamGenerateContent?alt=sse" if stream else verb
        elif isinstance(asked, EmbeddingInput):
            verb, body = "batchEmbedContents", embed_body(asked, target)
        elif isinstance(asked, ImageInput):
            body = draw_body(asked)
        else:
            raise no_such_operation()
        url = f"{target.base_url.rstrip('/')}/models/{quote(target.model, safe='')}:{verb}"
        headers = json_headers(target, "x-goog-api-key")
        if stream:
            headers = stream_headers(headers)
        return HttpRequest("POST", url, headers, encode(laid_over(body, target)))

    def read(self, request: Request, response: HttpResponse, document: Any) -> Reply:
        """The reply; see `Family.read`."""
        body, asked = body_of(document, response), request.input
        known = text_of(body.get("responseId"))[:_ID_CHARS_MAX] or None
        if isinstance(asked, EmbeddingInput):
            return Reply(embedding_output(body, asked), None, known)
        if isinstance(asked, ImageInput):
            drawn = image_output(body)
            return Reply(drawn, usage_of(body, len(drawn.images)), known)
        return Reply(chat_output(body), usage_of(body), known)

    def is_error(self, document: Any) -> bool:
        """An error object, which a streaming address may wrap into a list."""
        return _is_error(document)

    def probe(self, target: Target) -> HttpRequest:
        """A list of models: free, and refused without a valid key."""
        url = f"{target.base_url.rstrip('/')}/models?pageSize=1"
        return HttpRequest("GET", url, json_headers(target, "x-goog-api-key"))

    def events(self) -> GeminiEvents:
        """Fragments of one answer."""
        return GeminiEvents()


class GeminiEvents:
    """One streamed answer: fragments of it, each a whole document; the last one has a reason."""

    rules: Rules = GEMINI_RULES

    def __init__(self) -> None:
        self._calls = 0

    def is_error(self, event: SseEvent, document: Any) -> bool:  # noqa: ARG002  they have no names
        """An error object."""
        return _is_error(document)

    def is_end(self, event: SseEvent) -> bool:  # noqa: ARG002  the body just ends
        """Never: the body ends after a finish reason."""
        return False

    def read(self, document: dict[str, Any], draft: Draft) -> list[Delta]:
        """One fragment; see `Dialect.read`. What a fragment refuses ends the answer."""
        deltas: list[Delta] = []
        try:
            said = fragment(document)
        except Unusable as problem:
            if not _final(document):
                raise
            draft.failure = problem
            return deltas
        draft.begun = draft.begun or said.thought
        draft.say(said.text, deltas)
        for call_id, name, arguments in said.calls:
            draft.call(ToolCallDelta(self._calls, arguments, call_id, name), deltas)
            self._calls += 1
        draft.finish = said.finish or draft.finish
        draft.count(usage_of(document), deltas)
        return deltas


def _final(document: dict[str, Any]) -> bool:
    """Does a fragment that cannot be used say that the answer is over?"""
    if document.get("promptFeedback"):
        return True
    candidates = document.get("candidates")
    listed = candidates if isinstance(candidates, list) else []
    return any(is_object(each) and each.get("finishReason") for each in listed)


def _is_error(document: object) -> bool:
    if isinstance(document, list) and document:
        document = document[0]
    return isinstance(document, dict) and bool(document.get("error"))
