"""Which requests are identical: they may share one call, and one answer. Pure decisions.

Two requests are identical if the same answer would do for both: same work, same conditions, same
tenant. How long each may take, how urgent it is and what it is called changes no answer.

To share a call under way they must have the same user too, since they share its errors, and what
it costs goes to one of them: a user without a budget left must not end the request of another. An
answer that was given before costs nothing, and one tenant's users may all be given it.
"""

from __future__ import annotations

import math
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from understudy_actors.domain.request import ChatInput, CustomInput, EmbeddingInput, Request


def collapses(request: Request, by_default: bool) -> bool:
    """May this request share a call?

    If it says so; else, where that is the default, if its answer is the same each time: embeddings,
    and chats at temperature 0.
    """
    if request.collapse is not None:
        return request.collapse
    body = request.input
    steady = isinstance(body, EmbeddingInput) or (
        isinstance(body, ChatInput) and body.temperature == 0
    )
    return by_default and steady


def key_of(request: Request, *, by_tenant: bool = False, salt: bytes = b"") -> bytes | None:
    """The same 16 bytes for identical requests; None for one that nothing can be said of.

    A digest, so that no prompt is kept by it.

    Args:
        request: A valid one.
        by_tenant: Users of the same tenant are alike, whatever they account it to.
        salt: Up to 64 bytes: other ones make other digests.
    """
    alike = replace(
        request, id=None, timeout_s=None, priority=0, hedge=None, collapse=None, cache=None
    )
    if by_tenant:
        alike = replace(alike, labels=())
        if alike.tenant is not None:
            alike = replace(alike, user=None, team=None, key=None)
    try:
        if isinstance(alike.input, CustomInput) and not _is_plain(alike.input):
            return None
        text = msgspec.json.encode(alike, order="sorted")
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None  # arguments of the user's own function that have no text
    return blake2b(text, digest_size=16, key=salt).digest()


def _is_plain(value: object) -> bool:
    """Does its text tell it from everything else? Bytes and dates read as texts, NaN as null."""
    match value:
        case CustomInput():
            return _is_plain(value.args) and _is_plain(value.kwargs)
        case list() | tuple():
            return all(map(_is_plain, value))
        case dict():
            return all(type(key) is str and _is_plain(each) for key, each in value.items())
        case float():
            return math.isfinite(value)
        case _:
            return value is None or type(value) in (str, int, bool)
