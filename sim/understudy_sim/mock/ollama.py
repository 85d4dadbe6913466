"""Ollama's wire format: success bodies, lines of a stream and errors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from understudy_sim.mock.openai import vector
from understudy_sim.mock.wire import Answer, Hint, Origin, Tokens, json_answer, pieces

# problem: (status, message)
_ERRORS: Final[dict[str, tuple[int, str]]] = {
    "auth": (401, "unauthorized"),
    "bad_request": (400, "invalid request"),
    "content_policy": (400, "the prompt was refused"),
    "context_length": (400, "the prompt exceeds the available context size"),
    "credit_hard": (402, "payment required"),
    "credit_quota": (402, "payment required"),
    "method": (405, "method not allowed"),
    "model_not_found": (404, "model '{model}' not found"),
    "not_found": (404, "404 page not found"),
    "overloaded": (503, "server busy, please try again. maximum pending requests exceeded"),
    "permission": (403, "forbidden"),
    "rate_limit": (429, "too many requests"),
    "server": (500, "an error was encountered while running the model"),
    "timeout": (504, "timed out waiting for the runner to start"),
    "too_large": (413, "request too large"),
}


def chat(origin: Origin, text: str, tokens: Tokens | None, finish: str) -> Answer:
    """A whole answer."""
    return json_answer({**_message(origin, text), **_end(tokens, finish)})


def chat_frames(origin: Origin, text: str, tokens: Tokens | None, finish: str) -> tuple[bytes, ...]:
    """The same as lines."""
    lines = [{**_message(origin, piece), "done": False} for piece in pieces(text)]
    lines.append({**_message(origin, ""), **_end(tokens, finish)})
    return tuple(msgspec.json.encode(line) + b"\n" for line in lines)


def embeddings(
    origin: Origin,
    inputs: Sequence[str],
    dimensions: int,
    base64_: bool,  # noqa: ARG001  there is no such choice
    tokens: Tokens | None,
) -> Answer:
    """One vector for each input."""
    vectors = [vector(each, dimensions) for each in inputs]
    body: dict[str, Any] = {"model": origin.model, "embeddings": vectors}
    return json_answer(body | ({} if tokens is None else {"prompt_eval_count": tokens.input}))


def models(origin: Origin, names: Sequence[str]) -> Answer:  # noqa: ARG001
    """The models on its disk."""
    return json_answer({"models": [{"name": name, "model": name} for name in names]})


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
    body = {"error": message or text.replace("{model}", origin.model)}
    return json_answer(body, status or default, hint.header(origin.wall_s))


def _message(origin: Origin, text: str) -> dict[str, Any]:
    at = datetime.fromtimestamp(origin.wall_s, UTC).isoformat().replace("+00:00", "Z")
    message = {"role": "assistant", "content": text}
    return {"model": origin.model, "created_at": at, "message": message}


def _end(tokens: Tokens | None, finish: str) -> dict[str, Any]:
    end: dict[str, Any] = {"done": True, "done_reason": finish, "total_duration": 1_000_000}
    if tokens is not None:
        end |= {"prompt_eval_count": tokens.input, "eval_count": tokens.output}
    return end
