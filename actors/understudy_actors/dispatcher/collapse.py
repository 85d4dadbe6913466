"""Collapsing: which requests are identical, and may share one call. Pure decisions.

Two requests are identical if the same answer would do for both: same work, same conditions, same
tenant. How long each may take, how urgent it is and what it is called changes no answer.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from understudy_actors.domain.request import ChatInput, EmbeddingInput, Request


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


def key_of(request: Request) -> bytes | None:
    """The same 16 bytes for identical requests; None for one that nothing can be said of.

    A digest, so that no prompt is kept by it.
    """
    alike = replace(request, id=None, timeout_s=None, priority=0, hedge=None, collapse=None)
    try:
        text = msgspec.json.encode(alike, order="sorted")
    except (TypeError, ValueError, OverflowError):
        return None  # arguments of the user's own function that have no text
    return blake2b(text, digest_size=16).digest()
