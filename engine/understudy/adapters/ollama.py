"""Ollama's own format: thinking, the window's size and the time that a model stays loaded.

Its OpenAI-compatible side (kind `ollama`) serves as well, where none of that is needed. Options of
a target (each optional): `body`, a mapping that is laid over every request body, for instance
`{"keep_alive": "5m", "think": false}`; `num_ctx`, the window's size in tokens; `errors`, a mapping
from a status to an error class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from understudy.adapters.base import Reply, Target
from understudy.adapters.body import Unusable, count, encode, is_object, need_object, text_of
from understudy.adapters.classify import Phrase, Rules
from understudy.adapters.family import StreamingFamily, body_of, laid_over, no_such_operation
from understudy.adapters.gemini_replies import vectors_for
from understudy.adapters.headers import json_headers, stream_headers
from understudy.adapters.lines import LineParser
from understudy.adapters.openai_replies import settled_finish, tool_calls_of
from understudy.adapters.openai_requests import answer_limit, tool_body
from understudy.adapters.openai_rules import CONTEXT_WORDS
from understudy.adapters.sse import SseEvent
from understudy.adapters.streaming import CALLS_MAX, Draft, Parser
from understudy.adapters.turns import (
    answered_id,
    arguments_of,
    call_names,
    is_system,
    picture,
    spoken,
)
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain import operation
from understudy_actors.domain.delta import Delta, ToolCallDelta
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import (
    ChatInput,
    EmbeddingInput,
    ImagePart,
    Message,
    Request,
    TextPart,
)
from understudy_actors.domain.result import ChatOutput, Usage

RULES: Final = Rules(
    codes={},
    types={},
    phrases=(
        Phrase(ErrorClass.OVERLOADED, frozenset({503}), ("busy", "maximum pending requests")),
        Phrase(ErrorClass.CONTEXT_LENGTH, frozenset({400}), CONTEXT_WORDS),
    ),
)
"""Its errors are a status and a sentence; a full queue is a 503."""

FINISH: Final = {"stop": "stop", "length": "length"}
NO_ANSWER: Final = frozenset({"load", "unload"})
"""Reasons to be done that come without an answer: the model was loaded, or thrown out."""


class OllamaAdapter(StreamingFamily):
    """Chat and embeddings in Ollama's format."""

    name = "ollama"
    operations: tuple[str, ...] = (operation.CHAT, operation.EMBEDDING)
    rules = RULES
    parser: Callable[[], Parser] = LineParser

    def compose(self, request: Request, target: Target, *, stream: bool) -> HttpRequest:
        """The HTTP request; see `Family.compose`."""
        asked = request.input
        if isinstance(asked, ChatInput):
            path, body = "/api/chat", {**_chat_body(asked, target), "stream": stream}
        elif isinstance(asked, EmbeddingInput):
            path, body = "/api/embed", {"model": target.model, "input": asked.texts}
            if asked.dimensions is not None:
                body["dimensions"] = asked.dimensions
        else:
            raise no_such_operation()
        headers = json_headers(target, "authorization", "Bearer ")
        if stream:
            headers = {**stream_headers(headers), "accept": "application/x-ndjson"}
        return HttpRequest("POST", _url(target, path), headers, encode(laid_over(body, target)))

    def read(self, request: Request, response: HttpResponse, document: Any) -> Reply:
        """The reply; see `Family.read`."""
        body, asked = body_of(document, response), request.input
        if isinstance(asked, EmbeddingInput):
            rows = body.get("embeddings")
            if not isinstance(rows, list):
                raise Unusable("it holds no vectors")
            prompt = count(body.get("prompt_eval_count"))
            return Reply(vectors_for(asked, rows), None if prompt is None else Usage(prompt))
        finish = _finish(body)
        message = need_object(body.get("message"), "message")
        text = _text(message)
        calls = tool_calls_of(message.get("tool_calls"), cut=False)
        return Reply(ChatOutput(text, settled_finish(finish, text, calls), calls), usage_of(body))

    def probe(self, target: Target) -> HttpRequest:
        """The models on its disk."""
        headers = json_headers(target, "authorization", "Bearer ")
        return HttpRequest("GET", _url(target, "/api/tags"), headers)

    def events(self) -> OllamaEvents:
        """Lines of one answer."""
        return OllamaEvents()


def _url(target: Target, path: str) -> str:
    return target.base_url.rstrip("/") + path


def _chat_body(asked: ChatInput, target: Target) -> dict[str, Any]:
    if asked.tool_choice not in (None, "auto", "none"):
        raise Unusable("this wire format cannot require a tool call", ErrorClass.BAD_REQUEST)
    names = call_names(asked.messages)
    list(spoken(asked.messages))  # for its complaint about roles
    body: dict[str, Any] = {
        **(asked.extra or {}).get("ollama", {}),
        "model": target.model,
        "messages": [_message(each, names) for each in asked.messages],
    }
    if asked.tools and asked.tool_choice != "none":
        body["tools"] = [tool_body(each) for each in asked.tools]
    if asked.json_schema is not None:
        body["format"] = asked.json_schema
    knobs = {
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "num_predict": answer_limit(asked.max_tokens, target.max_output_tokens),
        "num_ctx": target.options.get("num_ctx"),
        "seed": asked.seed,
        "stop": asked.stop or None,
    }
    if options := {name: value for name, value in knobs.items() if value is not None}:
        body["options"] = options
    return body


def _message(message: Message, names: dict[str, str]) -> dict[str, Any]:
    turn: dict[str, Any] = {
        "role": "system" if is_system(message) else message.role,
        "content": message.content,
    }
    if not isinstance(message.content, str):
        texts = [part.text for part in message.content if isinstance(part, TextPart)]
        turn["content"] = "\n\n".join(texts)
        images = [_image(part) for part in message.content if isinstance(part, ImagePart)]
        turn |= {"images": images} if images else {}
    if message.tool_calls:
        turn["tool_calls"] = [
            {"id": each.id, "function": {"name": each.name, "arguments": arguments_of(each)}}
            for each in message.tool_calls
        ]
    if message.role == "tool":
        call_id = answered_id(message)
        turn["tool_call_id"] = call_id
        if call_id in names:
            turn["tool_name"] = names[call_id]
    return turn


def _image(part: ImagePart) -> str:
    if (held := picture(part)) is None:
        why = "this wire format takes pictures in data URLs only"
        raise Unusable(why, ErrorClass.BAD_REQUEST)
    return held[1]


def _finish(body: dict[str, Any]) -> str:
    if body.get("done") is not True:
        raise Unusable("it is not done")
    reason = text_of(body.get("done_reason")) or "stop"
    if reason in NO_ANSWER:
        raise Unusable("it only loaded or unloaded the model", ErrorClass.OVERLOADED)
    return FINISH.get(reason, "stop")


def _text(message: dict[str, Any]) -> str:
    content = message.get("content", "")
    if not isinstance(content, str):
        raise Unusable("content is no text")
    return content


def usage_of(body: dict[str, Any]) -> Usage | None:
    """Tokens of an answer; None when they are not reported, or not believable.

    A prompt that it had in its cache is left out by old versions: then it counts as none.
    """
    prompt, output = count(body.get("prompt_eval_count", 0)), count(body.get("eval_count"))
    return None if prompt is None or output is None else Usage(prompt, output)


class OllamaEvents:
    """One streamed answer: a message in pieces, the last of which says that it is done."""

    rules: Rules = RULES

    def __init__(self) -> None:
        self._calls = 0

    def is_error(self, event: SseEvent, document: Any) -> bool:  # noqa: ARG002  they have no names
        """A line with an error, and nothing else."""
        return is_object(document) and bool(document.get("error"))

    def is_end(self, event: SseEvent) -> bool:  # noqa: ARG002  here the end is JSON as well
        """Never: the end is a line like all others."""
        return False

    def read(self, document: dict[str, Any], draft: Draft) -> list[Delta]:
        """One line; see `Dialect.read`."""
        deltas: list[Delta] = []
        message = need_object(document.get("message"), "message")
        text, calls = _text(message), _calls(message.get("tool_calls"), self._calls)
        if document.get("done") is True:
            try:
                draft.finish = _finish(document)
            except Unusable as problem:
                draft.failure = problem
                return deltas
            draft.ended = True
        if message.get("thinking"):
            draft.begun = True
        draft.say(text, deltas)
        for call in calls:
            draft.call(call, deltas)
        self._calls += len(calls)
        if draft.ended:
            draft.count(usage_of(document), deltas)
        return deltas


def _calls(listed: object, known: int) -> list[ToolCallDelta]:
    """Calls arrive whole."""
    calls = tool_calls_of(listed, cut=False)
    if known + len(calls) > CALLS_MAX:
        raise Unusable("one answer cannot have so many tool calls")
    return [
        ToolCallDelta(known + at, call.arguments, _own_id(listed, at), call.name)
        for at, call in enumerate(calls)
    ]


def _own_id(listed: object, at: int) -> str | None:
    """The id that a call came with; calls of later lines must not get the ids of earlier ones."""
    call = listed[at] if isinstance(listed, list) else None
    return (text_of(call.get("id")) or None) if is_object(call) else None
