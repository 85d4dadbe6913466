"""Hedged streams: the copy that begins first is read on, and nothing of the other one is left."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings, strategies as st

from tests.engine.house import house, tasks
from tests.engine.streaming.lines import (
    CUT,
    HANG,
    Heard,
    Held,
    Script,
    Step,
    StreamWire,
    failing,
    frames,
    hear,
    providers,
    streaming,
)
from tests.engine.streaming.test_streams import ALONE, GOOD, JSON, TEXT, after
from tests.engine.test_cancellation import STEPS_MAX, cancelled_at
from understudy import AllAttemptsFailed, Engine, Request, ShuttingDown, StreamBroken
from understudy_actors.domain import events, stream_events
from understudy_actors.domain.hedge_events import HedgeLaunched, HedgeWon

FLOOR_S = 8.0
FIRST_S = 0.3
"""So long after it was asked `GOOD` delivers its first word; the last one 0.8 s later."""
KNOWN = 20
PATIENT = {"deadline": "300s"}
WHOLE = b'{"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}'


def late(seconds: float, *steps: Any) -> Script:
    """An answer whose first piece is so much later than that of `GOOD`."""
    return Script([seconds, *(steps or frames(TEXT))])


async def test_a_stream_that_does_not_begin_is_answered_by_another_and_nobody_is_blamed() -> None:
    async with streaming({"a": late(20.0), "b": GOOD}) as (engine, books, wire):
        at_rest = tasks()
        heard = await hear(engine)
        assert (heard.text, heard.stream.provider) == (TEXT, "b")
        assert heard.at_s[0] == pytest.approx(FLOOR_S + FIRST_S)
        assert heard.at_s[-1] < 15.0
        first, second = heard.stream.result().attempts
        assert (first.endpoint, first.outcome, first.error) == ("a/m", "neutral", "cancelled")
        assert first.reason == "another copy answered first"
        assert (second.endpoint, second.outcome) == ("b/m", "ok")
        (launched,), (won,) = books.of(HedgeLaunched), books.of(HedgeWon)
        assert (launched.endpoint, launched.after_s) == ("b/m", FLOOR_S)
        assert won.attempt == launched.attempt
        assert [each.failures for each in engine.health()] == [0, 0]
        assert wire.under_way == 0
        assert tasks() == at_rest
        assert books.outcomes() == {"ok": 1}


async def test_the_first_copy_may_still_begin_first() -> None:
    async with streaming({"a": late(10.0), "b": Script([HANG])}) as (engine, books, wire):
        heard = await hear(engine)
        assert (heard.text, heard.stream.provider) == (TEXT, "a")
        assert heard.at_s[0] == pytest.approx(10.0 + FIRST_S)
        ended = [(each.endpoint, each.error) for each in heard.stream.result().attempts]
        assert ended == [("b/m", "cancelled"), ("a/m", None)]
        assert wire.asked() == "ab"
        assert [each.endpoint for each in books.of(HedgeWon)] == ["a/m"]
        assert heard.stream._flight is not None
        assert heard.stream._flight.tried[-1].name == "a/m", "who is asked again if it breaks off"


REFUSED = failing(400, code="content_policy_violation")


@pytest.mark.parametrize("error", [failing(500), failing(429), REFUSED, after(0, CUT)])
async def test_a_second_copy_that_fails_never_wins(error: Script) -> None:
    async with streaming({"a": late(20.0), "b": error}) as (engine, books, wire):
        heard = await hear(engine)
        assert (heard.text, heard.stream.provider, wire.asked()) == (TEXT, "a", "ab")
        assert heard.at_s[0] == pytest.approx(20.0 + FIRST_S)
        assert [each.error is None for each in heard.stream.result().attempts] == [False, True]
        assert [each.endpoint for each in books.of(HedgeWon)] == ["a/m"]


async def test_a_first_copy_that_fails_leaves_the_race_to_the_second() -> None:
    scripts = {"a": late(9.0, CUT), "b": late(4.0), "c": GOOD}
    async with streaming(scripts) as (engine, books, wire):
        heard = await hear(engine)
        assert (heard.text, heard.stream.provider, wire.asked()) == (TEXT, "b", "ab")
        assert not books.of(events.FailedOver), "the other copy was under way"


async def test_after_both_have_failed_the_request_goes_on() -> None:
    scripts = {"a": late(9.0, CUT), "b": late(4.0, CUT), "c": GOOD}
    async with streaming(scripts) as (engine, books, wire):
        heard = await hear(engine)
        assert (heard.text, wire.asked()) == (TEXT, "abc")
        assert len(heard.stream.result().attempts) == 3
        assert not books.of(HedgeWon)


async def test_of_two_that_begin_in_the_same_instant_one_is_read_and_one_left() -> None:
    role, word, *others = frames(TEXT)
    winners = set()
    for _ in range(40):
        now = trio.Event()
        both = Script([Held(now, role + word), *others])
        async with streaming({"a": both, "b": both}) as (engine, books, wire):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_set, now, 10.0)
                nursery.start_soon(hear, engine, Request.chat("hi"))
                await trio.sleep(10.5)
                assert wire.under_way == 1, "only one is read on"
            (won,) = books.of(HedgeWon)
            ends = {e.endpoint: e.error for e in books.of(events.AttemptEnded)}
            assert ends == {**dict.fromkeys(("a/m", "b/m"), "cancelled"), won.endpoint: None}
            (commit,) = books.of(stream_events.AttemptCommitted)
            assert commit.endpoint == won.endpoint
            assert books.outcomes() == {"ok": 1}
            books.balance()
            winners.add(won.endpoint)
    assert winners == {"a/m", "b/m"}, "either may be first"


async def _set(event: trio.Event, after_s: float) -> None:
    await trio.sleep(after_s)
    event.set()


async def test_an_answer_that_comes_as_a_whole_stands_last_though_it_is_settled_first() -> None:
    whole = Script([WHOLE], headers=JSON)
    async with streaming({"a": late(20.0), "b": whole}) as (engine, _, _w):
        heard = await hear(engine)
        assert (heard.text, heard.stream.provider) == ("whole", "b")
        ended = [(each.endpoint, each.error) for each in heard.stream.result().attempts]
        assert ended == [("a/m", "cancelled"), ("b/m", None)]


async def test_earlier_failures_stand_before_the_race() -> None:
    scripts = {"a": failing(500), "b": late(20.0), "c": GOOD}
    async with streaming(scripts) as (engine, _, _w):
        heard = await hear(engine)
        ended = [(each.endpoint, each.error) for each in heard.stream.result().attempts]
        assert ended == [("a/m", "server"), ("b/m", "cancelled"), ("c/m", None)]


async def test_a_winner_that_breaks_off_is_rescued_by_one_at_a_time() -> None:
    scripts = {"a": late(20.0), "b": after(3, CUT), "c": late(20.0), "d": GOOD}
    async with streaming(scripts, PATIENT) as (engine, books, wire):
        heard = await hear(engine)
        assert (heard.text, wire.asked()) == (TEXT, "abc")
        assert [each.how for each in books.of(stream_events.StreamRescue)] == ["splice"]
        assert len(books.of(HedgeLaunched)) == 1


async def test_a_rescue_is_never_hedged() -> None:
    scripts = {"a": after(3, CUT), "b": late(20.0), "c": GOOD}
    async with streaming(scripts, PATIENT) as (engine, books, wire):
        heard = await hear(engine)
        assert (heard.text, wire.asked()) == (TEXT, "ab")
        assert not books.of(HedgeLaunched)


async def test_who_leaves_after_the_race_has_left_by_himself() -> None:
    async with streaming({"a": late(20.0), "b": GOOD}) as (engine, books, _):
        async with engine.stream(Request.chat("hi")) as stream:
            await anext(stream)
        assert stream._flight is not None
        reasons = [each.reason for each in stream._flight.attempts]
        assert reasons == ["another copy answered first", "the caller left"]
        assert books.outcomes() == {"cancelled": 1}


@pytest.mark.parametrize(
    ("request_", "config"),
    [
        (ALONE, {}),
        (Request.chat("hi"), {"stream": {"hedge": False}}),
        (Request.chat("hi"), {"stream": {"hedge": {"enabled": False, "floor": 1}}}),
        (Request.chat("hi"), {"operations": {"chat": {"hedge": False}}}),
        (Request.chat("hi", fallback=False), {}),
        (Request.chat("hi", max_attempts=1), {}),
        (Request.chat("hi"), {"own": {"a": {"stream": {"hedge": False}}}}),
        (Request.chat("hi"), {"own": {n: {"failure_domain": "cloud"} for n in "ab"}}),
        (Request.chat("hi"), {"hedge": {"share": 0, "burst": 0.5}}),
        (Request.chat("hi"), {"retry": {"budget": {"start": 0, "ratio": 0, "per_second": 0}}}),
    ],
    ids=str,
)
async def test_no_second_copy_goes_out(request_: Request, config: dict[str, Any]) -> None:
    keys = {key: value for key, value in config.items() if key != "own"}
    scripts = {"a": late(9.0), "b": GOOD}
    async with streaming(scripts, keys, **config.get("own", {})) as (engine, books, wire):
        heard = await hear(engine, request_)
        assert (heard.text, wire.asked()) == (TEXT, "a")
        assert not books.of(HedgeLaunched)


@pytest.mark.parametrize(
    ("request_", "config"),
    [
        (Request.chat("hi"), {}),
        (Request.chat("hi"), {"hedge": False}),
        (Request.chat("hi", hedge=True), {"stream": {"hedge": False}}),
        (Request.chat("hi"), {"stream": {"hedge": False}, "operations": {"chat": {"hedge": True}}}),
    ],
    ids=str,
)
async def test_it_is_on_unless_switched_off_and_may_be_asked_for(
    request_: Request, config: dict[str, Any]
) -> None:
    async with streaming({"a": late(20.0), "b": GOOD}, config) as (engine, books, _):
        assert (await hear(engine, request_)).stream.provider == "b"
        assert len(books.of(HedgeLaunched)) == 1


async def test_the_wait_is_learned_once_enough_was_seen() -> None:
    scripts = {"a": [*[late(12.0)] * KNOWN, Script([HANG])], "b": GOOD}
    async with streaming(scripts, PATIENT) as (engine, books, _):
        for _ in range(KNOWN):
            assert (await hear(engine, ALONE)).stream.provider == "a"
        assert (await hear(engine)).stream.provider == "b"
        assert [e.after_s for e in books.of(HedgeLaunched)] == [
            pytest.approx(1.5 * (12.0 + FIRST_S))
        ]


@pytest.mark.parametrize("usual_s", [0.1, 3.0, 5.0, 7.0, 12.0, 25.0])
async def test_no_learned_limit_ends_the_first_copy_before_the_second_goes_out(
    usual_s: float,
) -> None:
    scripts = {"a": [*[late(usual_s)] * KNOWN, Script([HANG])], "b": GOOD}
    async with streaming(scripts, PATIENT, a={"timeout": "300s"}) as (engine, books, _):
        for _ in range(KNOWN):
            await hear(engine, ALONE)
        heard = await hear(engine)
        assert heard.stream.result().attempts[0].error == "cancelled"
        assert len(books.of(HedgeLaunched)) == 1


async def test_plain_and_streamed_copies_share_one_budget() -> None:
    config = {"hedge": {"share": 0.0, "burst": 2, "concurrent": 8}, **PATIENT}
    async with streaming({"a": late(20.0), "b": GOOD}, config) as (engine, books, _):
        providers = [(await hear(engine)).stream.provider for _ in range(4)]
        assert providers == ["b", "b", "a", "a"]
        assert len(books.of(HedgeLaunched)) == 2


async def test_the_money_for_both_copies_is_set_aside_and_both_are_booked() -> None:
    asked = Request.chat("hi", max_tokens=100)
    own = {name: {"price": {"request": 0.01}} for name in "ab"}
    for limit, copied in ((0.015, False), (0.025, True)):
        config = {"budgets": [{"usd": limit, "per": "day"}]}
        async with streaming({"a": late(20.0), "b": GOOD}, config, **own) as (engine, books, _):
            heard = await hear(engine, asked)
            assert heard.stream.provider == ("b" if copied else "a")
            assert bool(books.of(HedgeLaunched)) is copied
            (budget,) = engine.budgets()
            assert budget.reserved_usd == 0
            assert budget.spent_usd == pytest.approx(0.02 if copied else 0.01)


async def test_no_task_is_spawned_before_a_copy_goes_out() -> None:
    async with streaming({"a": late(7.0), "b": GOOD}) as (engine, _, _w):
        at_rest = tasks()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hear, engine)
            await trio.sleep(7.0)
            assert tasks() == at_rest + 1


WORLDS: dict[str, dict[str, Any]] = {
    "the copy wins": {"a": late(20.0), "b": GOOD},
    "the first wins": {"a": late(8.5), "b": late(3.0)},
    "both fail": {"a": late(9.0, CUT), "b": late(2.0, CUT), "c": GOOD},
    "the head is late": {"a": Script(wait_s=HANG), "b": GOOD},
    "both hang": {"a": Script([HANG]), "b": Script(wait_s=HANG)},
}


@pytest.mark.parametrize("before", [False, True], ids=["waiting", "going on"])
@pytest.mark.parametrize("name", WORLDS)
async def test_cancelling_at_any_step_of_a_race_settles_both_copies(
    name: str, before: bool
) -> None:
    cancelled = 0
    for step in range(0 if before else 1, STEPS_MAX):
        async with streaming(WORLDS[name], {"deadline": "20s"}) as (engine, books, wire):
            caught = await cancelled_at(step, before, _read, engine)
            books.balance()
            assert wire.under_way == 0
            if caught:
                assert books.outcomes()["cancelled"] == 1
        cancelled += caught
        if not caught and step > cancelled + 2:
            break
    else:
        raise AssertionError(f"{name} does not end within {STEPS_MAX} steps")
    assert cancelled > 2


async def _read(engine: Engine) -> None:
    await hear(engine)


@pytest.mark.parametrize("after_s", [8.0, 8.1, 8.2, 8.3, 8.4, 8.5, 9.0])
async def test_leaving_in_the_middle_of_a_race_settles_both_copies(after_s: float) -> None:
    async with streaming({"a": late(20.0), "b": GOOD}) as (engine, books, wire):
        at_rest = tasks()
        with trio.move_on_after(after_s) as leaving:
            await hear(engine)
        assert leaving.cancelled_caught
        assert wire.under_way == 0
        ended = Counter((e.error, e.verdict) for e in books.of(events.AttemptEnded))
        assert set(ended) == {("cancelled", "neutral")}
        assert books.outcomes() == {"cancelled": 1}
        assert tasks() == at_rest


@pytest.mark.parametrize("drain_s", [8.05, 8.15, 8.25, 8.35, 8.5])
async def test_closing_the_engine_ends_a_race(drain_s: float) -> None:
    heard: list[Heard] = []

    async def read(engine: Engine) -> None:
        heard.append(await hear(engine))

    async with trio.open_nursery() as nursery:
        wire = StreamWire({"a": late(20.0), "b": GOOD})
        table = {"strategy": "priority", "providers": providers("a", "b")}
        async with house(table, transport=wire, drain_s=drain_s) as (engine, books):
            nursery.start_soon(read, engine)
            await trio.testing.wait_all_tasks_blocked()
        assert len(books.of(HedgeLaunched)) == 1
    assert isinstance(heard[0].error, ShuttingDown)
    assert wire.under_way == 0


SLOW_TO_CLOSE = Script([20.0, *frames(TEXT)], close_s=1.0)
"""When `GOOD` has begun beside it, the race is wound up from 8.3 to 9.3 s."""


async def test_a_winner_is_not_forgotten_if_the_caller_leaves_while_the_race_is_wound_up() -> None:
    async with streaming({"a": SLOW_TO_CLOSE, "b": GOOD}) as (engine, books, wire):
        with trio.move_on_after(8.8) as leaving:
            await hear(engine)
        assert leaving.cancelled_caught
        assert wire.under_way == 0
        books.balance()
        assert books.outcomes() == {"cancelled": 1}


async def test_a_winner_is_not_read_if_the_engine_closes_while_the_race_is_wound_up() -> None:
    heard: list[Heard] = []

    async def read(engine: Engine) -> None:
        heard.append(await hear(engine))

    async with trio.open_nursery() as nursery:
        wire = StreamWire({"a": SLOW_TO_CLOSE, "b": GOOD})
        table = {"strategy": "priority", "providers": providers("a", "b")}
        async with house(table, transport=wire, drain_s=8.8) as (engine, _):
            nursery.start_soon(read, engine)
            await trio.testing.wait_all_tasks_blocked()
    assert isinstance(heard[0].error, ShuttingDown)
    assert (heard[0].text, wire.under_way) == ("", 0)


ENDS = st.sampled_from(["ok", "error", "cut", "broken"])


def _script(begins_s: int, end: str) -> Script:
    bodies: dict[str, list[Step]] = {
        "ok": [*frames(TEXT)],
        "error": [b'data: {"error": {"message": "no", "type": "server_error"}}\n\n'],
        "cut": [CUT],
        "broken": [*frames(TEXT)[:4], CUT],
    }
    return Script([float(begins_s), *bodies[end]])


@given(st.integers(3, 14), ENDS, st.integers(0, 14), ENDS, ENDS)
@settings(max_examples=150, deadline=None)
def test_the_earliest_to_begin_is_read_and_every_byte_is_right(
    first_s: int, first: str, second_s: int, second: str, third: str
) -> None:
    """Its copy goes out after 2.5 s, so that no two begin together."""

    async def main() -> None:
        scripts = {
            "a": _script(first_s, first),
            "b": _script(second_s, second),
            "c": _script(0, third),
        }
        config = {"stream": {"hedge": {"floor": 2.5}}, "deadline": "300s"}
        async with streaming(scripts, config) as (engine, books, wire):
            heard = await hear(engine, Request.chat("hi", max_attempts=3))
            assert TEXT.startswith(heard.text)
            if heard.error is None:
                assert heard.text == TEXT
            else:
                assert isinstance(heard.error, StreamBroken if heard.text else AllAttemptsFailed)
            begun: dict[float, str] = {}
            if first in ("ok", "broken"):
                begun[float(first_s)] = "a"
            if second in ("ok", "broken"):
                begun[2.5 + second_s] = "b"
            if begun:
                assert [each.endpoint for each in books.of(HedgeWon)] == [f"{begun[min(begun)]}/m"]
                assert heard.at_s[0] == pytest.approx(min(begun) + FIRST_S)
            assert len(books.of(HedgeLaunched)) == 1
            books.balance()
            assert wire.under_way == 0

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
