"""Whatever three providers do, a caller gets an exact text, once, and nothing is left behind."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings, strategies as st

from tests.engine.streaming.lines import (
    CUT,
    HANG,
    Heard,
    Script,
    Step,
    chunk,
    failing,
    frames,
    hear,
    streaming,
)
from understudy import Request, StreamBroken, UnderstudyError
from understudy_actors.domain.stream_events import AttemptCommitted, StreamRescue

ANSWERS = [
    "one two three four",
    "one two three five six",
    "one two",
    "seven \u00e9\U0001f600 eight",
]
ENDS: dict[str, Sequence[Step]] = {
    "cut": (CUT,),
    "ended": (),
    "hang": (HANG,),
    "error": (b'data: {"error": {"message": "no", "type": "server_error"}}\n\n',),
    "full": (b'data: {"error": {"message": "no", "code": "rate_limit_exceeded"}}\n\n',),
}
JUNK = [b"data: {oops\n\n", b": comment\n\n", b"data: 42\n\n"]


def _chopped(steps: Sequence[Step], cuts: Sequence[int]) -> list[Step]:
    """The same bytes in other pieces."""
    body = b"".join(each for each in steps if isinstance(each, bytes))
    rest = [each for each in steps if not isinstance(each, bytes)]
    places = [0, *sorted({cut % (len(body) + 1) for cut in cuts}), len(body)]
    return [body[a:b] for a, b in itertools.pairwise(places) if a < b] + rest


@st.composite
def scripts(draw: st.DrawFn) -> tuple[str, Script]:
    """What a provider says, and how far it gets."""
    text = draw(st.sampled_from(ANSWERS))
    if draw(st.integers(0, 9)) == 0:
        return "", failing(draw(st.sampled_from([400, 429, 500, 503])))
    steps: list[Step] = list(frames(text))
    for junk in draw(st.lists(st.sampled_from(JUNK), max_size=2)):
        steps.insert(draw(st.integers(0, len(steps) - 2)), junk)
    if draw(st.booleans()):
        steps = steps[: draw(st.integers(0, len(steps) - 1))]
        steps += ENDS[draw(st.sampled_from(sorted(ENDS)))]
    if draw(st.booleans()):
        steps = _chopped(steps, draw(st.lists(st.integers(0, 3000), max_size=9)))
    return text, Script(steps)


def wholes(said: dict[str, list[str]], asked: list[tuple[str, Any]]) -> list[str]:
    """Every whole text that these providers made of what they were asked, in order."""
    found: list[str] = []
    left = {name: list(texts) for name, texts in said.items()}
    for name, body in asked:
        text = left[name].pop(0) if len(left[name]) > 1 else left[name][0]
        last = body["messages"][-1]
        given_ = last["content"] if last["role"] == "assistant" else ""
        if not given_ or any(each.startswith(given_) for each in found):
            found.append(text if given_ and text.startswith(given_) else given_ + text)
    return found


DRAWN = given(
    drawn=st.fixed_dictionaries(dict.fromkeys("abc", st.lists(scripts(), min_size=1, max_size=2))),
    prefill=st.sets(st.sampled_from("abc")),
    attempts=st.sampled_from([0, 1]),
    leaves_at=st.none() | st.floats(0, 3),
)


def exact_whatever_happens(
    drawn: dict[str, list[tuple[str, Script]]],
    prefill: set[str],
    attempts: int,
    leaves_at: float | None,
) -> None:
    said = {name: [text for text, _ in each] for name, each in drawn.items()}
    own: dict[str, Any] = {
        name: {
            "capabilities": ["prefill"] if name in prefill else [],
            "retry": {"attempts": attempts, "base": "10ms"},
        }
        for name in drawn
    }

    async def main() -> None:
        table = {name: [script for _, script in each] for name, each in drawn.items()}
        async with streaming(table, **own) as (engine, books, wire):
            heard: list[Heard] = []

            async def read() -> None:
                heard.append(await hear(engine, Request.chat("hi")))

            with trio.move_on_after(1e6 if leaves_at is None else leaves_at):
                await read()
            status = books.outcomes()
            assert sum(status.values()) == 1
            if not heard:
                assert status == {"cancelled": 1}
                return
            (one,) = heard
            possible = wholes(said, wire.sent)
            assert any(each.startswith(one.text) for each in possible) or not one.text
            if one.error is None:
                assert one.text in possible
                assert one.stream.result().text == one.text
                assert status == {"ok": 1}
            else:
                assert isinstance(one.error, UnderstudyError)
                assert isinstance(one.error, StreamBroken) == bool(one.text)
            commits, rescues = books.of(AttemptCommitted), books.of(StreamRescue)
            assert len(commits) <= 1 + len(rescues)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@settings(max_examples=150)
@DRAWN
def test_the_delivered_text_is_exact_whatever_happens(
    drawn: dict[str, list[tuple[str, Script]]],
    prefill: set[str],
    attempts: int,
    leaves_at: float | None,
) -> None:
    exact_whatever_happens(drawn, prefill, attempts, leaves_at)


@pytest.mark.parametrize("size", [1, 7, 64])
async def test_pieces_of_any_size_are_the_same_stream(size: int) -> None:
    body = b"".join(frames("caf\u00e9 \U0001f600 au lait"))
    small = [body[at : at + size] for at in range(0, len(body), size)]
    async with streaming({"a": Script(small, pace_s=0.001)}) as (engine, _, _):
        heard = await hear(engine)
        assert (heard.text, heard.error) == ("caf\u00e9 \U0001f600 au lait", None)


async def test_a_huge_event_is_skipped_and_never_kept() -> None:
    huge = b"data: " + b"x" * 3_000_000
    steps = [*frames("one two")[:2], huge, b"\n\n", *frames("one two")[2:]]
    async with streaming({"a": Script(steps)}) as (engine, _, _):
        heard = await hear(engine)
        assert (heard.text, heard.stream.skipped) == ("one two", 1)
        assert chunk({}) != huge
