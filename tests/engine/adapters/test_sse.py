"""Events depend on the bytes alone: against a model that sees the whole body at once."""

from __future__ import annotations

import re
from types import ModuleType

from hypothesis import example as case, given, strategies as st

from understudy.adapters import sse

LINES = st.sampled_from(
    [
        *(b"data: {}", b"data:a", b"data:  two", b"data", b"data:", b"data: b", b"nonsense", b""),
        *(b"event: error", b"event:x", b"event", b": keep-alive", b":", b"id: 7", b"retry: 10"),
        *(b"data: \xff\xfe", b"data: \xc3", b"data: \xe2\x82\xac", b"data: " + b"x" * 40),
        *(b"\xef\xbb\xbf", b"\xef\xbb\xbfdata: b"),
    ]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b"\r\r", b""])
BODIES = st.lists(st.tuples(LINES, ENDS), max_size=12).map(
    lambda parts: b"".join(line + end for line, end in parts)
) | st.binary(max_size=60)
LIMIT = 24


def model(body: bytes, limit: int) -> tuple[list[tuple[str, bytes]], int]:
    """The events of a whole body, and how many were too large."""
    lines = re.split(rb"\r\n|\n|\r", body)  # what follows the last end of a line is a line too
    if lines[-1] == b"":
        lines.pop()
    else:
        lines.append(b"")  # the end of the body ends its last event as well
    if not lines or lines[-1] != b"":
        lines.append(b"")
    events, oversized = [], 0
    name, data, large = b"", list[bytes](), False
    for number, line in enumerate(lines):
        if len(line) > limit:
            large = True
            continue
        if number == 0 and line.startswith(b"\xef\xbb\xbf"):
            line = line[3:]
        if line == b"":
            large = large or sum(len(each) + 1 for each in data) > limit
            oversized += large
            if data and not large:
                whole = b"\n".join(data).decode("utf-8", "replace").encode()
                events.append((name.decode("utf-8", "replace"), whole))
            name, data, large = b"", [], False
            continue
        field, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return events, oversized


def parsed(
    module: ModuleType, body: bytes, cuts: list[int], limit: int
) -> tuple[list[tuple[str, bytes]], int]:
    """What the parser makes of a body that comes in pieces."""
    parser = module.SseParser(limit)
    events, start = [], 0
    for end in [*sorted({cut % (len(body) + 1) for cut in cuts}), len(body)]:
        events += parser.feed(body[start:end])
        start = end
    events += parser.close()
    return [(event.name, event.data) for event in events], parser.oversized


def check_any_chunking(module: ModuleType) -> None:
    @given(
        body=BODIES,
        cuts=st.lists(st.integers(0, 400), max_size=20),
        limit=st.sampled_from([LIMIT, 10**6]),
    )
    @case(body=b"data: a\r\n\r\ndata: b\r\n\r\n", cuts=list(range(30)), limit=10**6)
    @case(body=b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", cuts=[1, 2], limit=10**6)
    @case(body=b"data: a\ndata: b\n\n", cuts=[], limit=10**6)
    @case(body=b"data: a\n", cuts=[3], limit=10**6)
    @case(body=b"event: x\n\ndata: a\n\n", cuts=[], limit=10**6)
    @case(body=b"data:  two\n\n", cuts=[], limit=10**6)
    @case(body=b"data: \xe2\x82\xac\n\n", cuts=[7, 8], limit=10**6)
    @case(body=b"data: \xff\n\n", cuts=[], limit=10**6)
    @case(body=b"data: " + b"x" * 90 + b"\n\ndata: y\n\n", cuts=[30, 60], limit=LIMIT)
    @case(body=b"data: x\n" * 20 + b"\ndata: y\n\n", cuts=[30, 60], limit=LIMIT)
    def law(body: bytes, cuts: list[int], limit: int) -> None:
        assert parsed(module, body, cuts, limit) == model(body, limit)
        bytewise = list(range(len(body)))
        assert parsed(module, body, bytewise, limit) == model(body, limit)

    law()


def check_bounded(module: ModuleType) -> None:
    """However much of one event comes, little of it is kept."""
    for piece in (b"x" * 1000, b"data: x\n" * 100):
        parser = module.SseParser(5000)
        parser.feed(b"data: ")
        for _ in range(100):
            assert parser.feed(piece) == []
            assert sum(map(len, (*parser._pieces, *parser._data))) <= 6000
        assert [event.data for event in parser.feed(b"\n\ndata: next\n\n")] == [b"next"]
        assert parser.oversized == 1


def test_any_chunking_gives_the_events_of_the_whole_body() -> None:
    check_any_chunking(sse)


def test_one_huge_event_is_left_out_counted_and_never_kept() -> None:
    check_bounded(sse)


def test_an_event_is_told_with_the_first_byte_that_ends_its_blank_line() -> None:
    for end in (b"\n\n", b"\r\r", b"\r\n\r"):
        parser = sse.SseParser()
        assert parser.feed(b"data: now" + end[:-1]) == []
        assert [event.data for event in parser.feed(end[-1:])] == [b"now"]
