"""Budgets hold for streams as well: whole, broken, rescued, and left early."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.engine.streaming.lines import CUT, HANG, Script, frames, hear, streaming
from tests.engine.streaming.test_streams import GOOD, TEXT, after
from understudy import AllAttemptsFailed, NoCandidate, OverBudget, Request, StreamBroken
from understudy_actors.domain.money_events import BoundBreached, MoneyCharged
from understudy_sim.mock.wire import Tokens

ASK = Request.chat("hi", max_tokens=100)


def budget(usd: float) -> dict[str, Any]:
    return {"budgets": [{"usd": usd}], "retry": {"guard": False}}


async def test_a_whole_stream_is_charged_by_its_own_count_and_a_broken_one_in_full() -> None:
    async with streaming({"a": after(4, CUT), "b": GOOD}, budget(1.0)) as (engine, books, _):
        heard = await hear(engine, ASK)
        assert heard.text == TEXT
        broken, whole = books.of(MoneyCharged)
        assert (broken.known, whole.known) == (False, True)
        assert whole.micro_usd == 10 + 2 * 20  # as the provider counted
        assert broken.micro_usd > whole.micro_usd  # its worst case: nobody knows better
        (left,) = engine.budgets()
        assert left.reserved_usd == 0
        assert left.spent_usd == pytest.approx((broken.micro_usd + whole.micro_usd) / 1e6)


async def test_a_flood_of_streams_never_overspends() -> None:
    scripts = {
        "a": [GOOD, after(4, CUT), after(2), Script([HANG]), after(0, CUT), after(5, HANG)] * 20,
        "b": Script(frames(TEXT, tokens=Tokens(2, 100))),
    }
    wide = {"concurrency": {"initial": 200, "max": 256}}
    ends: list[Exception | None] = []
    async with streaming(scripts, budget(0.02), a=wide, b=wide) as (engine, books, _):

        async def one(number: int) -> None:
            with trio.move_on_after(1.0 if number % 5 == 0 else 1e6):
                ends.append((await hear(engine, ASK)).error)

        async with trio.open_nursery() as nursery:
            for number in range(150):
                nursery.start_soon(one, number)
        (left,) = engine.budgets()
        assert left.spent_usd <= 0.02
        assert left.reserved_usd == 0
        assert books.of(BoundBreached) == []
        assert None in ends
        assert any(isinstance(end, OverBudget) for end in ends)
        allowed = (OverBudget, StreamBroken, AllAttemptsFailed, NoCandidate)
        assert all(end is None or isinstance(end, allowed) for end in ends)


async def test_who_goes_on_is_paid_for_what_it_is_given_to_go_on_from() -> None:
    words = TEXT.split()
    given, rest = " ".join(words[:8]), " " + words[8]
    scripts = {
        "a": after(8, CUT),
        "b": Script(frames(rest, tokens=Tokens(5 + 4 + len(given) // 3, 10))),
    }
    dear = {"models": [{"name": "m", "price": {"input": 1000.0, "output": 1.0}}]}
    own = {**dear, "capabilities": ["prefill"]}
    async with streaming(scripts, budget(1.0), a=dear, b=own) as (engine, books, _):
        heard = await hear(engine, Request.chat("hi", max_tokens=10))
        assert heard.text == TEXT
        assert books.of(BoundBreached) == [], "the prompt is longer by what was delivered"
        assert heard.stream.result().attempts[-1].cost_usd is not None
