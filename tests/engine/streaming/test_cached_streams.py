"""Streams and the response cache: played from it piece by piece, and kept if they came whole."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given, strategies as st

from tests.engine.house import house
from tests.engine.streaming.lines import CUT, HANG, Heard, Script, chunk, frames, hear, streaming
from tests.engine.streaming.test_streams import BEFORE, DONE, GOOD, TEXT, TOOLS, after
from understudy import (
    ChatOutput,
    NotCached,
    Request,
    Result,
    ShuttingDown,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    UnderstudyError,
    Usage,
    UsageDelta,
)
from understudy.streaming.replay import PIECE_CHARS, pieces
from understudy_actors.domain import events, stream_events
from understudy_actors.domain.cache_events import CacheHit, CacheStored

ON: dict[str, Any] = {"cache": {"ttl": "1m"}}
STALE: dict[str, Any] = {"cache": {"ttl": "1m", "stale_for": "1h"}}
ALONE = Request.chat("hi", hedge=False)
FAILING = BEFORE["status 500"]
LONG = "word " * 700


async def test_a_streamed_answer_is_played_again_at_once_and_for_nothing() -> None:
    async with streaming({"a": GOOD}, ON) as (engine, books, wire):
        first = (await hear(engine)).stream.result()
        heard = await hear(engine)
        assert heard.error is None
        assert (heard.text, heard.at_s[-1]) == (TEXT, 0.0)
        result = heard.stream.result()
        assert (result.output, result.usage) == (first.output, first.usage)
        assert (result.cached, result.degraded, result.attempts) == (True, False, ())
        assert (result.cost_usd, result.elapsed_s, result.provider) == (0.0, 0.0, "a")
        assert wire.asked() == "a"
        assert books.outcomes() == {"ok": 2}
        assert len(books.of(stream_events.AttemptCommitted)) == 1
        assert (await engine.route(Request.chat("hi"))).text == TEXT, "whole or in pieces: the same"
        assert wire.asked() == "a"


async def test_function_calls_are_played_too() -> None:
    async with streaming({"a": Script(TOOLS)}, ON) as (engine, _, wire):
        first, again = await hear(engine), await hear(engine)
        assert again.calls == [ToolCallDelta(0, '{"a": 1}', "c1", "f")]
        assert again.stream.result().output == first.stream.result().output
        assert wire.asked() == "a"


async def test_it_is_a_stream_until_its_last_piece() -> None:
    async with streaming({"a": Script(frames(LONG))}, ON) as (engine, books, _):
        await hear(engine)
        seen: list[type] = []
        async with engine.stream(Request.chat("hi", id="again")) as stream:
            with pytest.raises(RuntimeError, match="not over"):
                stream.result()
            async for delta in stream:
                seen.append(type(delta))
                await trio.sleep(1.0)
        assert seen == [TextDelta] * 4 + [UsageDelta]
        assert stream.result().text == LONG
        (outcome,) = (e for e in books.of(events.RequestOutcome) if e.request == "again")
        assert (outcome.elapsed_s, outcome.status, outcome.cached) == (4.0, "ok", True)


async def test_who_leaves_while_it_is_played_has_left() -> None:
    async with streaming({"a": GOOD}, ON) as (engine, books, _):
        await hear(engine)
        async with engine.stream(Request.chat("hi")) as stream:
            await anext(stream)
        with pytest.raises(UnderstudyError):
            stream.result()
        assert books.outcomes() == {"ok": 1, "cancelled": 1}


async def test_the_engines_end_is_heard_while_it_is_played() -> None:
    raised: list[BaseException] = []

    async def read(engine: Any, begun: trio.Event) -> None:
        try:
            async with engine.stream(Request.chat("hi")) as stream:
                begun.set()
                async for _ in stream:
                    await trio.sleep(60.0)
        except ShuttingDown as error:
            raised.append(error)

    async with trio.open_nursery() as nursery, streaming({"a": GOOD}, ON) as (engine, _, _wire):
        await hear(engine)
        begun = trio.Event()
        nursery.start_soon(read, engine, begun)
        await begun.wait()
    assert len(raised) == 1


KEPT: dict[str, tuple[Any, bool]] = {
    "whole": (GOOD, True),
    "after a failover": ([FAILING, GOOD], True),
    "cut": (after(4, CUT), False),
    "stalled": (after(4, HANG), False),
    "at its limit": (Script([chunk({"content": "x"}), chunk({}, "length"), DONE]), False),
    "filtered": (Script([chunk({"content": "x"}), chunk({}, "content_filter"), DONE]), False),
    "with an event that cannot be read": (
        Script([chunk({"content": "x"}), b"data: {nonsense\n\n", chunk({}, "stop"), DONE]),
        False,
    ),
}


@pytest.mark.parametrize("name", KEPT)
async def test_it_is_kept_only_if_it_came_whole(name: str) -> None:
    script, kept = KEPT[name]
    scripts = {"a": script, "b": GOOD} if isinstance(script, list) else {"a": script}
    async with streaming(scripts, ON) as (engine, books, _):
        await hear(engine, ALONE)
        assert len(books.of(CacheStored)) == kept


@pytest.mark.parametrize("capabilities", [[], ["prefill"]], ids=["spliced", "continued"])
async def test_a_rescued_answer_is_the_work_of_two_and_not_kept(capabilities: list[str]) -> None:
    half = " ".join(TEXT.split()[5:])
    second = GOOD if not capabilities else Script(frames(f" {half}"))
    scripts = {"a": after(5, CUT), "b": second}
    async with streaming(scripts, ON, b={"capabilities": capabilities}) as (engine, books, _):
        heard = await hear(engine)
        assert (heard.error, heard.text) == (None, TEXT)
        assert not books.of(CacheStored)


async def test_a_rescue_asks_anew() -> None:
    """Although an answer to the same request was kept meanwhile: it is another one."""
    scripts = {"a": [after(5, 5.0, CUT), Script(frames("Something else"))], "b": GOOD}
    async with streaming(scripts, ON) as (engine, books, wire), trio.open_nursery() as nursery:

        async def meanwhile(heard: Heard) -> None:
            if len(heard.texts) == 5:
                nursery.start_soon(hear, engine)

        heard = await hear(engine, each=meanwhile)
        assert (heard.error, heard.text, wire.asked()) == (None, TEXT, "aab")
        assert len(books.of(CacheStored)) == 1


async def test_what_a_stand_in_says_is_not_kept() -> None:
    config = {**ON, "providers": {"local": {"reply": "busy"}}}
    async with house(config) as (engine, books):
        for _ in range(2):
            heard = await hear(engine)
            assert (heard.text, heard.stream.result().cached) == ("busy", False)
        assert not books.of(CacheStored)


async def test_who_leaves_early_leaves_nothing_in_it() -> None:
    async with streaming({"a": GOOD}, ON) as (engine, books, _):
        async with engine.stream(Request.chat("hi")) as stream:
            await anext(stream)
        assert not books.of(CacheStored)


async def test_wishes_are_those_of_whole_answers() -> None:
    async with streaming({"a": GOOD}, ON) as (engine, books, wire):
        heard = await hear(engine, Request.chat("hi", cache="only"))
        assert isinstance(heard.error, NotCached)
        assert books.outcomes() == {"NotCached": 1}
        assert wire.asked() == ""
        for wish, asked in (("bypass", "a"), ("use", "aa"), ("only", "aa"), ("refresh", "aaa")):
            assert (await hear(engine, Request.chat("hi", cache=wish))).text == TEXT
            assert wire.asked() == asked


async def test_an_old_answer_is_played_when_nobody_answers() -> None:
    config = {**STALE, "degraded": {"chat": "sorry"}}
    async with streaming({"a": [Script(TOOLS), FAILING]}, config) as (engine, books, _):
        await hear(engine)
        await trio.sleep(120.0)
        heard = await hear(engine)
        result = heard.stream.result()
        assert (heard.text, heard.calls) == ("ok", [ToolCallDelta(0, '{"a": 1}', "c1", "f")])
        assert (result.cached, result.degraded) == (True, True)
        assert [each.outcome for each in result.attempts] == ["failed"]
        assert [e.stale for e in books.of(CacheHit)] == [True]
        assert books.outcomes() == {"ok": 1, "degraded": 1}
        other = await hear(engine, Request.chat("never asked"))
        assert (other.text, other.stream.result().cached) == ("sorry", False)


calls = st.lists(st.builds(ToolCall, st.text(), st.text(), st.text()), max_size=3).map(tuple)


@given(st.text(max_size=40).map(lambda text: text * 120), calls)
def test_the_pieces_joined_are_the_answer(text: str, called: tuple[ToolCall, ...]) -> None:
    result = Result(
        output=ChatOutput(text, tool_calls=called),
        provider="p",
        model="m",
        request_id="r",
        elapsed_s=0.0,
        usage=Usage(1, 2),
        cached=True,
    )
    played = pieces(result)
    texts = [each.text for each in played if isinstance(each, TextDelta)]
    assert "".join(texts) == text
    assert all(0 < len(each) <= PIECE_CHARS for each in texts)
    heard = [each for each in played if isinstance(each, ToolCallDelta)]
    assert [(e.index, e.id, e.name, e.arguments) for e in heard] == [
        (at, each.id, each.name, each.arguments) for at, each in enumerate(called)
    ]
    assert played[-1] == UsageDelta(Usage(1, 2))
