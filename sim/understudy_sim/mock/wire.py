"""Answers as values, and what both wire formats share: errors, retry hints and broken bodies."""

from __future__ import annotations

import math
from email.utils import formatdate, parsedate_to_datetime
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from understudy_sim.fault_kinds import MalformedVariant, RetryAfter

WorldWire: TypeAlias = Literal["openai", "anthropic"]
"""Formats that simulated providers speak."""
Wire: TypeAlias = WorldWire | Literal["gemini", "cohere", "ollama"]
"""Formats that the mock speaks on real sockets."""
Headers: TypeAlias = tuple[tuple[str, str], ...]

HUGE_S: Final = 31_536_000.0
JSON: Final = "application/json"
EVENTS: Final = "text/event-stream; charset=utf-8"
LINES: Final = "application/x-ndjson"
"""A stream of one JSON document a line."""


class Answer(Struct, frozen=True, kw_only=True):
    """One HTTP answer: a `body`, or the `frames` of a stream, sent `pace_s` seconds apart."""

    status: int = 200
    headers: Headers = ()
    content_type: str = JSON
    body: bytes = b""
    frames: tuple[bytes, ...] = ()
    pace_s: float = 0.0

    @property
    def payload(self) -> bytes:
        """Everything that follows the headers, without its framing."""
        return self.body or b"".join(self.frames)


class Tokens(Struct, frozen=True):
    """The token counts that an answer reports."""

    input: int
    output: int


ABSURD: Final = Tokens(-7, 999_999_999_999)


class Origin(Struct, frozen=True, kw_only=True):
    """Where and when an answer is made: `n` numbers the request, `wall_s` is Unix time."""

    wire: Wire
    n: int
    provider: str
    model: str
    wall_s: float

    @property
    def request_id(self) -> str:
        """The provider's own id of the request."""
        return f"req_{self.provider}_{self.n}"


class Hint(Struct, frozen=True):
    """What an error tells about when to come back: nothing if `seconds` is None."""

    seconds: float | None = None
    as_date: bool = False
    limit: int = 60

    def header(self, wall_s: float) -> Headers:
        """The Retry-After header, rounded up to a whole second as HTTP wants it."""
        if self.seconds is None:
            return ()
        if self.as_date:
            return (("retry-after", formatdate(math.ceil(wall_s + self.seconds), usegmt=True)),)
        return (("retry-after", str(math.ceil(self.seconds))),)


def stated_s(answer: Answer, wall_s: float) -> float | None:
    """Seconds that the Retry-After header of an answer asks to wait, at `wall_s` in Unix time."""
    told = dict(answer.headers).get("retry-after")
    if told is None or told.isdigit():
        return None if told is None else float(told)
    return parsedate_to_datetime(told).timestamp() - wall_s


def hint(retry_after: RetryAfter, ends_in_s: float, limit: float | None = None) -> Hint:
    """What a fault says of its end, which really comes in `ends_in_s` seconds."""
    seconds: float | None
    match retry_after:
        case "missing":
            seconds = None
        case "truth" | "date":
            seconds = ends_in_s
        case "zero":
            seconds = 0.0
        case "huge":
            seconds = HUGE_S
        case "lying":
            seconds = ends_in_s / 10
        case _:
            seconds = retry_after
    return Hint(seconds, retry_after == "date", max(1, int(limit or 60)))


def json_answer(data: object, status: int = 200, headers: Headers = ()) -> Answer:
    """An answer with a JSON body."""
    return Answer(status=status, headers=headers, body=msgspec.json.encode(data))


def event(data: object, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + msgspec.json.encode(data) + b"\n\n"


def pieces(text: str) -> list[str]:
    """`text` word by word, as a stream delivers it; joined they are `text` again."""
    words = text.split(" ")
    return [words[0], *(f" {word}" for word in words[1:])] if text else []


_HTML: Final = (
    b"<!DOCTYPE html><html><head><title>Bad gateway</title></head>"
    b"<body><h1>The origin web server is not reachable</h1></body></html>"
)


_OF_STREAMS: Final[dict[MalformedVariant, MalformedVariant]] = {
    "bad_event": "absurd_usage",  # which leaves the body as it is
    "late_error": "error_in_200",
    "unfinished": "truncated_json",
    "unmarked": "absurd_usage",
}
"""Variants that are about streams, and what they do to a whole answer."""
_BAD_EVENT: Final = b'{"choices": [{"delta": {"con'


def _broken_frames(variant: MalformedVariant, healthy: Answer, error: Answer) -> tuple[bytes, ...]:
    frames, content_type = healthy.frames, healthy.content_type
    half = len(frames) // 2
    if variant == "bad_event":
        return (*frames[:half], _framed(_BAD_EVENT, content_type), *frames[half:])
    if variant == "unmarked":
        return frames[:-1]
    if variant == "unfinished":
        return frames[:half]
    name = b"event: error\n" if frames[0].startswith(b"event:") else b""
    return (*frames[:half], name + _framed(error.body, content_type))


def _framed(data: bytes, content_type: str) -> bytes:
    """One piece of a stream of this type."""
    return data + b"\n" if content_type == LINES else b"data: " + data + b"\n\n"


def malformed(variant: MalformedVariant, healthy: Answer, error: Answer) -> Answer:
    """A 200 with a broken body, made of the `healthy` answer or of an `error`'s body."""
    streamed = bool(healthy.frames)
    if variant in _OF_STREAMS:
        if streamed:
            return replace(healthy, frames=_broken_frames(variant, healthy, error))
        variant = _OF_STREAMS[variant]
    match variant:
        case "html":
            broken, content_type = _HTML, "text/html; charset=utf-8"
        case "empty":
            broken, content_type = b"", healthy.content_type
        case "truncated_json":
            whole = healthy.payload
            broken, content_type = whole[: len(whole) * 2 // 3], healthy.content_type
        case "wrong_type":
            broken, content_type = b"42", healthy.content_type
        case "error_in_200":
            broken, content_type = error.body, healthy.content_type
        case _:
            return healthy
    if streamed and variant in {"wrong_type", "error_in_200"}:
        broken = _framed(broken, healthy.content_type)
    return Answer(headers=healthy.headers, content_type=content_type, body=broken)
