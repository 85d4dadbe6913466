"""A stream over an engine: as it comes, failed over, rescued exactly, or honestly broken."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests.engine.streaming.lines import (
    CUT,
    HANG,
    Heard,
    Script,
    Step,
    StreamWire,
    chunk,
    failing,
    frames,
    hear,
    streaming,
)
from understudy import (
    AllAttemptsFailed,
    ChatOutput,
    ContentRefused,
    InvalidRequest,
    Request,
    ShuttingDown,
    StreamBroken,
    TextDelta,
    ToolCall,
    UsageDelta,
    open_engine,
)
from understudy.transport.http import TransportFailed
from understudy_actors.domain import events, stream_events

TEXT = "The quick brown fox jumps over the lazy dog"
ALONE = Request.chat("hi", hedge=False)
"""Whoever is silent is waited for as long as the limits allow."""
GOOD = Script(frames(TEXT))
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error": {"message": "no", "type": "server_error"}}\n\n'
CALL = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a"'}}
CALL_END = {"index": 0, "function": {"arguments": ": 1}"}}
TOOLS = [
    chunk({"content": "ok"}),
    chunk({"tool_calls": [CALL]}),
    chunk({"tool_calls": [CALL_END]}),
    chunk({}, "tool_calls"),
    DONE,
]
JSON = {"content-type": "application/json"}


def after(count: int, *end: Step, text: str = TEXT) -> Script:
    """A good answer as far as its first `count` words, then `end`."""
    return Script([*frames(text)[: count + 1], *end])


async def test_it_is_delivered_as_it_comes() -> None:
    async with streaming({"a": GOOD}) as (engine, books, _):
        heard = await hear(engine)
        assert heard.error is None
        assert heard.texts == [TEXT.split()[0], *(f" {word}" for word in TEXT.split()[1:])]
        assert heard.at_s == pytest.approx([0.3 + 0.1 * n for n in range(9)] + [1.4])
        result = heard.stream.result()
        assert (result.text, result.provider, result.degraded) == (TEXT, "a", False)
        assert (result.usage.input_tokens, result.usage.output_tokens) == (10, 20)
        assert result.cost_usd == pytest.approx((10 + 2 * 20) / 1e6)
        assert [each.outcome for each in result.attempts] == ["ok"]
        assert books.outcomes() == {"ok": 1}
        assert len(books.of(stream_events.AttemptCommitted)) == 1


async def test_nothing_is_read_before_it_is_asked_for() -> None:
    async with streaming({"a": GOOD}) as (engine, _, wire):
        stream = engine.stream(Request.chat("hi"))
        async with stream:
            for expected in (2, 2, 3):  # the role's event has no piece of the answer
                await trio.sleep(5)
                assert wire.pieces == expected
                await anext(stream)
            [_ async for _ in stream]
        assert stream.text == TEXT


BEFORE: dict[str, Script | TransportFailed] = {
    "refused": TransportFailed("no connection could be made", sent=False),
    "reset": CUT,
    "status 500": failing(500, type="server_error"),
    "status 429": failing(429, code="rate_limit_exceeded"),
    "hang": Script([HANG]),
    "head hangs": Script(wait_s=HANG),
    "cut": after(0, CUT),
    "empty": Script([]),
    "ended early": after(0),
    "error event": after(0, ERROR),
    "error event beside the first word": Script([frames(TEXT)[0] + frames(TEXT)[1] + ERROR]),
    "html": Script([b"<html><body>Bad</body></html>"], headers={"content-type": "text/html"}),
    "error in a 200": Script([b'{"error":{"message":"no"}}'], headers=JSON),
    "no answer": Script([chunk({}, "stop"), DONE]),
    "nonsense at once": Script([chunk({"content": "x"}) + chunk({}, "tool_calls") + DONE]),
    "keep-alives only": Script([b": keep-alive\n\n"] * 2000, pace_s=1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", BEFORE)
async def test_before_the_first_byte_any_failure_moves_on(name: str) -> None:
    async with streaming({"a": [BEFORE[name]], "b": GOOD}) as (engine, books, wire):
        heard = await hear(engine, ALONE)
        assert heard.error is None
        assert heard.text == TEXT
        assert heard.stream.provider == "b"
        assert wire.asked() == "ab"
        assert [each.outcome for each in heard.stream.result().attempts][1:] == ["ok"]
        assert books.of(stream_events.StreamRescue) == []


BAD_GATEWAY = Script(
    [b"<html>Bad gateway</html>"], status=502, headers={"content-type": "text/html"}
)
SEEN: dict[str, tuple[Script, str]] = {
    "html": (BAD_GATEWAY, "server"),
    "key": (failing(401, code="invalid_api_key"), "auth"),
    "full": (after(0, b'data: {"error":{"code":"rate_limit_exceeded"}}\n\n'), "rate_limit"),
    "cut": (after(0, CUT), "reset"),
    "ended early": (after(0), "malformed"),
    "hang": (Script([HANG]), "stalled"),
}


@pytest.mark.parametrize("name", SEEN)
async def test_a_failure_is_seen_as_what_it_is(name: str) -> None:
    script, error = SEEN[name]
    async with streaming({"a": script, "b": GOOD}, {"deadline": "1000s"}) as (engine, books, _):
        assert (await hear(engine, ALONE)).text == TEXT
        assert books.of(events.AttemptEnded)[0].error == error


async def test_entering_raises_what_route_would_raise() -> None:
    async with streaming({"a": failing(500), "b": failing(503)}) as (engine, books, _):
        heard = await hear(engine)
        assert isinstance(heard.error, AllAttemptsFailed)
        assert [each.endpoint for each in heard.error.attempts] == ["a/m", "b/m"]
        assert books.outcomes() == {"AllAttemptsFailed": 1}
        refused = failing(400, code="content_policy_violation")
    async with streaming({"a": refused, "b": GOOD}) as (engine, _, wire):
        heard = await hear(engine)
        assert isinstance(heard.error, ContentRefused)
        assert wire.asked() == "a"


async def test_only_chat_streams() -> None:
    async with streaming({"a": GOOD}) as (engine, _, wire):
        for request in (Request.embed("a"), Request.chat("")):
            with pytest.raises(InvalidRequest):
                async with engine.stream(request):
                    pass
        assert wire.sent == []


AFTER: dict[str, tuple[Step, ...]] = {
    "cut": (CUT,),
    "ended early": (),
    "stall": (HANG,),
    "error event": (ERROR,),
    "keep-alives for ever": (b": keep-alive\n\n",) * 500,
    "gave up": (chunk({}, "error"), DONE),
}


@pytest.mark.parametrize("name", AFTER)
@pytest.mark.parametrize("count", [1, 5, 9])
async def test_after_it_an_equal_answer_is_spliced_exactly(name: str, count: int) -> None:
    scripts = {"a": after(count, *AFTER[name]), "b": GOOD}
    async with streaming(scripts, a={"timeout": "30s"}) as (engine, books, wire):
        heard = await hear(engine)
        assert heard.error is None
        assert heard.text == TEXT
        result = heard.stream.result()
        assert (result.text, result.provider) == (TEXT, "b")
        assert wire.asked() == "ab"
        first, second = result.attempts
        assert (first.outcome, second.outcome) == ("failed", "ok")
        assert first.cost_usd is not None
        assert first.cost_usd > 0.0
        assert result.cost_usd == first.cost_usd + (second.cost_usd or 0.0)
        (rescue,) = books.of(stream_events.StreamRescue)
        delivered = len(" ".join(TEXT.split()[:count]))
        assert (rescue.how, rescue.delivered_chars) == ("splice", delivered)
        if count < 9:
            assert [e.attempt for e in books.of(stream_events.AttemptCommitted)] == [1, 2]


async def test_another_answer_is_never_mixed_in() -> None:
    scripts = {
        "a": after(4, CUT),
        "b": Script(frames("The quick red foxes jump over it")),
        "c": GOOD,
    }
    async with streaming(scripts) as (engine, _, wire):
        heard = await hear(engine)
        assert (heard.text, wire.asked()) == (TEXT, "abc")
        kinds = [each.error for each in heard.stream.result().attempts]
        assert kinds == ["reset", "diverged", None]


@pytest.mark.parametrize(
    "other", [frames("The quick red fox"), frames("The quick"), [chunk({"tool_calls": [CALL]})]]
)
async def test_what_cannot_be_continued_is_honestly_broken(other: list[bytes]) -> None:
    scripts = {"a": after(4, CUT), "b": Script(other)}
    async with streaming(scripts) as (engine, books, _):
        heard = await hear(engine)
        assert isinstance(heard.error, StreamBroken)
        assert heard.text == "The quick brown fox"
        assert heard.error.delivered_chars == len(heard.text)
        assert str(len(heard.text)) in str(heard.error)
        assert [each.error for each in heard.error.attempts] == ["reset", "diverged"]
        assert heard.error.request_id == heard.stream.request_id
        with pytest.raises(StreamBroken):
            heard.stream.result()
        with pytest.raises(StreamBroken):
            await anext(heard.stream)
        assert books.outcomes() == {"StreamBroken": 1}
        failed, diverged = books.of(events.AttemptEnded)
        assert (failed.verdict, diverged.verdict) == ("failed", "neutral")


async def test_a_target_that_can_continue_is_given_what_was_delivered() -> None:
    scripts = {"a": after(4, CUT), "b": Script(frames(" jumps over the lazy dog"))}
    async with streaming(scripts, b={"capabilities": ["prefill"]}) as (engine, books, wire):
        heard = await hear(engine, Request.chat("hi", max_tokens=100))
        assert heard.error is None
        assert (heard.text, heard.stream.result().text) == (TEXT, TEXT)
        said = {"role": "assistant", "content": "The quick brown fox"}
        assert wire.sent[1][1]["messages"][-1] == said
        assert wire.sent[1][1]["max_tokens"] == 100 - 4
        assert [event.how for event in books.of(stream_events.StreamRescue)] == ["prefill"]


async def test_who_repeats_what_it_was_given_is_not_delivered_twice() -> None:
    scripts = {"a": after(4, CUT), "b": GOOD}
    async with streaming(scripts, b={"capabilities": ["prefill"]}) as (engine, books, _):
        heard = await hear(engine)
        assert (heard.text, heard.error) == (TEXT, None)
        assert [event.how for event in books.of(stream_events.StreamRescue)] == ["prefill"]


async def test_after_a_few_characters_only_a_whole_repetition_will_do() -> None:
    scripts = {"a": after(1, CUT), "b": GOOD}
    async with streaming(scripts, b={"capabilities": ["prefill"]}) as (engine, books, _):
        heard = await hear(engine)
        assert heard.text == TEXT
        assert [event.how for event in books.of(stream_events.StreamRescue)] == ["splice"]


LINE = "A line that ends here:"


@pytest.mark.parametrize(
    ("continued", "whole"),
    [("\n  B", f"{LINE}\n  B"), (" \n B", None), ("B", None), (f"{LINE}\n  B", f"{LINE}\n  B")],
)
async def test_blanks_at_the_end_are_not_sent_and_must_come_back(
    continued: str, whole: str | None
) -> None:
    scripts = {"a": Script([chunk({"content": f"{LINE}\n "}), CUT]), "b": Script(frames(continued))}
    async with streaming(scripts, b={"capabilities": ["prefill"]}) as (engine, _, wire):
        heard = await hear(engine)
        assert wire.sent[1][1]["messages"][-1]["content"] == LINE
        assert heard.text == (whole if whole is not None else f"{LINE}\n ")
        assert (heard.error is None) == (whole is not None)


async def test_who_refuses_a_prefill_is_asked_anew_and_the_engine_remembers() -> None:
    refusal = failing(400, message="Prefilling assistant messages is not supported")
    scripts: dict[str, Script | list[Script]] = {"a": after(4, CUT), "b": [refusal, GOOD]}
    own = {"capabilities": ["prefill"], "retry": {"attempts": 1, "base": "10ms"}}
    async with streaming(scripts, b=own) as (engine, books, wire):
        heard = await hear(engine)
        assert heard.error is None
        assert heard.text == TEXT
        assert wire.asked() == "abb"
        assert [each.error for each in heard.stream.result().attempts] == ["reset", "prefill", None]
        again = await hear(engine)
        assert again.text == TEXT
        assert [event.how for event in books.of(stream_events.StreamRescue)] == ["prefill"] + [
            "splice"
        ] * 2


@pytest.mark.parametrize("capability", [[], ["prefill"]])
async def test_never_across_a_function_call(capability: list[str]) -> None:
    whole = [
        chunk({"content": "ok"}),
        chunk({"tool_calls": [CALL]}),
        chunk({"tool_calls": [CALL_END]}),
    ]
    scripts = {"a": Script([*whole[:2], CUT]), "b": Script([*whole, chunk({}, "tool_calls"), DONE])}
    async with streaming(scripts, b={"capabilities": capability}) as (engine, _, wire):
        heard = await hear(engine)
        assert isinstance(heard.error, StreamBroken)
        assert (heard.error.delivered_chars, heard.error.delivered_calls) == (2, 1)
        assert wire.asked() == "a"


async def test_a_call_after_the_delivered_text_goes_through() -> None:
    whole = [
        chunk({"content": "ok"}),
        chunk({"tool_calls": [CALL]}),
        chunk({"tool_calls": [CALL_END]}),
    ]
    scripts = {"a": Script([whole[0], CUT]), "b": Script([*whole, chunk({}, "tool_calls"), DONE])}
    async with streaming(scripts) as (engine, _, _):
        heard = await hear(engine)
        assert heard.error is None
        output = heard.stream.result().output
        assert isinstance(output, ChatOutput)
        assert output.tool_calls == (ToolCall("c1", "f", '{"a": 1}'),)
        assert (output.text, heard.text) == ("ok", "ok")


async def test_a_refused_prefill_does_not_hide_why_the_stream_broke() -> None:
    scripts = {"a": after(4, CUT), "b": failing(400, message="no prefill")}
    async with streaming(scripts, b={"capabilities": ["prefill"]}) as (engine, _, _):
        heard = await hear(engine)
        assert isinstance(heard.error, StreamBroken)
        assert "a/m: reset" in str(heard.error)
        assert "b/m: prefill" in str(heard.error)


async def test_without_fallback_nobody_else_goes_on() -> None:
    async with streaming({"a": after(4, CUT), "b": GOOD}) as (engine, _, wire):
        heard = await hear(engine, Request.chat("hi", fallback=False))
        assert isinstance(heard.error, StreamBroken)
        assert wire.asked() == "a"


async def test_the_last_one_may_go_on_with_its_own_answer() -> None:
    own = {"retry": {"attempts": 1, "base": "10ms"}}
    async with streaming({"a": [after(4, CUT), GOOD]}, a=own) as (engine, books, wire):
        heard = await hear(engine)
        assert (heard.text, wire.asked()) == (TEXT, "aa")
        assert [event.how for event in books.of(stream_events.StreamRescue)] == ["splice"]


async def test_within_a_json_answer_only_an_exact_repetition_will_do() -> None:
    document = '{"animal": "fox", "legs": 4}'
    scripts = {"a": after(2, CUT, text=document), "b": Script(frames(document))}
    async with streaming(scripts, b={"capabilities": ["prefill"]}) as (engine, books, _):
        heard = await hear(engine, Request.chat("hi", json_schema={"type": "object"}))
        assert heard.text == document
        assert [event.how for event in books.of(stream_events.StreamRescue)] == ["splice"]


async def test_what_is_too_long_to_compare_is_only_continued_by_prefill() -> None:
    config = {"stream": {"splice_max": 10}}
    scripts = {"a": after(4, CUT), "b": GOOD}
    async with streaming(scripts, config) as (engine, _, wire):
        heard = await hear(engine)
        assert isinstance(heard.error, StreamBroken)
        assert wire.asked() == "a"
    scripts["c"] = Script(frames(" jumps over the lazy dog"))
    async with streaming(scripts, config, c={"capabilities": ["prefill"]}) as (engine, _, wire):
        heard = await hear(engine)
        assert (heard.text, wire.asked()) == (TEXT, "ac")
        asked = [each.endpoint for each in heard.stream.result().attempts]
        assert asked == ["a/m", "c/m"], "who cannot go on takes none of the attempts"


async def test_what_cannot_be_read_is_skipped_and_counted() -> None:
    good = frames(TEXT)
    junk = Script([*good[:3], b"data: {oops\n\n", *good[3:6], b"data: 42\n\n", *good[6:]])
    async with streaming({"a": junk}) as (engine, books, _):
        heard = await hear(engine)
        assert (heard.text, heard.stream.skipped) == (TEXT, 2)
        assert [event.count for event in books.of(stream_events.StreamSkipped)] == [2]


@pytest.mark.parametrize("end", [(), (CUT,), (HANG,)])
async def test_without_an_end_marker_the_finish_reason_makes_it_whole(
    end: tuple[Step, ...],
) -> None:
    good = frames(TEXT, tokens=None)
    async with streaming({"a": Script([*good[:-1], *end])}) as (engine, books, _):
        heard = await hear(engine)
        assert heard.error is None
        result = heard.stream.result()
        assert result.text == TEXT
        assert result.usage.estimated
        assert result.usage.output_tokens == -(-len(TEXT) // 3)
        assert heard.at_s[-1] == pytest.approx(0.1 + 0.1 * 10)
        assert books.outcomes() == {"ok": 1}


# Limits


async def test_a_silent_start_is_given_up_after_the_limit_that_was_learned() -> None:
    slow = Script([2.0, *frames(TEXT)])
    scripts: dict[str, Script | list[Script]] = {"a": [slow] * 6 + [Script([HANG])], "b": GOOD}
    async with streaming(scripts) as (engine, _, _):
        for _ in range(6):
            assert (await hear(engine, ALONE)).stream.provider == "a"
        began = trio.current_time()
        heard = await hear(engine, ALONE)
        assert heard.stream.provider == "b"
        assert heard.stream.result().attempts[0].error == "stalled"
        limit_s = max(10.0, 4 * 2.3)  # 2.3 s to its first token, as six times before
        assert trio.current_time() - began == pytest.approx(limit_s + 1.4)


async def test_a_slow_but_good_answer_is_not_killed() -> None:
    slow = Script([25.0, *[step for frame in frames(TEXT) for step in (9.0, frame)]])
    async with streaming({"a": slow, "b": GOOD}, {"deadline": "300s"}, a={"timeout": "300s"}) as (
        engine,
        _,
        wire,
    ):
        for _ in range(3):
            heard = await hear(engine, ALONE)
            assert (heard.text, heard.error) == (TEXT, None)
        assert wire.asked() == "aaa"


async def test_a_stall_is_given_up_after_the_limit_that_was_learned() -> None:
    slow = [each for frame in frames(TEXT) for each in (3.9, frame)]
    scripts = {"a": [Script(slow)] * 6 + [after(3, HANG)], "b": GOOD}
    async with streaming(scripts, {"deadline": "1000s"}) as (engine, books, _):
        for _ in range(6):
            assert (await hear(engine)).stream.provider == "a"
        heard = await hear(engine)
        assert (heard.text, heard.stream.provider) == (TEXT, "b")
        (stalled,) = [each for each in books.of(events.AttemptEnded) if each.error == "stalled"]
        limit_s = max(10.0, 4 * 4.0)  # 4 s between two tokens, as six times before
        assert stalled.elapsed_s == pytest.approx(0.1 + 0.1 * 4 + limit_s)


async def test_one_silent_start_cannot_eat_the_whole_time() -> None:
    scripts = {"a": Script([HANG]), "b": GOOD}
    async with streaming(scripts, {"deadline": "20s"}) as (engine, _, _):
        began = trio.current_time()
        heard = await hear(engine, ALONE)
        assert heard.stream.provider == "b"
        assert trio.current_time() - began < 12.0


async def test_the_deadline_ends_a_stream_that_goes_on_and_on() -> None:
    endless = Script([chunk({"content": "x"})] * 10_000)
    async with streaming({"a": endless, "b": GOOD}, {"deadline": "20s"}) as (engine, books, _):
        began = trio.current_time()
        heard = await hear(engine)
        assert isinstance(heard.error, StreamBroken)
        assert heard.text == "x" * heard.error.delivered_chars
        assert trio.current_time() - began == pytest.approx(20.0)
        assert [event.error for event in books.of(events.AttemptEnded)] == ["silent"]


async def test_the_callers_own_time_is_not_the_providers_fault() -> None:
    async def dawdle(heard: Heard) -> None:
        await trio.sleep(30)

    config = {"deadline": "1000s"}
    async with streaming({"a": GOOD}, config, a={"timeout": "20s"}) as (engine, _, _):
        heard = await hear(engine, each=dawdle)
        assert (heard.text, heard.error) == (TEXT, None)
        health = engine._parts.candidates[0].health
        assert health.latency_s(trio.current_time(), 0, 1.0) < 2.0


# Leaving


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_who_leaves_early_settles_at_once(count: int) -> None:
    async with streaming({"a": GOOD}) as (engine, books, wire):
        async with engine.stream(Request.chat("hi")) as stream:
            for _ in range(count):
                await anext(stream)
        (ended,) = books.of(events.AttemptEnded)
        assert (ended.verdict, ended.error) == ("neutral", "cancelled")
        assert ended.cost_usd is not None
        assert ended.cost_usd > 0
        assert books.outcomes() == {"cancelled": 1}
        assert wire.under_way == 0
        with pytest.raises(StreamBroken):
            await anext(stream)
        with pytest.raises(StreamBroken):
            stream.result()


async def test_cancelling_at_any_time_leaves_nothing_behind() -> None:
    for tenth in range(16):
        async with streaming({"a": after(4, CUT), "b": GOOD}) as (engine, books, wire):
            with trio.move_on_after(tenth * 0.1 + 0.05) as scope:
                await hear(engine)
            ended = not scope.cancelled_caught
            assert books.outcomes() == {"ok" if ended else "cancelled": 1}
            assert wire.under_way == 0
            assert all(c.in_flight == 0 for c in engine._parts.candidates)


async def test_a_cancelled_read_is_the_end_and_no_good_one() -> None:
    async with streaming({"a": after(2, HANG)}) as (engine, books, wire):
        stream = engine.stream(Request.chat("hi"))
        async with stream:
            await anext(stream)
            await anext(stream)
            with trio.move_on_after(1.0):
                await anext(stream)
            assert wire.under_way == 0
            assert books.outcomes() == {"cancelled": 1}
            with pytest.raises(StreamBroken):
                await anext(stream)


async def test_an_engine_that_closes_ends_streams_that_nobody_reads() -> None:
    wire = StreamWire({"a": GOOD})
    config: dict[str, Any] = {
        "log": {"level": "off"},
        "providers": {
            "a": {"kind": "openai-compatible", "base_url": "http://a/v1", "models": ["m"]}
        },
    }
    async with open_engine(config, transport=wire, environ={}, drain_s=5.0) as engine:
        stream = await engine.stream(Request.chat("hi")).__aenter__()
        assert isinstance(await anext(stream), TextDelta)
    assert engine._parts.wiring.flights.running == 0
    assert not engine._parts.wiring.flights.permits
    with pytest.raises(ShuttingDown):
        await anext(stream)
    await stream.__aexit__(None, None, None)
    assert wire.under_way == 0


async def test_what_was_not_delivered_when_an_engine_closes_never_is() -> None:
    """The request has its outcome by then: a piece that came after it would belong to nobody."""
    wire = StreamWire({"a": Script([b"".join(frames(TEXT)[:5]), HANG])})
    config: dict[str, Any] = {
        "log": {"level": "off"},
        "providers": {
            "a": {"kind": "openai-compatible", "base_url": "http://a/v1", "models": ["m"]}
        },
    }
    async with open_engine(config, transport=wire, environ={}, drain_s=1.0) as engine:
        stream = await engine.stream(Request.chat("hi")).__aenter__()
        first = await anext(stream)
        assert isinstance(first, TextDelta)
    with pytest.raises(ShuttingDown):
        await anext(stream)
    assert stream.text == first.text
    await stream.__aexit__(None, None, None)


async def test_an_engine_that_closes_ends_a_read() -> None:
    ends: list[Exception | None] = []

    async def read(engine: Any) -> None:
        ends.append((await hear(engine)).error)

    async with trio.open_nursery() as nursery:
        wire = StreamWire({"a": after(2, HANG)})
        config: dict[str, Any] = {
            "log": {"level": "off"},
            "stream": {"gap_max": "1000s"},
            "providers": {
                "a": {"kind": "openai-compatible", "base_url": "http://a/v1", "models": ["m"]}
            },
        }
        async with open_engine(config, transport=wire, environ={}, drain_s=1.0) as engine:
            nursery.start_soon(read, engine)
            await trio.sleep(2)
    assert len(ends) == 1
    assert isinstance(ends[0], ShuttingDown)
    assert wire.under_way == 0


# What does not stream


async def test_functions_and_stand_ins_answer_in_one_piece() -> None:
    async def steady(request: Request) -> str:
        return TEXT

    config: dict[str, Any] = {"log": {"level": "off"}, "functions": {"steady": steady}}
    async with open_engine(config, environ={}) as engine:
        heard = await hear(engine)
        assert heard.texts == [TEXT]
        assert heard.stream.result().text == TEXT
    config = {"log": {"level": "off"}, "providers": {"local": {"reply": "busy"}}}
    async with open_engine(config, environ={}) as engine:
        heard = await hear(engine)
        assert heard.texts == ["busy"]
        assert heard.stream.result().degraded


async def test_configured_content_is_delivered_when_nobody_has_begun() -> None:
    config = {"degraded": {"chat": "Sorry."}}
    async with streaming({"a": failing(500)}, config) as (engine, books, _):
        heard = await hear(engine)
        assert (heard.texts, heard.stream.result().degraded) == (["Sorry."], True)
        assert books.outcomes() == {"degraded": 1}
    async with streaming({"a": after(3, CUT)}, config) as (engine, _, _):
        heard = await hear(engine)
        assert isinstance(heard.error, StreamBroken)


async def test_a_server_that_does_not_stream_although_asked_to() -> None:
    whole = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'
    answer = Script([whole], headers={"content-type": "application/json"})
    async with streaming({"a": answer}) as (engine, _, _):
        heard = await hear(engine)
        assert heard.texts == ["hi"]


async def test_token_counts_are_deltas_too() -> None:
    async with (
        streaming({"a": GOOD}) as (engine, _, _),
        engine.stream(Request.chat("hi")) as stream,
    ):
        counts = [delta.usage async for delta in stream if isinstance(delta, UsageDelta)]
        assert counts == [stream.result().usage]


async def test_only_one_task_reads() -> None:
    async with (
        streaming({"a": GOOD}) as (engine, _, _),
        engine.stream(Request.chat("hi")) as stream,
        trio.open_nursery() as nursery,
    ):
        await anext(stream)
        nursery.start_soon(anext, stream)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="only one"):
            await anext(stream)


async def test_a_stream_is_entered_once_and_its_result_comes_last() -> None:
    async with streaming({"a": GOOD}) as (engine, _, _):
        stream = engine.stream(Request.chat("hi"))
        with pytest.raises(RuntimeError):
            stream.result()
        async with stream:
            with pytest.raises(RuntimeError):
                stream.result()
            with pytest.raises(RuntimeError):
                await stream.__aenter__()
            assert stream.provider == "a"
            assert "open" in repr(stream)
            [_ async for _ in stream]
            assert stream.result().text == TEXT
        assert stream.result().text == TEXT
