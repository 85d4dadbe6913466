"""The OpenAI wire format: success bodies, stream frames and errors."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Sequence
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

_PNG: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)

# problem: (status, type, param, code, message)
_ERRORS: Final[dict[str, tuple[int, str, str | None, str | None, str]]] = {
    "auth": (401, "invalid_request_error", None, "invalid_api_key", "Incorrect API key provided."),
    "bad_request": (400, "invalid_request_error", None, "invalid_value", "Invalid request."),
    "content_policy": (
        400,
        "invalid_request_error",
        None,
        "content_policy_violation",
        "Your request was rejected as a result of our safety system.",
    ),
    "context_length": (
        400,
        "invalid_request_error",
        "messages",
        "context_length_exceeded",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in "
        "9001 tokens.",
    ),
    "credit_hard": (402, "unknown_error", None, "invalid_request_error", "Insufficient Balance"),
    "credit_quota": (
        429,
        "insufficient_quota",
        None,
        "insufficient_quota",
        "You exceeded your current quota.",
    ),
    "headers": (
        431,
        "invalid_request_error",
        None,
        "headers_too_large",
        "Request header fields too large.",
    ),
    "image_moderation": (
        400,
        "image_generation_user_error",
        None,
        "moderation_blocked",
        "Your request was rejected by the safety system.",
    ),
    "method": (405, "invalid_request_error", None, "method_not_supported", "Not allowed method."),
    "model_not_found": (
        404,
        "invalid_request_error",
        None,
        "model_not_found",
        "The model `{model}` does not exist or you do not have access to it.",
    ),
    "not_found": (404, "invalid_request_error", None, "unknown_url", "Invalid URL."),
    "overloaded": (
        503,
        "service_unavailable_error",
        None,
        "server_is_overloaded",
        "The engine is currently overloaded.",
    ),
    "permission": (403, "request_forbidden", None, None, "You may not do this."),
    "rate_limit": (429, "requests", None, "rate_limit_exceeded", "Rate limit reached for requests"),
    "server": (
        500,
        "server_error",
        None,
        None,
        "The server had an error while processing your request.",
    ),
    "timeout": (504, "server_error", None, None, "The request timed out."),
    "too_large": (413, "invalid_request_error", None, "request_too_large", "Request too large."),
}


def chat(origin: Origin, text: str, tokens: Tokens | None, finish: str) -> Answer:
    """A chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    message["annotations"] = []
    body: dict[str, Any] = {
        **_envelope(origin, "chat.completion"),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "service_tier": "default",
        "system_fingerprint": "fp_mock",
    }
    if tokens is not None:
        body["usage"] = _usage(tokens)
    return json_answer(body, headers=_id(origin))


def chat_frames(origin: Origin, text: str, tokens: Tokens | None, finish: str) -> tuple[bytes, ...]:
    """The same as stream frames; the usage frame only if `tokens` are given."""
    head = {**_envelope(origin, "chat.completion.chunk"), "system_fingerprint": "fp_mock"}
    usage: dict[str, Any] = {} if tokens is None else {"usage": None}

    def frame(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return event({**head, "choices": [choice], **usage})

    frames = [frame({"role": "assistant", "content": "", "refusal": None})]
    frames += [frame({"content": piece}) for piece in pieces(text)]
    frames.append(frame({}, finish))
    if tokens is not None:
        frames.append(event({**head, "choices": [], "usage": _usage(tokens)}))
    return (*frames, b"data: [DONE]\n\n")


def embeddings(
    origin: Origin, inputs: Sequence[str], dimensions: int, base64_: bool, tokens: Tokens | None
) -> Answer:
    """One vector of unit-bounded numbers for each input: equal texts have equal vectors."""
    data = [
        {"object": "embedding", "index": index, "embedding": vector(text, dimensions, base64_)}
        for index, text in enumerate(inputs)
    ]
    body: dict[str, Any] = {"object": "list", "data": data, "model": origin.model}
    if tokens is not None:
        body["usage"] = {"prompt_tokens": tokens.input, "total_tokens": tokens.input}
    return json_answer(body, headers=_id(origin))


def images(origin: Origin, n: int, options: dict[str, str], tokens: Tokens | None) -> Answer:
    """`n` images of one pixel."""
    body: dict[str, Any] = {
        "created": int(origin.wall_s),
        **options,
        "data": [{"b64_json": _PNG} for _ in range(n)],
    }
    if tokens is not None:
        body["usage"] = {
            "input_tokens": tokens.input,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": tokens.input},
            "output_tokens": tokens.output,
            "total_tokens": tokens.input + tokens.output,
            "output_tokens_details": {"image_tokens": tokens.output, "text_tokens": 0},
        }
    return json_answer(body, headers=_id(origin))


def models(origin: Origin, names: Sequence[str]) -> Answer:
    """The list of models."""
    data = [
        {"id": name, "object": "model", "created": 1_773_700_000, "owned_by": "system"}
        for name in names
    ]
    return json_answer({"object": "list", "data": data}, headers=_id(origin))


def error(
    origin: Origin,
    problem: str,
    hint: Hint,
    *,
    message: str | None = None,
    status: int | None = None,
) -> Answer:
    """An error of the kind `problem`, with another status or message if given."""
    default, type_, param, code, text = _ERRORS[problem]
    text = message or text.replace("{model}", origin.model)
    body = {"error": {"message": text, "type": type_, "param": param, "code": code}}
    headers = _id(origin) + hint.header(origin.wall_s)
    if problem == "rate_limit":
        headers += _rate_headers(hint)
    return json_answer(body, status or default, headers)


def _rate_headers(hint: Hint) -> Headers:
    """Whoever does not say when to come back says nothing of its limits either."""
    if hint.seconds is None:
        return ()
    headers: Headers = (
        ("x-ratelimit-limit-requests", str(hint.limit)),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-limit-tokens", "800000"),
        ("x-ratelimit-remaining-tokens", "799986"),
    )
    milliseconds = round(hint.seconds * 1000)
    headers += (("x-ratelimit-reset-requests", f"{milliseconds}ms"),)
    headers += (("x-ratelimit-reset-tokens", "1ms"),)
    return headers if hint.as_date else (*headers, ("retry-after-ms", str(milliseconds)))


def _envelope(origin: Origin, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{origin.provider}-{origin.n}",
        "object": kind,
        "created": int(origin.wall_s),
        "model": origin.model,
    }


def _id(origin: Origin) -> Headers:
    return (("x-request-id", origin.request_id),)


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def vector(text: str, dimensions: int, base64_: bool = False) -> list[float] | str:
    """A vector for `text`: equal texts have equal ones."""
    digest = hashlib.shake_256(text.encode()).digest(4 * dimensions)
    numbers = [word / 2**31 - 1 for word in struct.unpack(f"<{dimensions}I", digest)]
    packed = struct.pack(f"<{dimensions}f", *numbers)
    if base64_:
        return base64.b64encode(packed).decode()
    return list(struct.unpack(f"<{dimensions}f", packed))
