"""AWS event streams: binary frames, as events.

A frame is its length, the length of its headers and a checksum of both (4 bytes each), the headers,
the payload, and a checksum of everything before it. Source: Smithy 2.0, "Amazon Event Stream".
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from understudy.adapters.body import decode, encode, is_object, text_of
from understudy.adapters.sse import EVENT_BYTES_MAX, SseEvent

_PRELUDE: Final = struct.Struct(">III")
_CHECKSUM: Final = struct.Struct(">I")
_FRAME_LEAST: Final = _PRELUDE.size + _CHECKSUM.size
_STRING: Final = 7
_FIXED: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value, for the types whose values all have the same size."""
_SIZED: Final = frozenset({6, _STRING})


class FrameParser:
    """Bytes in, one event for each frame out: its name is the event's or the exception's type.

    A frame whose checksum or headers are wrong cannot be trusted, nor can where the next one
    begins: from there on nothing is told, and the answer counts as cut.

    Attributes:
        oversized: Frames that were left out because they were too large or damaged.
    """

    __slots__ = ("_broken", "_held", "_max", "oversized")

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._max = event_bytes_max
        self._held = b""
        self._broken = False
        self.oversized = 0

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Take the next bytes; returns the events that they complete."""
        events: list[SseEvent] = []
        if self._broken:
            return events
        self._held += chunk
        while (size := self._size()) is not None and len(self._held) >= size:
            frame, self._held = self._held[:size], self._held[size:]
            event = _event(frame)
            if event is None:
                self._fail()
            else:
                events.append(event)
        return events

    def close(self) -> list[SseEvent]:
        """The body has ended; what is still open is no frame."""
        return []

    def _size(self) -> int | None:
        """The bytes of the frame that comes next; None if that is not known, or never will be."""
        if len(self._held) < _PRELUDE.size:
            return None
        size, of_headers, checksum = _PRELUDE.unpack_from(self._held)
        if zlib.crc32(self._held[:8]) != checksum or size < _FRAME_LEAST + of_headers:
            self._fail()
            return None
        if size > self._max:
            self._fail()
            return None
        return int(size)

    def _fail(self) -> None:
        self._broken, self._held = True, b""
        self.oversized += 1


def _event(frame: bytes) -> SseEvent | None:
    """What a whole frame says; None if it is damaged."""
    if zlib.crc32(frame[:-4]) != _CHECKSUM.unpack(frame[-4:])[0]:
        return None
    start = _PRELUDE.size + _PRELUDE.unpack_from(frame)[1]
    headers = _headers(frame[_PRELUDE.size : start])
    if headers is None:
        return None
    payload = frame[start:-4]
    if name := headers.get(":exception-type") or headers.get(":error-code"):
        return SseEvent(name, named(name, payload))
    return SseEvent(headers.get(":event-type", ""), payload)


def named(name: str, body: bytes) -> bytes:
    """An error's body, with its name as its code: elsewhere the name stands beside the body."""
    said = decode(body)
    message = said.get("message", said.get("Message")) if is_object(said) else None
    return encode({"code": name, "message": text_of(message)})


def _headers(packed: bytes) -> dict[str, str] | None:
    """The headers that are texts; None if they make no sense."""
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(packed):
            end = at + 1 + packed[at]
            name, kind, at = packed[at + 1 : end].decode(), packed[end], end + 1
            if kind in _SIZED:
                size, at = int.from_bytes(packed[at : at + 2]), at + 2
            else:
                size = _FIXED[kind]
            value, at = packed[at : at + size], at + size
            if len(value) < size:
                return None
            if kind == _STRING:
                found[name] = value.decode()
    except (IndexError, KeyError, UnicodeDecodeError):
        return None
    return found


def frame_of(name: str, payload: bytes, *, kind: str = "event") -> bytes:
    """One frame, as a service sends it: `kind` is `event` or `exception`."""
    said = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    headers = b"".join(
        bytes([len(key), *key.encode(), _STRING, *len(value).to_bytes(2), *value.encode()])
        for key, value in said.items()
    )
    prelude = struct.pack(">II", _FRAME_LEAST + len(headers) + len(payload), len(headers))
    frame = prelude + _CHECKSUM.pack(zlib.crc32(prelude)) + headers + payload
    return frame + _CHECKSUM.pack(zlib.crc32(frame))
