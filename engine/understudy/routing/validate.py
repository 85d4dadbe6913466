"""Refuses what nobody could serve, before anything is stamped, asked or spent."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from typing import Any, Final

from understudy_actors.domain import operation
from understudy_actors.domain.errors import InvalidRequest
from understudy_actors.domain.request import (
    FALLBACKS_MAX,
    IMAGES_MAX,
    PRIORITY_MAX,
    Caching,
    ChatInput,
    Complexity,
    CustomInput,
    EmbeddingInput,
    ImageFile,
    ImageInput,
    ImagePart,
    Message,
    Request,
    TextPart,
)

ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool"})
TEMPERATURE_MAX: Final = 2.0
CACHING: Final = tuple(str(each) for each in Caching)
COMPLEXITIES: Final = frozenset(str(each) for each in Complexity)
VALUE_CHARS_MAX: Final = 60
"""Of a wrong value this much is shown."""

_TEXTS: Final = (
    *("operation", "model", "strategy", "region", "complexity"),
    *("user", "team", "key", "tenant", "id"),
)
_PARTS: Final = (TextPart, ImagePart)
_SEVERAL: Final = (tuple, list)
"""Here and not as `tuple | list` where it is asked: that would be put together for each request."""
_MEDIA_TYPE: Final = re.compile(r"image/[a-z0-9.+-]{1,40}", re.ASCII)


def validate(request: Request, operations: Collection[str], strategies: Collection[str]) -> None:
    """Check a request against what the engine offers.

    Raises:
        InvalidRequest: The message names the field, its value and what would be right.
    """
    if not isinstance(request, Request):
        raise _invalid("the request", type(request).__name__, "a Request")
    if not _is_plain(request):
        _names(request)
    if request.operation not in operations:
        raise _invalid("operation", request.operation, f"one of {', '.join(sorted(operations))}")
    if request.strategy is not None and request.strategy not in strategies:
        raise _invalid("strategy", request.strategy, f"one of {', '.join(sorted(strategies))}")
    if request.timeout_s is not None:
        _positive("timeout_s", request.timeout_s, "seconds > 0")
    if request.max_cost_usd is not None:
        _not_negative("max_cost_usd", request.max_cost_usd, "USD >= 0")
    if request.max_attempts is not None:
        _whole("max_attempts", request.max_attempts, 1)
    if request.output_tokens is not None:
        _whole("output_tokens", request.output_tokens, 0)
    if request.hedge is not None and not isinstance(request.hedge, bool):
        raise _invalid("hedge", request.hedge, "True, False or None")
    if request.collapse is not None and not isinstance(request.collapse, bool):
        raise _invalid("collapse", request.collapse, "True, False or None")
    if request.cache is not None and request.cache not in CACHING:
        raise _invalid("cache", request.cache, f"one of {', '.join(Caching)}, or None")
    if request.priority != 0:
        _step("priority", request.priority, PRIORITY_MAX)
    body = request.input
    check = _CHECKS.get(type(body))
    if check is None:
        raise _invalid(
            "input", type(body).__name__, "a ChatInput, EmbeddingInput, ImageInput or CustomInput"
        )
    check(body)
    if check is _image:
        _starts_from(request.operation, body)  # type: ignore[arg-type]  # the table says so


def _is_plain(request: Request) -> bool:
    """Most requests have no conditions: then there is little to look at."""
    return (
        request.model is None
        and type(request.operation) is str
        and request.capabilities == ()
        and request.tags == ()
        and request.strategy is None
        and request.complexity is None
        and request.region is None
        and request.user is None
        and request.team is None
        and request.key is None
        and request.labels == ()
        and request.tenant is None
        and request.id is None
        and request.fallbacks is None
    )


def _names(request: Request) -> None:
    """Whatever requests are told apart by must be text, or it could not be looked up."""
    for field in _TEXTS:
        value = getattr(request, field)
        if value is not None and not isinstance(value, str):
            raise _invalid(field, value, "text")
    if (own := request.fallbacks) is not None:
        if type(own) is not tuple or not all(isinstance(each, str) for each in own):
            raise _invalid("fallbacks", own, "a tuple of models and groups")
        if len(own) > FALLBACKS_MAX:
            raise _invalid("fallbacks", f"{len(own)} names", f"at most {FALLBACKS_MAX}")
        if own and request.model is None:
            raise _invalid("fallbacks", own, "a `model` that they stand in for")
    for field in ("capabilities", "tags", "labels"):
        value = getattr(request, field)
        if type(value) is not tuple or not all(isinstance(each, str) for each in value):
            raise _invalid(field, value, "a tuple of names")
    if request.complexity is not None and request.complexity not in COMPLEXITIES:
        known = ", ".join(sorted(COMPLEXITIES))
        raise _invalid("complexity", request.complexity, f"one of {known}")


def _chat(body: ChatInput) -> None:
    if not isinstance(body.messages, _SEVERAL) or not body.messages:
        raise _invalid("input.messages", "empty", "at least one message")
    says_something = False
    for index, message in enumerate(body.messages):
        if (
            type(message) is not Message
            or message.role != "user"
            or type(message.content) is not str
        ):
            _message(f"input.messages[{index}]", message)
        says_something |= bool(message.content or message.tool_calls)
    if not says_something:
        raise _invalid("input.messages", "without any content", "some text")
    if body.max_tokens is not None:
        _whole("input.max_tokens", body.max_tokens, 1)
    if body.temperature is not None:
        _share("input.temperature", body.temperature, TEMPERATURE_MAX)
    if body.top_p is not None:
        _share("input.top_p", body.top_p, 1.0)


def _message(field: str, message: object) -> None:
    """One turn. Nothing of its text is repeated: roles and contents get mixed up."""
    if not isinstance(message, Message):
        raise _invalid(field, type(message).__name__, "a Message")
    if not isinstance(message.role, str) or message.role not in ROLES:
        known = ", ".join(sorted(ROLES))
        raise _invalid(f"{field}.role", "something else", f"one of {known}")
    if message.role == "tool" and message.tool_call_id is None:
        raise _invalid(f"{field}.tool_call_id", None, "the call it answers")
    content = message.content
    if isinstance(content, str):
        return
    if not isinstance(content, _SEVERAL) or not all(isinstance(p, _PARTS) for p in content):
        raise _invalid(
            f"{field}.content", type(content).__name__, "text, or TextPart and ImagePart"
        )


def _embedding(body: EmbeddingInput) -> None:
    if not body.texts or not all(isinstance(each, str) and each for each in body.texts):
        raise _invalid("input.texts", "empty", "at least one text, none of them empty")
    if body.dimensions is not None:
        _whole("input.dimensions", body.dimensions, 1)


def _image(body: ImageInput) -> None:
    if not body.prompt or not isinstance(body.prompt, str):
        raise _invalid("input.prompt", "empty", "some text")
    _whole("input.n", body.n, 1)
    if type(body.images) is not tuple or len(body.images) > IMAGES_MAX:
        raise _invalid("input.images", "something else", f"a tuple of at most {IMAGES_MAX}")
    brought = body.images if body.mask is None else (*body.images, body.mask)
    for each in brought:
        if not isinstance(each, ImageFile) or not isinstance(each.data, bytes) or not each.data:
            raise _invalid("input.images", "with one that is none", "an ImageFile with some bytes")
        if not isinstance(each.media_type, str) or not _MEDIA_TYPE.fullmatch(each.media_type):
            raise _invalid("input.images", each, "a media type such as image/png")


def _starts_from(asked: str, body: ImageInput) -> None:
    """Edits need a picture to start from; drawing has none."""
    if asked == operation.IMAGE_EDIT and not body.images:
        raise _invalid("input.images", "empty", "at least one picture to edit")
    if asked == operation.IMAGE and body.images:
        raise _invalid("operation", asked, f"{operation.IMAGE_EDIT}, since it brings pictures")
    if body.mask is not None and not body.images:
        raise _invalid("input.mask", "there", "a picture that it belongs to")


def _custom(body: CustomInput) -> None:
    """Whatever the user's own function takes."""


_CHECKS: Final[dict[type, Callable[[Any], None]]] = {
    ChatInput: _chat,
    EmbeddingInput: _embedding,
    ImageInput: _image,
    CustomInput: _custom,
}


def _positive(field: str, value: float, right: str) -> None:
    if not _is_number(value) or not (value > 0.0 and math.isfinite(value)):
        raise _invalid(field, value, right)


def _not_negative(field: str, value: float, right: str) -> None:
    if not _is_number(value) or not (value >= 0.0 and math.isfinite(value)):
        raise _invalid(field, value, right)


def _whole(field: str, value: object, least: int) -> None:
    if type(value) is not int or value < least:
        raise _invalid(field, value, f"an integer >= {least}")


def _step(field: str, value: object, most: int) -> None:
    if type(value) is not int or not -most <= value <= most:
        raise _invalid(field, value, f"an integer from {-most} to {most}")


def _share(field: str, value: float, most: float) -> None:
    if not (_is_number(value) and 0.0 <= value <= most):
        raise _invalid(field, value, f"0 to {most:g}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _invalid(field: str, value: object, right: str) -> InvalidRequest:
    return InvalidRequest(
        f"invalid request: {field} is {_shown(value)}, expected {right}. Nothing was called."
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]}..."
