"""What a store costs: a routed request, a batch on the disk, a start with much to read.

A request is timed as in `overhead`, with a budget, without a store and with one of each durability;
only the time of this process counts there, and what `strict` waits for the disk is told apart.
Settlements a second are those of many callers at once, kept in the end. The bare comparison writes
the same bytes by `sqlite3` alone, a transaction a batch.

    python -m benchmarks.store [--quick] [--json]
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from benchmarks.overhead import BUDGET_US, configuration, measure
from benchmarks.report import Record, command, record
from understudy import ChatOutput, Engine, Reply, Request, Usage, open_engine
from understudy.store.address import of_file
from understudy.store.database import Database
from understudy_actors.keeper.batch import Batch, Entry
from understudy_actors.ledger.account import Limit, Scope
from understudy_actors.ledger.books import Charge
from understudy_actors.ledger.windows import Period

BATCH: Final = 100
"""Settlements written at once by the comparison of databases."""
CALLERS: Final = 64
JOURNAL: Final = 100_000
OWN: Final = {"price": {"input": 1.0, "output": 2.0}}
_LIMIT: Final = Limit(Scope("engine"), Period.DAY, 10**12)
_REPLY: Final = Reply(ChatOutput("ok"), Usage(1, 1))


async def priced(request: Request) -> Any:  # noqa: ARG001
    """An instant provider that says what it used."""
    return _REPLY


def config(store: dict[str, Any] | None) -> dict[str, Any]:
    """Two providers under a budget that is never in the way."""
    engine: dict[str, Any] = {"budgets": [{"usd": 1e6, "per": "day"}]}
    if store is not None:
        engine["store"] = store
    return configuration(2, priced, OWN, engine)


async def added(folder: Path, calls: int, rounds: int) -> list[Record]:
    """The engine's share of a request, with and without a store."""
    records: list[Record] = []
    alone: float | None = None
    for durability in (None, "batched", "strict"):
        store = None
        if durability is not None:
            store = {"path": str(folder / f"{durability}.db"), "durability": durability}
        async with open_engine(config(store)) as engine:
            some = calls if durability != "strict" else max(200, calls // 20)
            bare, routed = await measure(engine, 1, some, rounds, priced)
        share = routed - bare
        case = "no store" if durability is None else f"{durability} store"
        budget = None if durability == "strict" else BUDGET_US
        records.append(
            record(f"a request, {case}: engine's share", share, "us", baseline=alone, budget=budget)
        )
        alone = share if alone is None else alone
    return records


async def waiting(folder: Path, calls: int) -> Record:
    """How long one strict request after the other takes, the waits for the disk included."""
    store = {"path": str(folder / "waiting.db"), "durability": "strict"}
    async with open_engine(config(store)) as engine:
        times = [await timed(engine) for _ in range(calls)]
    return record("a strict request, alone: median with its waits", statistics.median(times), "ms")


async def timed(engine: Engine) -> float:
    """Milliseconds for one request."""
    began = time.perf_counter()
    await engine.route(Request.chat("hi", max_tokens=10))
    return (time.perf_counter() - began) * 1e3


async def settled(folder: Path, durability: str, calls: int) -> float:
    """Settlements a second of many callers, all of them kept."""
    store = {"path": str(folder / f"settled-{durability}.db"), "durability": durability}

    async def caller(engine: Engine) -> None:
        for _ in range(calls // CALLERS):
            await engine.route(Request.chat("hi", max_tokens=10))

    began = time.perf_counter()
    async with open_engine(config(store)) as engine, trio.open_nursery() as nursery:
        for _ in range(CALLERS):
            nursery.start_soon(caller, engine)
    return calls // CALLERS * CALLERS / (time.perf_counter() - began)


def entries(first: int, count: int) -> tuple[Entry, ...]:
    """So many charges."""
    return tuple(
        Entry(seq, 1.8e9, "charge", Charge(f"request-{seq}", 1, 12, True, (_LIMIT,)))
        for seq in range(first, first + count)
    )


def written(folder: Path, batches: int) -> tuple[float, float]:
    """Entries a second, through a `Database` and through bare sqlite3."""
    database = Database(of_file(str(folder / "ours.db")), retention_s=1e9)
    database.load(0.0)
    lots = [Batch(n + 1, 1.8e9, {}, entries(n * BATCH + 1, BATCH)) for n in range(batches)]

    def commit() -> None:
        for each in lots:
            database.commit(each)

    ours = _time(commit)
    database.close()
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        bare.execute(f"PRAGMA {pragma}")
    bare.execute("CREATE TABLE journal (seq INTEGER PRIMARY KEY, at FLOAT, kind TEXT, body TEXT)")
    rows = [
        [(e.seq, e.at, e.kind, msgspec.json.encode(e.body).decode()) for e in lot.journal]
        for lot in lots
    ]

    def write() -> None:
        for each in rows:
            bare.execute("BEGIN IMMEDIATE")
            bare.executemany("INSERT INTO journal VALUES (?, ?, ?, ?)", each)
            bare.execute("COMMIT")

    alone = _time(write)
    bare.close()
    return batches * BATCH / ours, batches * BATCH / alone


async def start(folder: Path, rows: int) -> tuple[float, float]:
    """Seconds to open an engine on a new store, and on one with so many entries of its journal."""
    path = folder / "start.db"
    opening = config({"path": str(path)})
    empty = await _opened(opening)
    database = Database(of_file(str(path)), retention_s=1e12)
    saved = database.load(0.0)
    lots = range(0, rows, 10_000)
    for number, first in enumerate(lots, saved.number + 1):
        database.commit(Batch(number, 1.8e9, {}, entries(saved.seq + first + 1, 10_000)))
    database.close()
    return empty, await _opened(opening)


async def _opened(opening: dict[str, Any]) -> float:
    began = time.perf_counter()
    async with open_engine(opening):
        return time.perf_counter() - began


def _time(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


async def main(quick: bool) -> list[Record]:
    """Everything."""
    calls, rounds = (2_000, 3) if quick else (20_000, 5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records = await added(folder, calls, rounds)
        records.append(await waiting(folder, 50 if quick else 500))
        for durability, many in (("batched", calls), ("strict", calls // 4)):
            rate = await settled(folder, durability, many)
            case = f"{durability}: settlements of {CALLERS} callers, kept"
            records.append(record(case, rate, "a second"))
        ours, bare = written(folder, 20 if quick else 200)
        case = f"entries in batches of {BATCH}, against sqlite3 alone"
        records.append(record(case, ours, "a second", baseline=bare))
        empty, full = await start(folder, JOURNAL // 10 if quick else JOURNAL)
        case = f"opening with {JOURNAL // 10 if quick else JOURNAL} entries, against none"
        records.append(record(case, full * 1e3, "ms", baseline=empty * 1e3))
    return records


if __name__ == "__main__":
    command(
        "store",
        __doc__,
        lambda quick: trio.run(main, quick),
    )
