"""Server-sent events, as bytes."""

from __future__ import annotations

from typing import Final

import msgspec

KEEP_ALIVE: Final = b": still here\n\n"
"""A comment: SDKs skip it, and what stands between sees that the connection lives."""

_encode: Final = msgspec.json.Encoder().encode


def data(value: object) -> bytes:
    """An event without a name."""
    return b"data: " + _encode(value) + b"\n\n"


def event(name: str, value: object) -> bytes:
    """An event with a name."""
    return b"event: " + name.encode() + b"\n" + data(value)
