"""Server-sent events from bytes, however these are cut into chunks.

After the WHATWG's "Server-sent events", section "Interpreting an event stream", with two
differences: an event that the end of the body leaves without its blank line is still told (a cut
JSON object is no JSON, so nobody can mistake it for a whole one), and an event that is too large is
left out and counted, since everything that is kept must be bounded.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

EVENT_BYTES_MAX: Final = 1024 * 1024
"""One event, and one line, may have so many bytes. Providers' events have a few hundred; the
largest ones repeat a whole answer."""

_BOM: Final = b"\xef\xbb\xbf"
_CR: Final = 13
_LF: Final = 10


class SseEvent(Struct, frozen=True, gc=False):
    """One event: its name (empty if it has none) and its data lines joined by LF, valid UTF-8."""

    name: str
    data: bytes


class SseParser:
    """Bytes in, events out. The events depend on the bytes alone, never on where chunks end.

    Attributes:
        oversized: Events that were left out because they, or a line of theirs, were too large.
    """

    __slots__ = (
        "_after_cr",
        "_data",
        "_drop",
        "_fresh",
        "_held",
        "_max",
        "_name",
        "_pieces",
        "_size",
        "oversized",
    )

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._max = event_bytes_max
        self._pieces: list[bytes] = []  # of the line that is not whole yet
        self._held = 0  # their bytes
        self._after_cr = False  # an LF that comes next ends no line of its own
        self._fresh = True  # no line was read yet
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0
        self._drop = False  # the present event is too large
        self.oversized = 0

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Take the next bytes; returns the events that they complete."""
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk[0] == _LF:
                chunk = chunk[1:]
        if not chunk:
            return []
        if b"\n" not in chunk and b"\r" not in chunk:
            self._hold(chunk)
            return []
        if self._pieces:
            chunk = b"".join((*self._pieces, chunk))
            self._pieces.clear()
            self._held = 0
        lines = chunk.splitlines()
        last = chunk[-1]
        rest = lines.pop() if last != _LF and last != _CR else b""
        self._after_cr = last == _CR
        events: list[SseEvent] = []
        for line in lines:
            if line and not (self._fresh and line == _BOM):
                self._line(line)
            else:
                self._dispatch(events)
            self._fresh = False
        if rest:
            self._hold(rest)
        return events

    def close(self) -> list[SseEvent]:
        """The body has ended; returns what was still open."""
        events: list[SseEvent] = []
        if self._pieces:
            self._line(b"".join(self._pieces))
            self._pieces.clear()
            self._held = 0
        self._dispatch(events)
        return events

    def _hold(self, piece: bytes) -> None:
        """Keep a piece of a line; of one that is too long keep only that there was one."""
        self._held += len(piece)
        if self._held > self._max:
            self._drop = True
            self._pieces = [b":"]
        else:
            self._pieces.append(piece)

    def _line(self, line: bytes) -> None:
        if len(line) > self._max:
            self._drop = True
            return
        if self._fresh:
            line = line.removeprefix(_BOM)
        if line.startswith(b"data:"):
            value = line[6:] if line[5:6] == b" " else line[5:]
            self._size += len(value) + 1
            if self._size > self._max:
                self._drop = True
                self._data.clear()
            else:
                self._data.append(value)
        elif line.startswith(b"event:"):
            self._name = line[6:].removeprefix(b" ").decode("utf-8", "replace")
        elif line == b"data":  # a field without a colon has an empty value
            self._size += 1
            self._data.append(b"")
        elif line == b"event":
            self._name = ""
        # Comments, `id`, `retry` and what nobody knows: nothing to tell.

    def _dispatch(self, events: list[SseEvent]) -> None:
        data = self._data
        if self._drop:
            self.oversized += 1
        elif data:
            whole = data[0] if len(data) == 1 else b"\n".join(data)
            events.append(SseEvent(self._name, whole if whole.isascii() else _valid(whole)))
        if data:
            self._data = []
        self._name, self._size, self._drop = "", 0, False


def _valid(data: bytes) -> bytes:
    """`data` with what is no UTF-8 replaced by U+FFFD."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace").encode()
    return data
