"""Cloudflare Workers AI in its own format: chat and pictures of models that have no other side.

Its OpenAI-compatible side (kind `cloudflare`) serves most models for chat and embeddings. Options
of a target (each optional): `body`, a mapping that is laid over every request body; `errors`, a
mapping from a code or status to an error class.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from understudy.adapters.base import Reply, Target
from understudy.adapters.body import Unusable, encode, is_object, need_object, need_text
from understudy.adapters.classify import Rules
from understudy.adapters.family import StreamingFamily, body_of, laid_over, no_such_operation
from understudy.adapters.headers import json_headers, request_id, stream_headers
from understudy.adapters.openai_replies import (
    chat_output,
    chat_usage,
    image_of,
    settled_finish,
    tool_calls_of,
)
from understudy.adapters.openai_requests import Dialect, chat_body
from understudy.adapters.openai_rules import OPENAI_RULES
from understudy.adapters.pictures import only_drawn, only_one, picture_of, size_of
from understudy.adapters.sse import SseEvent
from understudy.adapters.streaming import Draft
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain import operation
from understudy_actors.domain.delta import Delta
from understudy_actors.domain.request import ChatInput, ImageInput, Request
from understudy_actors.domain.result import ChatOutput, ImageOutput, Usage

_DIALECT: Final = Dialect(stream_usage=False)


class CloudflareAdapter(StreamingFamily):
    """Chat and pictures in Cloudflare's format."""

    name = "cloudflare"
    operations: tuple[str, ...] = (operation.CHAT, operation.IMAGE)
    rules = OPENAI_RULES
    request_ids: tuple[str, ...] = ("cf-ai-req-id", "cf-ray")

    def compose(self, request: Request, target: Target, *, stream: bool) -> HttpRequest:
        """The HTTP request; see `Family.compose`."""
        asked = request.input
        if isinstance(asked, ChatInput):
            body = chat_body(request, asked, target, _DIALECT)
            del body["model"]
            body["stream"] = stream
        elif isinstance(asked, ImageInput):
            body = _image_body(asked)
        else:
            raise no_such_operation()
        headers = json_headers(target, "authorization", "Bearer ")
        if stream:
            headers = stream_headers(headers)
        url = f"{_root(target)}/run/{quote(target.model, safe='@/')}"
        return HttpRequest("POST", url, headers, encode(laid_over(body, target)))

    def read(self, request: Request, response: HttpResponse, document: Any) -> Reply:
        """The reply; see `Family.read`."""
        known = request_id(response.headers, self.request_ids)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if isinstance(request.input, ImageInput):
            if kind.startswith("image/"):
                drawn = picture_of(response.body, kind)
                return Reply(ImageOutput((drawn,)), Usage(images=1), known)
            result = _result(body_of(document, response))
            drawn = image_of(need_text(result.get("image"), "a picture"), "image/png")
            return Reply(ImageOutput((drawn,)), Usage(images=1), known)
        result = _result(body_of(document, response))
        if "choices" in result:  # newer models answer in OpenAI's format, within its envelope
            return Reply(chat_output(result), chat_usage(result), known)
        return Reply(_chat_output(result), chat_usage(result), known)

    def is_error(self, document: Any) -> bool:
        """An envelope that says that it failed."""
        return _is_error(document)

    def probe(self, target: Target) -> HttpRequest:
        """A list of models: free, and refused without a valid key."""
        headers = json_headers(target, "authorization", "Bearer ")
        return HttpRequest("GET", f"{_root(target)}/models/search?per_page=1", headers)

    def events(self) -> CloudflareEvents:
        """Pieces of one answer."""
        return CloudflareEvents()


def _root(target: Target) -> str:
    return target.base_url.rstrip("/").removesuffix("/v1")


def _image_body(asked: ImageInput) -> dict[str, Any]:
    only_one(asked)
    only_drawn(asked)
    body: dict[str, Any] = {"prompt": asked.prompt}
    if (size := size_of(asked)) is not None:
        body["width"], body["height"] = size
    return body


def _result(body: dict[str, Any]) -> dict[str, Any]:
    if body.get("success") is not True:
        raise Unusable("it does not say that it succeeded")
    return need_object(body.get("result"), "result")


def _chat_output(result: dict[str, Any]) -> ChatOutput:
    text = result.get("response")
    if is_object(text):  # an answer to a JSON schema comes decoded
        text = encode(text).decode()
    text = "" if text is None else text
    if not isinstance(text, str):
        raise Unusable("response is no text")
    listed = result.get("tool_calls")
    if isinstance(listed, list):  # it names and argues without a `function` around both
        listed = [
            {"function": each} if is_object(each) and "function" not in each else each
            for each in listed
        ]
    calls = tool_calls_of(listed, cut=False)
    return ChatOutput(text, settled_finish("stop", text, calls), calls)


def _is_error(document: object) -> bool:
    if not isinstance(document, dict):
        return False
    failed = document.get("success") is False or bool(document.get("errors"))
    return failed or bool(document.get("error"))


class CloudflareEvents:
    """One streamed answer: pieces of text, the counts near the end, then `[DONE]`."""

    rules: Rules = OPENAI_RULES

    def is_error(self, event: SseEvent, document: Any) -> bool:  # noqa: ARG002  they have no names
        """An envelope that says that it failed."""
        return _is_error(document)

    def is_end(self, event: SseEvent) -> bool:
        """`[DONE]`."""
        return event.data.strip() == b"[DONE]"

    def read(self, document: dict[str, Any], draft: Draft) -> list[Delta]:
        """One piece; see `Dialect.read`."""
        deltas: list[Delta] = []
        text = document.get("response", "")
        if not isinstance(text, str):
            raise Unusable("response is no text")
        draft.say(text, deltas)
        draft.count(chat_usage(document), deltas)
        return deltas
