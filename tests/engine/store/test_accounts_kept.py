"""Accounts outlive the process, together with the money of the ledger: both, or neither."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings, strategies as st

from tests.engine.store.test_database import opened
from tests.engine.store.test_restart import House, answering, ask, under
from tests.properties.test_accounts import CALLS, Call
from understudy import Engine, UnderstudyError
from understudy.accounts.accounts import Accounts
from understudy.accounts.book import Book
from understudy.accounts.keeping import UsageSource, restore
from understudy.zones import IanaZone
from understudy_actors.keeper.batch import Addend, Batch
from understudy_sim.check import check
from understudy_sim.check.accounts import Sums

TOTAL = {"usd": 1.0, "per": "total"}


def micro_usd(engine: Engine) -> int:
    """What the accounts say that attempts cost."""
    return round(engine.costs().usd * 1e6)


async def test_accounts_go_on_where_the_last_process_was_closed() -> None:
    house = under()
    for expected in (1, 2, 3):
        async with house.process(p=answering(10)) as engine:
            await engine.route(ask(user="ann"))
            (ann,) = engine.top("users")
            assert (ann.user, ann.attempts, ann.usd) == ("ann", expected, expected / 1e4)
            assert engine.usage(1)[0].attempts == expected
            (found,) = engine.costs().providers
            assert found.successes == expected
            assert found.p99_ms is not None


@pytest.mark.parametrize("at_s", [0.5, 3.05, 3.2, 7.77, 12.0])
@pytest.mark.parametrize("durability", ["batched", "strict"])
async def test_after_a_kill_accounts_and_budgets_tell_of_the_same_money(
    at_s: float, durability: str
) -> None:
    house = under(TOTAL, durability=durability)
    house.disk.write_s = 0.03
    told = 0

    async def client(engine: Engine, number: int) -> None:
        nonlocal told
        with trio.move_on_after(1e6):
            for _ in range(20):
                await trio.sleep(0.1 * number)
                try:
                    await engine.route(ask(user=f"user {number}"))
                except UnderstudyError:
                    return  # it is dead
                told += not dead

    dead = False
    async with house.process(kill=True, p=answering(10, 0.7)) as engine, trio.open_nursery() as own:
        for number in range(1, 5):
            own.start_soon(client, engine, number)
        await trio.sleep(at_s)
        house.disk.kill()
        dead = True
        own.cancel_scope.cancel()
    async with house.process(p=answering(10)) as engine:
        charges = [line.body for line in house.disk.journal if line.kind == "charge"]
        (budget,) = engine.budgets()
        kept = micro_usd(engine)
        assert kept == sum(each["micro_usd"] for each in charges if each["known"])
        assert kept <= round(budget.spent_usd * 1e6), "budgets also hold what nobody knows"
        if durability == "strict":
            assert kept >= told * 100


async def test_a_write_that_took_effect_unheard_adds_once() -> None:
    house = under(TOTAL)
    async with house.process(p=answering(10)) as engine:
        house.disk.unsure = True
        await engine.route(ask())
        await trio.sleep(1.0)
        house.disk.unsure = False
        await trio.sleep(10.0)
        await engine.route(ask())
    async with house.process(p=answering(10)) as engine:
        assert micro_usd(engine) == 200


async def test_a_disk_that_is_full_for_a_while_loses_nothing() -> None:
    house = under()
    async with house.process(p=answering(10)) as engine:
        house.disk.broken = "it is full"
        for _ in range(5):
            await engine.route(ask())
            await trio.sleep(1.0)
        house.disk.broken = None
        await trio.sleep(10.0)
        await engine.route(ask())
    async with house.process(p=answering(10)) as engine:
        assert micro_usd(engine) == 600


async def test_the_last_word_is_of_ones_own_attempts() -> None:
    house = under()
    for _ in range(2):
        events: list[Any] = []
        async with house.process(p=answering(10)) as engine:
            engine.listen(lambda seq, event, heard=events: heard.append((seq, event)))  # type: ignore[misc]
            await engine.route(ask())
        assert not check(events, [Sums])


async def test_nothing_is_kept_where_nothing_is_counted() -> None:
    house = House(accounts=False)
    async with house.process(p=answering(10)) as engine:
        await engine.route(ask())
    assert house.disk.saved.sums == ()


def written(calls: list[Call]) -> Batch:
    """The first batch of a process that has counted these."""
    book = Book(IanaZone("UTC"))
    source = UsageSource(book, lambda: None)
    for each in calls:
        book.count(each.attempt, each.usage, each.user, each.tenant, each.ended)
    changes = source.gather(0.0)
    assert changes is not None
    return Batch(1, 0.0, sums=tuple(changes.sums))


@settings(max_examples=25)
@given(st.lists(CALLS, min_size=1, max_size=30), st.integers(1, 3))
def test_a_database_adds_up_as_any_disk(calls: list[Call], times: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        database, _ = opened(Path(folder) / "a.db")
        try:
            batch = written(calls)
            for number in range(1, times + 1):
                again = Batch(number, 0.0, sums=batch.sums)
                database.commit(again)
                database.commit(again)  # nobody heard of the first
        finally:
            database.close()
        database, saved = opened(Path(folder) / "a.db")
        database.close()
    wanted = {(e.table, e.key): tuple(times * n for n in e.numbers) for e in batch.sums}
    assert {(e.table, e.key): e.numbers for e in saved.sums} == wanted
    book = Book(IanaZone("UTC"))
    restore(book, saved.sums)
    found = Accounts(book, lambda: calls[0].ended + 7 * 86_400, "UTC").costs()
    assert found.attempts == times * len(calls)


def test_a_database_forgets_days_and_can_be_asked_in_sql(tmp_path: Path) -> None:
    database, _ = opened(tmp_path / "a.db")
    rows = tuple(
        Addend("usage", (day, "p", "m", "=ann", ""), (1, 1, 0, 100 * day, *(0,) * 7))
        for day in (1, 2, 3)
    )
    database.commit(Batch(1, 0.0, sums=rows))
    database.commit(Batch(2, 0.0, sums=rows[2:], before={"usage": 2, "latency": 2}))
    database.close()
    connection = sqlite3.connect(tmp_path / "a.db")
    found = connection.execute("SELECT day, who, micro_usd FROM understudy_usage ORDER BY day")
    assert found.fetchall() == [(2, "=ann", 200), (3, "=ann", 600)]
    connection.close()
