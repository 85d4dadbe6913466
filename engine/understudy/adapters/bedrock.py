"""AWS Bedrock's Converse API, with an API key (`AWS_BEARER_TOKEN_BEDROCK`) in place of a signature.

Options of a target (each optional): `body`, a mapping that is laid over every request body;
`errors`, a mapping from an error's name or status to an error class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import msgspec

from understudy.adapters.aws_frames import FrameParser, named
from understudy.adapters.base import Reply, Target
from understudy.adapters.bedrock_requests import converse_body
from understudy.adapters.body import (
    Unusable,
    count,
    encode,
    is_object,
    need_object,
    need_text,
    text_of,
)
from understudy.adapters.classify import Phrase, Rules
from understudy.adapters.family import StreamingFamily, body_of, laid_over, no_such_operation
from understudy.adapters.headers import json_headers, request_id, stream_headers
from understudy.adapters.openai_replies import settled_finish, text_part
from understudy.adapters.openai_rules import CONTEXT_WORDS
from understudy.adapters.sse import SseEvent
from understudy.adapters.streaming import CALLS_MAX, Draft, Parser
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain import operation
from understudy_actors.domain.delta import Delta, ToolCallDelta
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ChatInput, Request, ToolCall
from understudy_actors.domain.result import ChatOutput, Usage

RULES: Final = Rules(
    codes={
        "accessdeniedexception": ErrorClass.PERMISSION,
        "unrecognizedclientexception": ErrorClass.AUTH,
        "expiredtokenexception": ErrorClass.AUTH,
        "throttlingexception": ErrorClass.RATE_LIMIT,
        "servicequotaexceededexception": ErrorClass.QUOTA,
        "resourcenotfoundexception": ErrorClass.MODEL_NOT_FOUND,
        "modeltimeoutexception": ErrorClass.TIMEOUT,
        "modelnotreadyexception": ErrorClass.OVERLOADED,
        "modelerrorexception": ErrorClass.SERVER,
        "modelstreamerrorexception": ErrorClass.SERVER,
        "serviceunavailableexception": ErrorClass.OVERLOADED,
        "internalserverexception": ErrorClass.SERVER,
    },
    types={},
    phrases=(
        Phrase(
            ErrorClass.MODEL_NOT_FOUND,
            frozenset({400}),
            ("provided model identifier is invalid",),
        ),
        Phrase(ErrorClass.CONTEXT_LENGTH, frozenset({400}), CONTEXT_WORDS),
    ),
)
"""Names of errors in lower case; a ValidationException may mean anything, so its words count."""

FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
FINISH_FAILURES: Final = frozenset({"malformed_model_output", "malformed_tool_use"})
_NAMED: Final = "x-amzn-errortype"
_OK: Final = {"text": "ok"}


class BedrockAdapter(StreamingFamily):
    """Chat in Bedrock's format."""

    name = "bedrock"
    operations: tuple[str, ...] = (operation.CHAT,)
    rules = RULES
    request_ids: tuple[str, ...] = ("x-amzn-requestid",)
    forgiven = frozenset({ErrorClass.BAD_REQUEST})  # a model that cannot count has a good key
    parser: Callable[[], Parser] = FrameParser

    def compose(self, request: Request, target: Target, *, stream: bool) -> HttpRequest:
        """The HTTP request; see `Family.compose`."""
        if not isinstance(asked := request.input, ChatInput):
            raise no_such_operation()
        verb = "converse-stream" if stream else "converse"
        url = _url(target, verb)
        headers = json_headers(target, "authorization", "Bearer ")
        if stream:
            headers = {**stream_headers(headers), "accept": "application/vnd.amazon.eventstream"}
        body = laid_over(converse_body(asked, target), target)
        return HttpRequest("POST", url, headers, encode(body))

    def read(self, request: Request, response: HttpResponse, document: Any) -> Reply:  # noqa: ARG002  one operation
        """The reply; see `Family.read`."""
        body = body_of(document, response)
        message = need_object(need_object(body.get("output"), "output").get("message"), "message")
        finish = _finish(need_text(body.get("stopReason"), "stopReason"))
        content = message.get("content")
        if not isinstance(content, list):
            raise Unusable("content is no list")
        blocks = [need_object(block, "a content block") for block in content]
        text = "".join(text_part(block) for block in blocks if "text" in block)
        calls = tuple(_call(block["toolUse"]) for block in blocks if "toolUse" in block)
        output = ChatOutput(text, settled_finish(finish, text, calls), calls)
        return Reply(output, usage_of(body), request_id(response.headers, self.request_ids))

    def is_error(self, document: Any) -> bool:
        """A sentence instead of an answer."""
        if not is_object(document):
            return False
        return bool(document.get("error")) or ("message" in document and "output" not in document)

    def parse(
        self, request: Request, target: Target, response: HttpResponse, wall_s: float
    ) -> Reply:
        """The reply; see `WireAdapter.parse`. The name of an error stands in a header."""
        return super().parse(request, target, _with_name(response), wall_s)

    def probe(self, target: Target) -> HttpRequest:
        """Counting tokens: free, and refused without a valid key. Models are listed elsewhere."""
        url = _url(target, "count-tokens")
        asked = {"input": {"converse": {"messages": [{"role": "user", "content": [_OK]}]}}}
        return HttpRequest(
            "POST", url, json_headers(target, "authorization", "Bearer "), encode(asked)
        )

    def check_failure(
        self, target: Target, response: HttpResponse, wall_s: float
    ) -> ProviderError | None:
        """What is wrong according to the answer to `check`; None if nothing is."""
        return super().check_failure(target, _with_name(response), wall_s)

    def events(self) -> BedrockEvents:
        """Frames of one answer."""
        return BedrockEvents()


def _url(target: Target, verb: str) -> str:
    return f"{target.base_url.rstrip('/')}/model/{quote(target.model, safe='')}/{verb}"


def _with_name(response: HttpResponse) -> HttpResponse:
    """An error with its name in its body, where all others have theirs."""
    name = response.headers.get(_NAMED, "").partition(":")[0]
    if not name or 200 <= response.status < 300:
        return response
    return HttpResponse(response.status, response.headers, named(name, response.body))


def _finish(word: str) -> str:
    if word in FINISH_FAILURES:
        raise Unusable("it gave up within the answer", ErrorClass.SERVER)
    return FINISH.get(word, "stop")


def _call(use: object) -> ToolCall:
    call = need_object(use, "a tool call")
    arguments = need_object(call.get("input"), "a tool's input")
    return ToolCall(
        need_text(call.get("toolUseId"), "a tool call's id"),
        need_text(call.get("name"), "a tool's name"),
        msgspec.json.encode(arguments).decode(),
    )


def usage_of(body: dict[str, Any]) -> Usage | None:
    """Tokens of an answer; None when they are not reported, or not believable.

    What the cache held or took up is counted beside `inputTokens`; ours are inclusive.
    """
    usage = body.get("usage")
    if not is_object(usage):
        return None
    fresh, output = count(usage.get("inputTokens")), count(usage.get("outputTokens"))
    if fresh is None or output is None:
        return None
    read = count(usage.get("cacheReadInputTokens")) or 0
    written = count(usage.get("cacheWriteInputTokens")) or 0
    if (total := count(fresh + read + written)) is None:
        return None
    return Usage(total, output, read, cache_write_tokens=written)


class BedrockEvents:
    """One streamed answer: blocks that start, grow and stop, the reason, then the token counts."""

    rules: Rules = RULES

    def __init__(self) -> None:
        self._calls: dict[int, int] = {}  # a tool's block to its number among the calls

    def is_error(self, event: SseEvent, document: Any) -> bool:
        """An exception, or a sentence instead of an event."""
        sentence = is_object(document) and "message" in document
        return event.name.lower().endswith(("exception", "error")) or sentence

    def is_end(self, event: SseEvent) -> bool:  # noqa: ARG002  here the end is JSON as well
        """Never: the token counts come last, and are an event like all others."""
        return False

    def read(self, document: dict[str, Any], draft: Draft) -> list[Delta]:
        """One frame; see `Dialect.read`. Kinds that nobody knows yet say nothing."""
        deltas: list[Delta] = []
        if "stopReason" in document:
            self._stop(need_text(document["stopReason"], "stopReason"), draft)
        elif "usage" in document:
            draft.count(usage_of(document), deltas)
        elif "start" in document:
            self._start(document, draft, deltas)
        elif "delta" in document:
            self._grow(document, draft, deltas)
        return deltas

    def _stop(self, word: str, draft: Draft) -> None:
        try:
            draft.finish = _finish(word)
        except Unusable as problem:
            draft.failure = problem

    def _start(self, document: dict[str, Any], draft: Draft, deltas: list[Delta]) -> None:
        start = need_object(document["start"], "start")
        if "toolUse" not in start:
            return
        call, index = need_object(start["toolUse"], "a tool call"), len(self._calls)
        block = _block(document)
        if index >= CALLS_MAX:
            raise Unusable("one answer cannot have so many tool calls")
        call_id, name = text_of(call.get("toolUseId")), text_of(call.get("name"))
        self._calls[block] = index
        draft.call(ToolCallDelta(index, "", call_id or None, name or None), deltas)

    def _grow(self, document: dict[str, Any], draft: Draft, deltas: list[Delta]) -> None:
        delta = need_object(document["delta"], "delta")
        if "text" in delta:
            draft.say(text_part(delta), deltas)
        elif "toolUse" in delta:
            index = self._calls.get(_block(document))
            if index is None:
                raise Unusable("a tool call grows that never began")
            piece = text_of(need_object(delta["toolUse"], "a tool call").get("input"))
            draft.call(ToolCallDelta(index, piece), deltas)
        elif "reasoningContent" in delta:
            draft.begun = True


def _block(document: dict[str, Any]) -> int:
    index = document.get("contentBlockIndex")
    if type(index) is not int:
        raise Unusable("an event names no block")
    return index
