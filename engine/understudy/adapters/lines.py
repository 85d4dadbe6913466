"""Streams of one JSON document a line (NDJSON), as events."""

from __future__ import annotations

from understudy.adapters.sse import EVENT_BYTES_MAX, SseEvent


class LineParser:
    """Bytes in, one event for each line out. The events depend on the bytes alone.

    Attributes:
        oversized: Lines that were left out because they were too large.
    """

    __slots__ = ("_drop", "_held", "_max", "_pieces", "oversized")

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._max = event_bytes_max
        self._pieces: list[bytes] = []
        self._held = 0
        self._drop = False
        self.oversized = 0

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Take the next bytes; returns the lines that they complete."""
        events: list[SseEvent] = []
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._hold(line)
            self._end(events)
        self._hold(rest)
        return events

    def close(self) -> list[SseEvent]:
        """The body has ended; returns what was still open."""
        events: list[SseEvent] = []
        self._end(events)
        return events

    def _hold(self, piece: bytes) -> None:
        self._held += len(piece)
        if self._held > self._max:
            self._drop = True
            self._pieces.clear()
        elif piece:
            self._pieces.append(piece)

    def _end(self, events: list[SseEvent]) -> None:
        line = b"".join(self._pieces).strip()
        if self._drop:
            self.oversized += 1
        elif line:
            events.append(SseEvent("", line))
        self._pieces.clear()
        self._held, self._drop = 0, False
