"""Fifty reloads under load, over real sockets: nobody is lost, no stream cut, nothing left."""

from __future__ import annotations

from typing import Any, Final

import pytest
import trio

from tests.engine.house import Books, tasks
from tests.engine.streaming.lines import Heard, hear
from tests.live.test_streams import REPLY, config, mocks, whole
from understudy import Engine, Request, Result, open_engine
from understudy_actors.domain.reload_events import ConfigReloaded
from understudy_sim.mock.settings import Behaviour

pytestmark = pytest.mark.wall_clock

RELOADS: Final = 50
KINDS: Final = ("openai-compatible", "anthropic", "openai-compatible")


async def test_fifty_reloads_lose_nobody() -> None:
    behaviours = [Behaviour(reply=REPLY, latency_s=0.01, tokens_per_s=300) for _ in KINDS]
    async with mocks(*behaviours) as handles:
        wide = {"concurrency": {"initial": 256, "max": 256}}
        own: dict[str, Any] = {"p0": wide, "p1": wide, "p2": wide}
        limits = {"first_token_min": "20s", "first_token_max": "20s", "hedge": {"enabled": False}}
        own["config"] = {"monitoring": False, "deadline": "60s", "stream": limits}
        table = config(handles, KINDS, **own)
        before = tasks()
        async with open_engine(table, environ={}) as engine:
            books, heard, got = Books(engine), dict[int, Heard](), list[Result]()
            async with trio.open_nursery() as nursery:
                for at in range(RELOADS):
                    for number in range(2):
                        nursery.start_soon(_stream, engine, 2 * at + number, heard)
                    nursery.start_soon(_ask, engine, got)
                    await trio.sleep(0.02)
                    await engine.reload(_turned(table, at))
            assert len(got) == RELOADS
            for number, each in heard.items():
                assert (each.error, each.text) == (None, whole(f"number {number}"))
            assert len(heard) == 2 * RELOADS
            assert len(books.of(ConfigReloaded)) == RELOADS
            books.balance()
            assert books.outcomes() == {"ok": 3 * RELOADS}
            with trio.fail_after(5):
                while engine._parts.earlier:  # noqa: ASYNC110
                    await trio.sleep(0.01)
            assert set(engine._parts.posts.providers) == set(engine._parts.config.providers)
            assert all(not each.elders for each in engine._parts.candidates)
            transport = getattr(engine._parts.transport, "_real", None)
            assert transport is not None
            assert transport.in_flight == 0
            gone = [int(name[1:]) for name in table["providers"] if name not in _now(engine)]
            with trio.fail_after(5):  # nobody talks to them any more
                while any(handles[at].control.stats.open_connections for at in gone):  # noqa: ASYNC110
                    await trio.sleep(0.01)
        with trio.fail_after(5):
            while tasks() > before or any(h.control.stats.open_connections for h in handles):  # noqa: ASYNC110
                await trio.sleep(0.01)


def _now(engine: Engine) -> set[str]:
    return set(engine._parts.config.providers)


def _turned(table: dict[str, Any], at: int) -> dict[str, Any]:
    """Two of the three providers, each time others, with other weights."""
    names = list(table["providers"])
    staying = [name for place, name in enumerate(names) if place != at % len(names)]
    return {
        **table,
        "strategy": ("priority", "weighted", "adaptive")[at % 3],
        "providers": {n: {**table["providers"][n], "weight": 1 + at % 4} for n in staying},
    }


async def _stream(engine: Engine, number: int, heard: dict[int, Heard]) -> None:
    heard[number] = await hear(engine, Request.chat(f"number {number}"))


async def _ask(engine: Engine, got: list[Result]) -> None:
    got.append(await engine.route(Request.chat("a whole answer")))
