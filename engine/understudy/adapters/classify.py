"""From an error body and a status to an error class: the algorithm; the rules are data beside it.

What a provider says in its body is more precise than its status, so codes come first: an exhausted
account and a busy minute are both a 429. The order is

    the user's own rules > codes > 503 with a delay hint > types > phrases > status
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct

from understudy.adapters.body import NOT_JSON, decode, is_object, text_of
from understudy_actors.domain.outcome import ErrorClass

BODY_BYTES_MAX: Final = 262_144
"""An error body longer than this is judged by its status alone."""

_MESSAGE_CHARS_MAX: Final = 8_192
_RESETS: Final = re.compile(r"rate limit resets in ~?([0-9.]{1,9}m?s)\b", re.ASCII)

STATUSES: Final = MappingProxyType(
    {
        401: ErrorClass.AUTH,
        402: ErrorClass.QUOTA,
        403: ErrorClass.PERMISSION,
        404: ErrorClass.MODEL_NOT_FOUND,
        408: ErrorClass.TIMEOUT,
        409: ErrorClass.CONFLICT,
        410: ErrorClass.MODEL_NOT_FOUND,
        425: ErrorClass.CONFLICT,
        429: ErrorClass.RATE_LIMIT,
        504: ErrorClass.TIMEOUT,
        524: ErrorClass.TIMEOUT,
        529: ErrorClass.OVERLOADED,
    }
)
"""What a status means when nothing better is known; other 4xx are the request's fault, other 5xx
the server's."""


class Phrase(Struct, frozen=True):
    """Words that tell a class, in lower case: they count only in a message with one of `statuses`.

    `params`, if set, lists prefixes of the parameter that the complaint must be about.
    """

    error_class: ErrorClass
    statuses: frozenset[int]
    words: tuple[str, ...]
    params: tuple[str, ...] = ()


class Rules(Struct, frozen=True):
    """One provider family's rules. Codes and types are in lower case.

    A code that means different things under different statuses is written `"503 slow_down"`.
    """

    codes: Mapping[str, ErrorClass]
    types: Mapping[str, ErrorClass]
    phrases: tuple[Phrase, ...]
    statuses: Mapping[int, ErrorClass] = STATUSES
    hint_statuses: frozenset[int] = frozenset({429, 503, 529})


class Complaint(Struct, frozen=True):
    """What an error body says, whatever its shape; `codes` come with the most precise one first.

    `status` is an HTTP status that it names, `wait` a length of time that it asks to wait, as text.
    """

    codes: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    param: str = ""
    message: str = ""
    status: int | None = None
    wait: str | None = None


def classify(
    rules: Rules,
    status: int | None,
    complaint: Complaint,
    *,
    hinted: bool = False,
    overrides: object = None,
) -> ErrorClass:
    """The class of an error response.

    Args:
        rules: The provider family's tables.
        status: HTTP status; None for an error that came with a success status.
        complaint: What the body says.
        hinted: Did the response carry a valid delay hint?
        overrides: The user's own rules: code, type or status to the name of a class.
    """
    if isinstance(overrides, Mapping) and (own := _override(overrides, status, complaint)):
        return own
    for code in complaint.codes:
        if known := rules.codes.get(f"{status} {code}") or rules.codes.get(code):
            return known
    if status == 503 and hinted:
        return ErrorClass.OVERLOADED
    for name in complaint.types:
        if (kind := rules.types.get(name)) is None:
            continue
        # "The server failed" says less than a status with a meaning of its own, such as 504.
        return rules.statuses.get(status or 0, kind) if kind is ErrorClass.SERVER else kind
    return _by_phrase(rules, status, complaint) or _by_status(rules, status)


def _override(
    overrides: Mapping[Any, object], status: int | None, complaint: Complaint
) -> ErrorClass | None:
    """The user's own class for it; a name that is no class counts as unset."""
    own = {str(key).lower(): value for key, value in overrides.items()}
    for name in (*complaint.codes, *complaint.types, str(status)):
        if name in own:
            try:
                return ErrorClass(str(own[name]))
            except ValueError:
                return None
    return None


def _by_phrase(rules: Rules, status: int | None, complaint: Complaint) -> ErrorClass | None:
    message = complaint.message.lower()
    for phrase in rules.phrases:
        if status is not None and status not in phrase.statuses:
            continue
        if phrase.params and not complaint.param.startswith(phrase.params):
            continue
        if any(words in message for words in phrase.words):
            return phrase.error_class
    return None


def _by_status(rules: Rules, status: int | None) -> ErrorClass:
    if status is None:
        return ErrorClass.MALFORMED
    if (known := rules.statuses.get(status)) is not None:
        return known
    if 400 <= status < 500:
        return ErrorClass.BAD_REQUEST
    return ErrorClass.SERVER if 500 <= status < 600 else ErrorClass.MALFORMED


def complaint_of(body: bytes) -> Complaint:
    """Read an error body of any provider: an object, a text, or something else altogether."""
    if len(body) > BODY_BYTES_MAX:
        return Complaint()
    document = decode(body)
    if document is NOT_JSON:
        return Complaint(message=body[:_MESSAGE_CHARS_MAX].decode("utf-8", "replace"))
    return read_complaint(document)


def read_complaint(document: object) -> Complaint:
    """Read a decoded error body.

    The shapes in use: `{"error": {...}}`, `{"error": "text", "code": ...}`, the same keys at the
    top, `{"errors": [{...}]}`, `{"errors": ["text"], "name": ...}`, `{"detail": "text"}` and
    `{"detail": [{"msg": ...}]}`; and each of them within a list.
    """
    if isinstance(document, list) and document:
        document = document[0]
    if not is_object(document):
        return Complaint(message=text_of(document)[:_MESSAGE_CHARS_MAX])
    error = document.get("error") or _first(document.get("errors"))
    inner = error if is_object(error) else document
    message = _message(inner) or text_of(error) or _message(document)
    codes = (*_nested_codes(inner), inner.get("code"), document.get("code"), document.get("name"))
    kinds = (inner.get("type"), document.get("type"), inner.get("status"), inner.get("error_type"))
    return Complaint(
        codes=_names(codes),
        types=_names(kinds),
        param=text_of(inner.get("param")).lower(),
        message=message[:_MESSAGE_CHARS_MAX],
        status=_status(inner.get("code")),
        wait=_wait(inner, message),
    )


def _first(listed: object) -> object:
    return listed[0] if isinstance(listed, list) and listed else None


def _wait(error: dict[str, Any], message: str) -> str | None:
    """How long it asks to wait: in a field of its own, among its details, or in its words."""
    told = error.get("retry_after")
    if isinstance(told, int | float) and not isinstance(told, bool):
        return str(told)
    for each in _listed(error.get("details")):
        if delay := text_of(each.get("retryDelay")):
            return delay
    return found[1] if (found := _RESETS.search(message[:_MESSAGE_CHARS_MAX])) else None


def _listed(value: object) -> list[dict[str, Any]]:
    """The objects in a list, at most eight; none if it is no list."""
    return [each for each in value[:8] if is_object(each)] if isinstance(value, list) else []


def _nested_codes(error: dict[str, Any]) -> tuple[object, ...]:
    """Codes that providers nest, each more precise than the outer one."""
    details, inner, metadata = (error.get(k) for k in ("details", "innererror", "metadata"))
    return (
        details.get("error_code") if is_object(details) else None,
        inner.get("code") if is_object(inner) else None,
        metadata.get("error_type") if is_object(metadata) else None,
        "content_policy_violation" if is_object(metadata) and metadata.get("reasons") else None,
        *(each.get("reason") for each in _listed(details)),
        *(each.get("type") for each in _listed(error.get("detail"))),
    )


def _names(values: tuple[object, ...]) -> tuple[str, ...]:
    """The strings and whole numbers among `values`, as lower-case strings."""
    return tuple(
        str(value)[:256].lower()
        for value in values
        if isinstance(value, str | int) and not isinstance(value, bool)
    )


def _status(code: object) -> int | None:
    """A code that is an HTTP error status."""
    if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600:
        return code
    return None


def _message(document: dict[str, Any]) -> str:
    """The words of a complaint: a text, or the `msg` of each validation error."""
    message = document.get("message", document.get("detail"))
    if is_object(message):
        message = message.get("detail")
    if isinstance(message, list):
        return "; ".join(text_of(each.get("msg")) for each in _listed(message))
    return text_of(message)
