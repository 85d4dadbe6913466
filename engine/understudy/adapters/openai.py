"""The OpenAI wire, as OpenAI and every server compatible with it speaks it.

Options of a target (each optional): the fields of `Dialect`; `body`, a mapping that is laid over
every request body; `errors`, a mapping from a code or status to an error class, e.g.
`{"insufficient_quota": "rate_limit"}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from understudy.adapters.base import Reply, Target
from understudy.adapters.body import NOT_JSON, Unusable, decode, encode, need_object
from understudy.adapters.classify import Rules
from understudy.adapters.failure import response_failure, unusable
from understudy.adapters.headers import json_headers, request_id, stream_headers
from understudy.adapters.limits import RateHeaders
from understudy.adapters.multipart import form
from understudy.adapters.openai_replies import (
    chat_output,
    chat_usage,
    embedding_output,
    embedding_usage,
    image_output,
    image_usage,
)
from understudy.adapters.openai_requests import (
    Dialect,
    chat_body,
    continues,
    embedding_body,
    image_body,
    image_files,
)
from understudy.adapters.openai_rules import OPENAI_LIMITS, OPENAI_RULES
from understudy.adapters.openai_stream import OpenAIEvents
from understudy.adapters.streaming import StreamReader
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain import operation
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ChatInput, EmbeddingInput, ImageInput, Request

OPENAI_DIALECT: Final = Dialect(
    max_tokens_field="max_completion_tokens",
    send_user=True,
    strict=True,
    encoding_format="base64",
)
"""What OpenAI itself understands."""

REQUEST_ID_HEADERS: Final = (
    "x-request-id",
    "mistral-correlation-id",
    "x-ds-trace-id",
    "cf-ray",
)


class OpenAIAdapter:
    """Chat, embeddings and pictures in OpenAI's format."""

    operations: tuple[str, ...] = (
        operation.CHAT,
        operation.EMBEDDING,
        operation.IMAGE,
        operation.IMAGE_EDIT,
    )

    def __init__(
        self,
        name: str = "openai",
        dialect: Dialect = OPENAI_DIALECT,
        limits: RateHeaders = OPENAI_LIMITS,
    ) -> None:
        self.name = name
        self.rules: Rules = OPENAI_RULES
        self.limits = limits
        self._dialect = dialect

    def build(self, request: Request, target: Target) -> HttpRequest:
        """The HTTP request; see `WireAdapter.build`."""
        try:
            dialect = self._dialect_of(target)
            url, body = _url_and_body(request, target, dialect)
            headers = _headers(target, dialect)
            if isinstance(asked := request.input, ImageInput) and asked.images:
                headers["content-type"], packed = form(body, image_files(asked))
                return HttpRequest("POST", url, headers, packed)
            return HttpRequest("POST", url, headers, encode(body))
        except Unusable as problem:
            error = unusable(target, None, problem)
        raise error

    def parse(
        self, request: Request, target: Target, response: HttpResponse, wall_s: float
    ) -> Reply:
        """The reply; see `WireAdapter.parse`."""
        if not 200 <= response.status < 300:
            raise response_failure(self.rules, target, response, wall_s)
        document = decode(response.body)
        if isinstance(document, dict) and _is_error(document):
            raise response_failure(self.rules, target, response, wall_s)
        try:
            return _reply(request, document, response)
        except Unusable as problem:
            error = unusable(target, response.status, problem)
        raise error

    def build_stream(self, request: Request, target: Target) -> HttpRequest:
        """The HTTP request that asks for a stream; see `StreamingAdapter.build_stream`."""
        try:
            dialect = self._dialect_of(target)
            url, body = _url_and_body(request, target, dialect)
            body["stream"] = True
            if dialect.stream_usage:
                body["stream_options"] = {"include_usage": True}
            headers = stream_headers(_headers(target, dialect))
            return HttpRequest("POST", url, headers, encode(body))
        except Unusable as problem:
            error = unusable(target, None, problem)
        raise error

    def reader(self, target: Target, headers: Mapping[str, str], wall_s: float) -> StreamReader:
        """What reads a streamed answer."""
        known = request_id(headers, REQUEST_ID_HEADERS)
        return StreamReader(OpenAIEvents(), target, headers, wall_s, request_id=known)

    def check(self, target: Target) -> HttpRequest:
        """A list of models: free, and refused without a valid key.

        Raises:
            ProviderError: (AUTH) No header can carry the key.
        """
        try:
            dialect = self._dialect_of(target)
            return HttpRequest("GET", _check_url(target, dialect), _headers(target, dialect))
        except Unusable as problem:
            error = unusable(target, None, problem)
        raise error

    def check_failure(
        self, target: Target, response: HttpResponse, wall_s: float
    ) -> ProviderError | None:
        """What is wrong according to the answer to `check`; None if nothing is."""
        if 200 <= response.status < 300:
            return None
        return response_failure(self.rules, target, response, wall_s)

    def _dialect_of(self, target: Target) -> Dialect:
        dialect = self._dialect
        own = {k: v for k, v in target.options.items() if k in Dialect.__struct_fields__}
        return msgspec.structs.replace(dialect, **own) if own else dialect


def _url_and_body(request: Request, target: Target, dialect: Dialect) -> tuple[str, dict[str, Any]]:
    """Where a request goes, and what it says.

    Raises:
        Unusable: This format cannot express it.
    """
    asked, base = request.input, target.base_url.rstrip("/")
    if isinstance(asked, ChatInput):
        if dialect.prefix_path and continues(asked):
            base = base.removesuffix("/v1").removesuffix(dialect.prefix_path) + dialect.prefix_path
        path, body = "/chat/completions", chat_body(request, asked, target, dialect)
    elif isinstance(asked, EmbeddingInput):
        path, body = "/embeddings", embedding_body(request, asked, target, dialect)
    elif isinstance(asked, ImageInput):
        path = "/images/edits" if asked.images else "/images/generations"
        body = image_body(request, asked, target, dialect)
    else:
        raise Unusable("this wire format has no such operation", ErrorClass.BAD_REQUEST)
    if isinstance(extra := target.options.get("body"), dict):
        body.update(extra)
    if dialect.model_path:
        base += dialect.model_path.replace("{model}", quote(target.model, safe=""))
    return _asking(base + path, dialect), body


def _check_url(target: Target, dialect: Dialect) -> str:
    base = target.base_url.rstrip("/")
    if dialect.check_path:
        return _asking(base.removesuffix("/v1") + dialect.check_path, dialect)
    return _asking(base + "/models", dialect)


def _asking(url: str, dialect: Dialect) -> str:
    return f"{url}?{dialect.query}" if dialect.query else url


def _headers(target: Target, dialect: Dialect) -> dict[str, str]:
    return json_headers(target, dialect.key_header, dialect.key_prefix)


def _is_error(document: dict[str, Any]) -> bool:
    """Is this body an error, whatever the status says?"""
    return bool(document.get("error")) or document.get("object") == "error"


def _reply(request: Request, document: object, response: HttpResponse) -> Reply:
    if document is NOT_JSON:
        raise Unusable("the body is empty" if not response.body.strip() else "it is no JSON")
    body, asked = need_object(document, "the body"), request.input
    known = request_id(response.headers, REQUEST_ID_HEADERS)
    if isinstance(asked, EmbeddingInput):
        return Reply(embedding_output(body, asked), embedding_usage(body), known)
    if isinstance(asked, ImageInput):
        drawn = image_output(body, asked.output_format)
        return Reply(drawn, image_usage(body, len(drawn.images)), known)
    return Reply(chat_output(body), chat_usage(body), known)
