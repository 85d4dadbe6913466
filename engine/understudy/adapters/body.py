"""Reading JSON bodies that may hold anything: total functions, and one exception of our own."""

from __future__ import annotations

from typing import Any, Final, TypeGuard

import msgspec

from understudy_actors.domain.outcome import ErrorClass

COUNT_MAX: Final = 1_000_000_000
"""No request has more tokens than this; a larger number is a provider's mistake."""


class Unusable(Exception):
    """An answer that may not be passed on, or a request that cannot be put in this format.

    `why` is our own sentence; `words` are the provider's.
    """

    def __init__(
        self, why: str, error_class: ErrorClass = ErrorClass.MALFORMED, *, words: str = ""
    ) -> None:
        super().__init__(why)
        self.why = why
        self.words = words
        self.error_class = error_class


class NotJson:
    """What `decode` returns for bytes that are no JSON."""


NOT_JSON: Final = NotJson()


def decode(body: bytes) -> Any:
    """The JSON value in `body`, or `NOT_JSON`.

    The decoder's own exceptions end here, since one of them carries the whole body.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOT_JSON


def encode(value: object) -> bytes:
    """`value` as JSON.

    Raises:
        Unusable: (BAD_REQUEST) It has no JSON form: a foreign type, half a surrogate pair, an
            integer over 64 bits. The encoder's own exceptions end here: they carry the prompt.
    """
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        pass
    raise Unusable("something in it has no JSON form", ErrorClass.BAD_REQUEST)


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Is it a JSON object?"""
    return isinstance(value, dict)


def need_object(value: object, what: str) -> dict[str, Any]:
    """`value` if it is an object.

    Raises:
        Unusable: It is none.
    """
    if not isinstance(value, dict):
        raise Unusable(f"{what} is no object")
    return value


def need_list(value: object, what: str) -> list[Any]:
    """`value` if it is a list with something in it.

    Raises:
        Unusable: It is none, or empty.
    """
    if not isinstance(value, list) or not value:
        raise Unusable(f"{what} is no list, or an empty one")
    return value


def need_text(value: object, what: str) -> str:
    """`value` if it is a string with something in it.

    Raises:
        Unusable: It is none, or empty.
    """
    if not isinstance(value, str) or not value:
        raise Unusable(f"{what} is no text, or an empty one")
    return value


def count(value: object) -> int | None:
    """A number of tokens in 0..`COUNT_MAX`; None for everything else."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_MAX:
        return value
    return None


def text_of(value: object) -> str:
    """`value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""
