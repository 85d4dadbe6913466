"""Refuses what nobody could serve, before anything is stamped, asked or spent."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any, Final

from understudy_actors.domain.errors import InvalidRequest
from understudy_actors.domain.request import (
    ChatInput,
    CustomInput,
    EmbeddingInput,
    ImageInput,
    Request,
)

ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool"})
TEMPERATURE_MAX: Final = 2.0


def validate(request: Request, operations: Collection[str], strategies: Collection[str]) -> None:
    """Check a request against what the engine offers.

    Raises:
        InvalidRequest: The message names the field, its value and what would be right.
    """
    if request.operation not in operations:
        raise _invalid("operation", request.operation, f"one of {', '.join(sorted(operations))}")
    if request.strategy is not None and request.strategy not in strategies:
        raise _invalid("strategy", request.strategy, f"one of {', '.join(sorted(strategies))}")
    if request.timeout_s is not None:
        _positive("timeout_s", request.timeout_s, "seconds > 0")
    if request.max_cost_usd is not None:
        _not_negative("max_cost_usd", request.max_cost_usd, "USD >= 0")
    if request.max_attempts is not None and request.max_attempts < 1:
        raise _invalid("max_attempts", request.max_attempts, "an integer >= 1")
    if request.output_tokens is not None and request.output_tokens < 0:
        raise _invalid("output_tokens", request.output_tokens, "an integer >= 0")
    body = request.input
    check = _CHECKS.get(type(body))
    if check is None:
        raise _invalid(
            "input", type(body).__name__, "a ChatInput, EmbeddingInput, ImageInput or CustomInput"
        )
    check(body)


def _chat(body: ChatInput) -> None:
    if not body.messages:
        raise _invalid("input.messages", "[]", "at least one message")
    for index, message in enumerate(body.messages):
        if message.role not in ROLES:
            known = ", ".join(sorted(ROLES))
            raise _invalid(f"input.messages[{index}].role", message.role, f"one of {known}")
        if message.role == "tool" and message.tool_call_id is None:
            raise _invalid(f"input.messages[{index}].tool_call_id", None, "the call it answers")
    if not any(m.content or m.tool_calls for m in body.messages):
        raise _invalid("input.messages", "without any content", "some text")
    if body.max_tokens is not None and body.max_tokens < 1:
        raise _invalid("input.max_tokens", body.max_tokens, "an integer >= 1")
    if body.temperature is not None and not 0.0 <= body.temperature <= TEMPERATURE_MAX:
        raise _invalid("input.temperature", body.temperature, f"0 to {TEMPERATURE_MAX:g}")
    if body.top_p is not None and not 0.0 <= body.top_p <= 1.0:
        raise _invalid("input.top_p", body.top_p, "0 to 1")


def _embedding(body: EmbeddingInput) -> None:
    if not body.texts or not all(body.texts):
        raise _invalid("input.texts", "empty", "at least one text, none of them empty")
    if body.dimensions is not None and body.dimensions < 1:
        raise _invalid("input.dimensions", body.dimensions, "an integer >= 1")


def _image(body: ImageInput) -> None:
    if not body.prompt:
        raise _invalid("input.prompt", "''", "some text")
    if body.n < 1:
        raise _invalid("input.n", body.n, "an integer >= 1")


def _custom(body: CustomInput) -> None:
    """Whatever the user's own function takes."""


_CHECKS: Final[dict[type, Callable[[Any], None]]] = {
    ChatInput: _chat,
    EmbeddingInput: _embedding,
    ImageInput: _image,
    CustomInput: _custom,
}


def _positive(field: str, value: float, right: str) -> None:
    if not (value > 0.0 and math.isfinite(value)):
        raise _invalid(field, value, right)


def _not_negative(field: str, value: float, right: str) -> None:
    if not (value >= 0.0 and math.isfinite(value)):
        raise _invalid(field, value, right)


def _invalid(field: str, value: object, right: str) -> InvalidRequest:
    return InvalidRequest(
        f"invalid request: {field} is {value!r}, expected {right}. Nothing was called."
    )
