"""The Anthropic Messages wire.

Options of a target (each optional): `drop_sampling` (true leaves out temperature and top_p, for
models that refuse them); `send_user` (false keeps `Request.user` here); `body`, a mapping that is
laid over every request body; `errors`, a mapping from an error type, code or status to an error
class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from understudy.adapters.anthropic_replies import message_output, message_usage
from understudy.adapters.anthropic_requests import messages_body
from understudy.adapters.anthropic_rules import ANTHROPIC_LIMITS, ANTHROPIC_RULES
from understudy.adapters.anthropic_stream import AnthropicEvents
from understudy.adapters.base import Reply, Target
from understudy.adapters.body import NOT_JSON, Unusable, decode, encode, need_object
from understudy.adapters.classify import Rules
from understudy.adapters.failure import response_failure, unusable
from understudy.adapters.headers import json_headers, request_id, stream_headers
from understudy.adapters.streaming import StreamReader
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain import operation
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ChatInput, Request

API_VERSION: Final = "2023-06-01"
"""The version that still takes temperature and top_p. The later one takes nothing that we send and
this one lacks, so one version serves every request; `Target.headers` may set another, and then the
two are left out."""

REQUEST_ID_HEADERS: Final = ("request-id", "x-request-id")


class AnthropicAdapter:
    """Chat in Anthropic's format."""

    operations: tuple[str, ...] = (operation.CHAT,)

    def __init__(self, name: str = "anthropic") -> None:
        self.name = name
        self.rules: Rules = ANTHROPIC_RULES
        self.limits = ANTHROPIC_LIMITS

    def build(self, request: Request, target: Target) -> HttpRequest:
        """The HTTP request; see `WireAdapter.build`."""
        try:
            body = _body(request, target)
            return HttpRequest("POST", _url(target, "messages"), _headers(target), encode(body))
        except Unusable as problem:
            error = unusable(target, None, problem)
        raise error

    def build_stream(self, request: Request, target: Target) -> HttpRequest:
        """The HTTP request that asks for a stream; see `StreamingAdapter.build_stream`."""
        try:
            body = encode({**_body(request, target), "stream": True})
            headers = stream_headers(_headers(target))
            return HttpRequest("POST", _url(target, "messages"), headers, body)
        except Unusable as problem:
            error = unusable(target, None, problem)
        raise error

    def reader(self, target: Target, headers: Mapping[str, str], wall_s: float) -> StreamReader:
        """What reads a streamed answer."""
        known = request_id(headers, REQUEST_ID_HEADERS)
        return StreamReader(AnthropicEvents(), target, headers, wall_s, request_id=known)

    def parse(
        self,
        request: Request,  # noqa: ARG002  one operation only
        target: Target,
        response: HttpResponse,
        wall_s: float,
    ) -> Reply:
        """The reply; see `WireAdapter.parse`."""
        document = decode(response.body) if 200 <= response.status < 300 else None
        if document is None or _is_error(document):
            raise response_failure(self.rules, target, response, wall_s)
        try:
            if document is NOT_JSON:
                empty = not response.body.strip()
                raise Unusable("the body is empty" if empty else "it is no JSON")
            body = need_object(document, "the body")
            known = request_id(response.headers, REQUEST_ID_HEADERS)
            return Reply(message_output(body), message_usage(body), known)
        except Unusable as problem:
            error = unusable(target, response.status, problem)
        raise error

    def check(self, target: Target) -> HttpRequest:
        """A list of models: free, and refused without a valid key.

        Raises:
            ProviderError: (AUTH) No header can carry the key.
        """
        try:
            return HttpRequest("GET", _url(target, "models?limit=1"), _headers(target))
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


def _url(target: Target, path: str) -> str:
    """The address of `path`; a base URL may end in the version or not."""
    return f"{target.base_url.rstrip('/').removesuffix('/v1')}/v1/{path}"


def _body(request: Request, target: Target) -> dict[str, Any]:
    if not isinstance(request.input, ChatInput):
        raise Unusable("this wire format has no such operation", ErrorClass.BAD_REQUEST)
    versions = [v for name, v in target.headers.items() if name.lower() == "anthropic-version"]
    sampling = versions in ([], [API_VERSION])
    body = messages_body(request, request.input, target, sampling=sampling)
    if isinstance(extra := target.options.get("body"), dict):
        body.update(extra)
    return body


def _headers(target: Target) -> dict[str, str]:
    headers = json_headers(target, "x-api-key")
    headers.setdefault("anthropic-version", API_VERSION)
    return headers


def _is_error(document: object) -> bool:
    """Is this body an error, whatever the status says?"""
    return isinstance(document, dict) and (
        document.get("type") == "error" or bool(document.get("error"))
    )
