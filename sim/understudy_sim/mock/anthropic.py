"""The Anthropic wire format: success bodies, stream events and errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from understudy_sim.mock.wire import (
    Answer,
    Headers,
    Hint,
    Origin,
    Tokens,
    event,
    json_answer,
    pieces,
)

# problem: (status, type, message)
_ERRORS: Final[dict[str, tuple[int, str, str]]] = {
    "auth": (401, "authentication_error", "invalid x-api-key"),
    "bad_request": (400, "invalid_request_error", "Invalid request."),
    "content_policy": (
        400,
        "invalid_request_error",
        "Output blocked by content filtering policy",
    ),
    "context_length": (
        400,
        "invalid_request_error",
        "prompt is too long: 210000 tokens > 200000 maximum",
    ),
    "credit_hard": (402, "billing_error", "billing problem"),
    "credit_quota": (429, "rate_limit_error", "Monthly usage threshold crossed."),
    "method": (405, "invalid_request_error", "Method Not Allowed"),
    "model_not_found": (404, "not_found_error", "model: {model}"),
    "not_found": (404, "not_found_error", "Not Found"),
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "permission": (
        403,
        "permission_error",
        "Your API key does not have permission to use the specified resource.",
    ),
    "rate_limit": (429, "rate_limit_error", "This request would exceed your rate limit."),
    "server": (500, "api_error", "Internal server error"),
    "timeout": (504, "timeout_error", "Request timed out"),
    "too_large": (413, "request_too_large", "Request exceeds the maximum size"),
}
_STOP_REASONS: Final = {"stop": "end_turn", "length": "max_tokens"}
_LIMITED: Final = ("requests", "tokens", "input-tokens", "output-tokens")


def messages(origin: Origin, text: str, tokens: Tokens | None, finish: str) -> Answer:
    """A message."""
    message = _message(origin, _STOP_REASONS[finish])
    message["content"] = [{"type": "text", "text": text}]
    if tokens is not None:
        message["usage"] = _usage(tokens)
    return json_answer(message, headers=_id(origin))


def message_frames(
    origin: Origin, text: str, tokens: Tokens | None, finish: str
) -> tuple[bytes, ...]:
    """The same as stream events."""
    start, end = _message(origin, None), dict[str, Any]()
    if tokens is not None:
        start["usage"] = _usage(Tokens(tokens.input, 1))
        end["usage"] = {
            "input_tokens": tokens.input,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": tokens.output,
        }
    delta = {"stop_reason": _STOP_REASONS[finish], "stop_sequence": None, "stop_details": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
    ]
    for piece in pieces(text):
        part = {"type": "text_delta", "text": piece}
        events.append({"type": "content_block_delta", "index": 0, "delta": part})
    events += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": delta, **end},
        {"type": "message_stop"},
    ]
    return tuple(event(data, data["type"]) for data in events)


def models(origin: Origin, names: Sequence[str]) -> Answer:
    """The list of models."""
    data = [
        {
            "type": "model",
            "id": name,
            "display_name": name,
            "created_at": "2026-09-01T00:00:00Z",
            "lifecycle": "active",
            "line": None,
            "capabilities": None,
            "max_input_tokens": 1_000_000,
            "max_tokens": 128_000,
            "deprecated_at": None,
            "retires_at": None,
        }
        for name in names
    ]
    page = {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}
    return json_answer(page, headers=_id(origin))


def error(
    origin: Origin,
    problem: str,
    hint: Hint,
    *,
    message: str | None = None,
    status: int | None = None,
) -> Answer:
    """An error of the kind `problem`, with another status or message if given."""
    default, type_, text = _ERRORS[problem]
    inner: dict[str, Any] = {
        "type": type_,
        "message": message or text.replace("{model}", origin.model),
    }
    if problem == "credit_quota":
        inner["details"] = {"error_code": "enforced_spend_limit_reached"}
    headers = _id(origin) + hint.header(origin.wall_s)
    if problem == "rate_limit":
        headers += _rate_headers(hint, origin.wall_s)
    if problem == "overloaded":
        headers += (("x-should-retry", "true"),)
    body = {"type": "error", "error": inner, "request_id": origin.request_id}
    return json_answer(body, status or default, headers)


def _rate_headers(hint: Hint, wall_s: float) -> Headers:
    """Whoever does not say when to come back says nothing of its limits either."""
    headers: list[tuple[str, str]] = []
    if hint.seconds is None:
        return ()
    for name in _LIMITED:
        headers.append((f"anthropic-ratelimit-{name}-limit", str(hint.limit)))
        headers.append((f"anthropic-ratelimit-{name}-remaining", "0"))
        reset = datetime.fromtimestamp(math.ceil(wall_s + hint.seconds), UTC)
        text = reset.isoformat().replace("+00:00", "Z")
        headers.append((f"anthropic-ratelimit-{name}-reset", text))
    return tuple(headers)


def _message(origin: Origin, stop_reason: str | None) -> dict[str, Any]:
    return {
        "id": f"msg_{origin.provider}_{origin.n}",
        "type": "message",
        "role": "assistant",
        "model": origin.model,
        "content": [],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "stop_details": None,
    }


def _id(origin: Origin) -> Headers:
    return (("request-id", origin.request_id),)


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": tokens.output,
        "service_tier": "standard",
        "inference_geo": "global",
    }
