"""A real file on a disk that takes no more: who goes on, who stops, and that nothing is torn."""

from __future__ import annotations

import resource
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from understudy import ChatOutput, Reply, Request, UnderstudyError, Usage, open_engine
from understudy_actors.domain.store_events import StoreFailing, StoreWorking


@contextmanager
def no_room(path: Path) -> Iterator[None]:
    """Files of this process cannot grow beyond what the store's log has now: EFBIG, as a quota."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = path.with_name(f"{path.name}-wal")
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only(database: Any) -> Iterator[None]:
    """The store's connection may only read."""
    run = database._connection.exec_driver_sql
    run("PRAGMA query_only = ON")
    database._connection.commit()
    try:
        yield
    finally:
        run("PRAGMA query_only = OFF")
        database._connection.commit()


async def answer(request: Request) -> Reply:
    return Reply(ChatOutput("ok"), Usage(0, 7))


async def ask(engine: Any, times: int) -> Counter[str]:
    statuses = Counter[str]()
    for _ in range(times):
        try:
            await engine.route(Request.chat("hi", max_tokens=10, timeout_s=1.0, user="u" * 150))
            statuses["ok"] += 1
        except UnderstudyError as error:
            told = "the store cannot keep what is spent" in str(error)
            statuses[type(error).__name__ if told else str(error)] += 1
        await trio.sleep(0.005)
    return statuses


@pytest.mark.wall_clock
@pytest.mark.parametrize("how", ["full", "read-only"])
@pytest.mark.parametrize("durability", ["batched", "strict"])
async def test_a_store_that_cannot_be_written_stops_money_or_nobody(
    durability: str, how: str, tmp_path: Path
) -> None:
    path = tmp_path / "store.db"
    model = {"name": "m", "price": {"input": 0, "output": 10}}
    config = {
        "log": {"level": "off"},
        "store": {"path": str(path), "durability": durability, "interval": "10ms"},
        "providers": {"p": {"models": [model]}},
        "budgets": [{"usd": 1.0, "per": "total"}],
    }
    heard: list[Any] = []
    async with open_engine(config, functions={"p": answer}, environ={}) as engine:
        engine.listen(lambda _, event: heard.append(event), fine=False)
        assert await ask(engine, 20) == {"ok": 20}
        store = engine._parts.keeping.store._database  # type: ignore[union-attr]
        with no_room(path) if how == "full" else read_only(store):
            during = await ask(engine, 40)
            state = engine.status().store
            assert state is not None
            assert "cannot be written" in (state.failing or "")
        if durability == "batched":
            assert during == {"ok": 40}
        else:
            assert set(during) <= {"InternalError", "NoCandidate", "StoreFailed"}
            assert during["NoCandidate"] >= 38
        with trio.fail_after(20):
            while engine.status().store.failing is not None:  # type: ignore[union-attr] # noqa: ASYNC110
                await trio.sleep(0.05)
        after = await ask(engine, 20)
        assert after == {"ok": 20}
        kinds = Counter(type(event) for event in heard)
        assert kinds[StoreFailing] == kinds[StoreWorking] == 1, "one clear error, not one a request"
        spent = engine.budgets()[0].spent_usd
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    bodies = connection.execute("SELECT body FROM understudy_journal").fetchall()
    connection.close()
    assert len(bodies) == 40 + during["ok"] + during["StoreFailed"]
    async with open_engine(config, functions={"p": answer}, environ={}) as engine:
        assert engine.budgets()[0].spent_usd == spent == pytest.approx(70e-6 * len(bodies))
