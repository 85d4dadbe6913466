"""Bodies behind a content encoding: gzip and deflate, bounded whatever they claim to hold."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

from understudy.transport.http import TransportFailed

_ZLIB_OR_GZIP: Final = 47  # 15 bits of window, plus 32: tell the format by its header
_DAMAGED: Final = "the compressed response is damaged"


class Inflater:
    """Takes a compressed body piece by piece."""

    __slots__ = ("_zlib",)

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=_ZLIB_OR_GZIP)

    def feed(self, piece: bytes, bytes_max: int) -> bytes:
        """What a piece says; one byte more than `bytes_max` if it says more than that.

        Raises:
            TransportFailed: It is damaged.
        """
        try:
            return self._zlib.decompress(piece, bytes_max + 1)
        except zlib.error:
            pass  # its words are zlib's; ours are told below, with nothing foreign behind them
        raise TransportFailed(_DAMAGED, sent=True)

    def end(self) -> None:
        """The body ends here.

        Raises:
            TransportFailed: Something is missing.
        """
        if not self._zlib.eof:
            raise TransportFailed(_DAMAGED, sent=True)


def inflater_for(headers: Mapping[str, str]) -> Inflater | None:
    """What undoes the encoding that these headers tell of; None if there is none.

    Raises:
        TransportFailed: The encoding is one that was not asked for.
    """
    encoding = headers.get("content-encoding")
    if encoding is None or (encoding := encoding.strip().lower()) == "identity":
        return None
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise TransportFailed("the response has an encoding that was not asked for", sent=True)
    return Inflater()


def plain(body: bytes, headers: Mapping[str, str], bytes_max: int) -> bytes:
    """A whole body without its encoding.

    Raises:
        TransportFailed: It is damaged, larger than `bytes_max`, or its encoding is none of ours.
    """
    inflater = inflater_for(headers)
    if inflater is None:
        return body
    inflated = inflater.feed(body, bytes_max)
    if len(inflated) > bytes_max:
        raise oversized(bytes_max)
    inflater.end()
    return inflated


def oversized(bytes_max: int) -> TransportFailed:
    """A response that is larger than it may be."""
    return TransportFailed(f"the response is larger than {bytes_max} bytes", sent=True)
