"""Answers as bytes: msgpack, which keeps every float exactly, and zlib above a threshold.

zlib and not zstd: it is in every Python, so that the cache needs no library; answers are a few
kilobytes, packed once for each answer of a provider. Level 1: of texts it leaves 2 to 17 % more
than level 6, in a half to a seventh of its time, and this time is taken from everybody
(`benchmarks.cache`). For the same reason nothing larger than `PACKED_MAX` is packed, and what
hardly gets shorter, such as vectors, is left as it is: unpacking is paid at each hit.

What is read is made anew each time: whoever changes an answer changes nobody else's.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from understudy.cache.shelf import Entry
from understudy_actors.domain.result import (
    ChatOutput,
    EmbeddingOutput,
    ImageOutput,
    Output,
    Usage,
)

LEVEL: Final = 1
PACKED_MAX: Final = 1_048_576
"""Larger ones would hold everybody up for tens of milliseconds."""

PAYS: Final = 0.8
"""What is packed must get at least so much shorter."""


class Kept(Struct, frozen=True, array_like=True):
    """What of an answer is kept: all but what belonged to the request that it was made for."""

    provider: str
    model: str
    tokens: tuple[int, int, int, int, bool, int, int, int, int | None]

    @property
    def usage(self) -> Usage:
        """What it took to make it; the names of the numbers would take more than they do."""
        return Usage(*self.tokens)


class KeptChat(Kept, frozen=True, array_like=True, tag=1):
    """A model's turn."""

    output: ChatOutput


class KeptEmbedding(Kept, frozen=True, array_like=True, tag=2):
    """Vectors."""

    output: EmbeddingOutput


class KeptImage(Kept, frozen=True, array_like=True, tag=3):
    """Pictures."""

    output: ImageOutput


class KeptValue(Kept, frozen=True, array_like=True, tag=4):
    """What a function of the user's own returned."""

    output: Any


_KINDS: Final[dict[type, type[Any]]] = {
    ChatOutput: KeptChat,
    EmbeddingOutput: KeptEmbedding,
    ImageOutput: KeptImage,
}
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(KeptChat | KeptEmbedding | KeptImage | KeptValue)


def encoded(provider: str, model: str, usage: Usage, output: Output) -> bytes | None:
    """An answer as bytes; None if it would not be read back as it is."""
    kind = _KINDS.get(type(output), KeptValue)
    try:
        if kind is KeptValue and not _is_plain(output):
            return None
        return _ENCODER.encode(kind(provider, model, astuple(usage), output))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None


def decoded(raw: bytes) -> KeptChat | KeptEmbedding | KeptImage | KeptValue:
    """The answer that `encoded` was given."""
    kept: KeptChat | KeptEmbedding | KeptImage | KeptValue = _DECODER.decode(raw)
    return kept


def entry_of(raw: bytes, above: int, now: float, ttl_s: float, stale_for_s: float) -> Entry:
    """An entry of these bytes, compressed if they are more than `above` and get less by it."""
    blob = raw
    if above < len(raw) <= PACKED_MAX:
        packed = zlib.compress(raw, LEVEL)
        if len(packed) <= PAYS * len(raw):
            blob = packed
    until = now + ttl_s
    return Entry(blob, blob is not raw, len(raw), now, until, until + stale_for_s)


def raw_of(entry: Entry) -> bytes:
    """The bytes that `entry_of` was given."""
    return zlib.decompress(entry.blob) if entry.packed else entry.blob


def _is_plain(value: object) -> bool:
    """Is it of JSON's types alone, and of no subtype of theirs?"""
    kind = type(value)
    if kind is list:
        return all(map(_is_plain, value))  # type: ignore[call-overload]
    if kind is dict:
        return all(type(k) is str and _is_plain(v) for k, v in value.items())  # type: ignore[attr-defined]
    return value is None or kind in (str, int, float, bool)
