"""The Gemini wire format: success bodies, stream fragments and errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from understudy_sim.mock.openai import vector
from understudy_sim.mock.wire import Answer, Hint, Origin, Tokens, event, json_answer, pieces

# problem: (status, status word, message)
_ERRORS: Final[dict[str, tuple[int, str, str]]] = {
    "auth": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "bad_request": (400, "INVALID_ARGUMENT", "Invalid request."),
    "content_policy": (400, "INVALID_ARGUMENT", "The prompt was blocked."),
    "context_length": (
        400,
        "INVALID_ARGUMENT",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    ),
    "credit_hard": (402, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
    "credit_quota": (429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
    "method": (405, "INVALID_ARGUMENT", "Method not allowed."),
    "model_not_found": (404, "NOT_FOUND", "models/{model} is not found for API version v1beta."),
    "not_found": (404, "NOT_FOUND", "Not found."),
    "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "permission": (403, "PERMISSION_DENIED", "The caller does not have permission"),
    "rate_limit": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota."),
    "server": (500, "INTERNAL", "An internal error has occurred."),
    "timeout": (504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
    "too_large": (413, "INVALID_ARGUMENT", "Request payload size exceeds the limit."),
}
_REASONS: Final = {"stop": "STOP", "length": "MAX_TOKENS"}
_BLOCKED: Final = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
"""A prompt that is refused is a success without an answer."""


def chat(origin: Origin, text: str, tokens: Tokens | None, finish: str) -> Answer:
    """A whole answer."""
    return json_answer(_fragment(origin, text, tokens, _REASONS[finish]))


def chat_frames(origin: Origin, text: str, tokens: Tokens | None, finish: str) -> tuple[bytes, ...]:
    """The same as fragments; the last one has the reason."""
    said = pieces(text) or [""]
    frames = [event(_fragment(origin, piece, None, None)) for piece in said[:-1]]
    return (*frames, event(_fragment(origin, said[-1], tokens, _REASONS[finish])))


def embeddings(
    origin: Origin,  # noqa: ARG001  its vectors do not say who made them
    inputs: Sequence[str],
    dimensions: int,
    base64_: bool,  # noqa: ARG001  there is no such choice
    tokens: Tokens | None,  # noqa: ARG001  they are not told
) -> Answer:
    """One vector for each input."""
    return json_answer({"embeddings": [{"values": vector(each, dimensions)} for each in inputs]})


def models(origin: Origin, names: Sequence[str]) -> Answer:  # noqa: ARG001
    """The list of models."""
    methods = ["generateContent", "countTokens"]
    listed = [{"name": f"models/{n}", "supportedGenerationMethods": methods} for n in names]
    return json_answer({"models": listed})


def error(
    origin: Origin,
    problem: str,
    hint: Hint,
    *,
    message: str | None = None,
    status: int | None = None,
) -> Answer:
    """An error of the kind `problem`, with another status or message if given."""
    if problem in ("content_policy", "image_moderation"):
        return json_answer({**_BLOCKED, "responseId": origin.request_id})
    default, word, text = _ERRORS[problem]
    details: list[dict[str, Any]] = []
    if problem == "auth":
        details.append({"reason": "API_KEY_INVALID", "domain": "googleapis.com"})
    if hint.seconds is not None:
        details.append({"retryDelay": f"{math.ceil(hint.seconds)}s"})
    body: dict[str, Any] = {
        "code": status or default,
        "message": message or text.replace("{model}", origin.model),
        "status": word,
        "details": details,
    }
    return json_answer({"error": body}, status or default, hint.header(origin.wall_s))


def _fragment(
    origin: Origin, text: str, tokens: Tokens | None, reason: str | None
) -> dict[str, Any]:
    candidate: dict[str, Any] = {
        "content": {"parts": [{"text": text}], "role": "model"},
        "index": 0,
    }
    if reason is not None:
        candidate["finishReason"] = reason
    body: dict[str, Any] = {"candidates": [candidate], "modelVersion": origin.model}
    body["responseId"] = origin.request_id
    if tokens is not None:
        body["usageMetadata"] = {
            "promptTokenCount": tokens.input,
            "candidatesTokenCount": tokens.output,
            "totalTokenCount": tokens.input + tokens.output,
        }
    return body
