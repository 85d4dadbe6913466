"""A thousand requests at once over real sockets to three providers that fail in every way."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import trio

from tests.engine.house import Books, tasks
from understudy import Engine, Request, UnderstudyError, open_engine
from understudy.ports import Ports
from understudy_actors.domain import events
from understudy_actors.runtime.ports import Randomness
from understudy_sim.mock import MockHandle, MockSettings, running_mock
from understudy_sim.mock.settings import Behaviour

REQUESTS: Final = 1000
DEADLINE_S: Final = 6.0
EPSILON_S: Final = 1.5
"""For two busy cores: a task that is due may be far down the run queue."""

FAULTS: Final = [
    {"kind": "status", "statuses": [500, 502, 503], "share": 0.2},
    {"kind": "rate_limit", "share": 0.1, "retry_after": "missing"},
    {"kind": "hang", "share": 0.05},
    {"kind": "cut", "share": 0.05},
]


@contextlib.asynccontextmanager
async def _mocks(seed: int) -> AsyncIterator[list[MockHandle]]:
    async with contextlib.AsyncExitStack() as stack:
        handles = []
        for at in range(3):
            settings = MockSettings(
                provider=f"m{at}", seed=seed + at, behaviour=Behaviour(latency_s=0.005)
            )
            handle = await stack.enter_async_context(running_mock(settings))
            handle.control.set_schedule(FAULTS)
            handles.append(handle)
        await trio.sleep(0.05)  # until each listens
        yield handles


def _config(handles: list[MockHandle], **own: Any) -> dict[str, Any]:
    """Two providers of one family and one of the other."""
    first, second, third = (handle.url for handle in handles)
    common = {"models": ["m"], "timeout": "0.7s", **own}
    return {
        "log": {"level": "off"},
        "deadline": DEADLINE_S,
        "breaker": {"preset": "default", "cooldown": "0.2s", "cap": "0.5s"},
        "retry": {"base": "50ms", "cap": "400ms"},
        "providers": {
            "first": {"kind": "openai-compatible", "base_url": f"{first}/v1", **common},
            "second": {"kind": "openai-compatible", "base_url": f"{second}/v1", **common},
            "third": {"kind": "anthropic", "base_url": third, **common},
        },
    }


async def _ask(engine: Engine, number: int, ends: dict[int, tuple[str, float]]) -> None:
    started = trio.current_time()
    try:
        result = await engine.route(Request.chat(f"number {number}"))
        assert result.text.startswith("Answer")
        status = "ok"
    except UnderstudyError as error:
        status = type(error).__name__
    assert number not in ends
    ends[number] = (status, trio.current_time() - started)


@pytest.mark.wall_clock
@pytest.mark.parametrize(
    ("own", "least_ok"),
    [({}, 60), ({"concurrency": {"initial": 64, "max": 256}}, 100)],
    ids=["default concurrency", "larger concurrency"],
)
async def test_a_thousand_at_once_all_end_once_in_time_and_leave_nothing(
    own: dict[str, Any], least_ok: int
) -> None:
    async with _mocks(seed=11) as handles:
        before = tasks()
        ends: dict[int, tuple[str, float]] = {}
        ports = Ports(randomness=Randomness(5))
        async with open_engine(_config(handles, **own), ports=ports, environ={}) as engine:
            books = Books(engine)
            async with trio.open_nursery() as nursery:
                for number in range(REQUESTS):
                    nursery.start_soon(_ask, engine, number, ends)
            _idle(engine, books)
        books.balance()
        await _all_left(handles, before)
    told = Counter(status for status, _ in ends.values())
    assert len(ends) == REQUESTS
    assert books.outcomes() == told
    assert max(elapsed_s for _, elapsed_s in ends.values()) <= DEADLINE_S + EPSILON_S
    assert set(told) <= {"ok", "AllAttemptsFailed", "NoCandidate", "Overloaded"}
    assert told["ok"] >= least_ok
    _faults_were_met(handles, books)


def _idle(engine: Engine, books: Books) -> None:
    """Nobody is under way: every count of the engine says so."""
    books.balance()
    status = engine.status()
    assert (status.running, status.waiting) == (0, 0)
    assert [each.in_flight for each in engine.health()] == [0, 0, 0]
    assert all(event.in_flight >= 0 for event in books.of(events.SlotFreed))
    transport = getattr(engine._parts.transport, "_real", None)
    assert transport is not None
    assert transport.in_flight == 0


async def _all_left(handles: list[MockHandle], before: int) -> None:
    """The providers find everybody gone, and no task is left (their own connections' aside)."""
    with trio.fail_after(5):
        while tasks() > before or any(h.control.stats.open_connections for h in handles):  # noqa: ASYNC110
            await trio.sleep(0.01)
    assert tasks() == before
    assert [handle.control.stats.in_flight for handle in handles] == [0, 0, 0]


def _faults_were_met(handles: list[MockHandle], books: Books) -> None:
    """The storm took place: every kind of fault hit, and each is seen as what it is."""
    met: Counter[str] = Counter()
    for handle in handles:
        met.update(handle.control.stats.faults)
    assert all(met[kind] > 0 for kind in ("status", "rate_limit", "hang", "cut"))
    seen = Counter(event.error for event in books.of(events.AttemptEnded))
    assert all(seen[kind] > 0 for kind in ("server", "rate_limit", "silent", "reset"))
