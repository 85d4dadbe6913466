"""The Cohere wire format, version 2: success bodies, stream events and errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from understudy_sim.mock.openai import vector
from understudy_sim.mock.wire import Answer, Hint, Origin, Tokens, event, json_answer, pieces

# problem: (status, message)
_ERRORS: Final[dict[str, tuple[int, str]]] = {
    "auth": (401, "invalid api token"),
    "bad_request": (400, "invalid request"),
    "content_policy": (400, "the prompt was blocked by a content filter"),
    "context_length": (400, "too many tokens: the prompt cannot exceed 128000 tokens"),
    "credit_hard": (402, "Payment required"),
    "credit_quota": (429, "You are using a Trial key, which is limited to 1000 calls / month."),
    "method": (405, "method not allowed"),
    "model_not_found": (404, "model '{model}' not found, make sure the correct model ID was used"),
    "not_found": (404, "not found"),
    "overloaded": (503, "the service is overloaded"),
    "permission": (403, "you may not do this"),
    "rate_limit": (429, "You are past the per minute request limit, please wait."),
    "server": (500, "internal server error"),
    "timeout": (504, "gateway timeout"),
    "too_large": (413, "request too large"),
}
_REASONS: Final = {"stop": "COMPLETE", "length": "MAX_TOKENS"}


def chat(origin: Origin, text: str, tokens: Tokens | None, finish: str) -> Answer:
    """A whole answer."""
    message = {"role": "assistant", "content": [{"type": "text", "text": text}]}
    body = {"id": origin.request_id, "finish_reason": _REASONS[finish], "message": message}
    return json_answer({**body, **_usage(tokens)})


def chat_frames(origin: Origin, text: str, tokens: Tokens | None, finish: str) -> tuple[bytes, ...]:
    """The same as stream events."""
    start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    events: list[dict[str, Any]] = [
        {"type": "message-start", "id": origin.request_id, "delta": {"message": start}},
        _content("content-start", {"type": "text", "text": ""}),
        *(_content("content-delta", {"text": piece}) for piece in pieces(text)),
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": _REASONS[finish], **_usage(tokens)}},
    ]
    return tuple(event(each, each["type"]) for each in events)


def embeddings(
    origin: Origin,
    inputs: Sequence[str],
    dimensions: int,
    base64_: bool,  # noqa: ARG001  there is no such choice
    tokens: Tokens | None,
) -> Answer:
    """One vector for each input."""
    vectors = [vector(each, dimensions) for each in inputs]
    body: dict[str, Any] = {
        "id": origin.request_id,
        "texts": inputs,
        "embeddings": {"float": vectors},
        "response_type": "embeddings_by_type",
    }
    if tokens is not None:
        body["meta"] = {"billed_units": {"input_tokens": tokens.input}}
    return json_answer(body)


def models(origin: Origin, names: Sequence[str]) -> Answer:  # noqa: ARG001
    """The list of models."""
    return json_answer({"models": [{"name": name, "endpoints": ["chat"]} for name in names]})


def error(
    origin: Origin,
    problem: str,
    hint: Hint,
    *,
    message: str | None = None,
    status: int | None = None,
) -> Answer:
    """An error of the kind `problem`, with another status or message if given."""
    default, text = _ERRORS["content_policy" if problem == "image_moderation" else problem]
    said = message or text.replace("{model}", origin.model)
    body = {"id": origin.request_id, "message": said}
    return json_answer(body, status or default, hint.header(origin.wall_s))


def _content(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "index": 0, "delta": {"message": {"content": content}}}


def _usage(tokens: Tokens | None) -> dict[str, Any]:
    if tokens is None:
        return {}
    counts = {"input_tokens": tokens.input, "output_tokens": tokens.output}
    return {"usage": {"billed_units": counts, "tokens": counts, "cached_tokens": 0}}
