"""A stream may be cancelled at any step of its task: it settles at once, and nothing is left."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.streaming.lines import CUT, HANG, Script, failing, hear, streaming
from tests.engine.streaming.test_streams import GOOD, after
from tests.engine.test_cancellation import STEPS_MAX, cancelled_at
from understudy import Engine
from understudy_actors.domain import events

WORLDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a good stream": ({"a": GOOD}, {}),
    "a failover before the first piece": ({"a": failing(500), "b": GOOD}, {}),
    "a splice": ({"a": after(3, CUT), "b": GOOD}, {}),
    "a prefill": ({"a": after(3, CUT), "b": GOOD}, {"b": {"capabilities": ["prefill"]}}),
    "a stall, then a splice": ({"a": after(3, HANG), "b": GOOD}, {}),
    "an honest error": ({"a": after(3, CUT), "b": Script([])}, {}),
}


async def _read(engine: Engine) -> None:
    await hear(engine)


@pytest.mark.parametrize("before", [False, True], ids=["waiting", "going on"])
@pytest.mark.parametrize("name", WORLDS)
async def test_cancelling_at_any_step_settles_at_once(name: str, before: bool) -> None:
    scripts, own = WORLDS[name]
    cancelled = 0
    for step in range(0 if before else 1, STEPS_MAX):
        async with streaming(scripts, **own) as (engine, books, wire):
            caught = await cancelled_at(step, before, _read, engine)
            books.balance()
            assert wire.under_way == 0
            if caught:
                assert books.outcomes()["cancelled"] == 1
                left = [e for e in books.of(events.AttemptEnded) if e.error == "cancelled"]
                assert len(left) <= 1
                assert all((e.verdict, e.origin) == ("neutral", "local") for e in left)
        cancelled += caught
        if not caught and step > cancelled + 2:
            break
    else:
        raise AssertionError(f"{name} does not end within {STEPS_MAX} steps")
    assert cancelled > 10
