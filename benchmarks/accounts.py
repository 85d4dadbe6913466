"""What accounts cost: `python -m benchmarks.accounts [--quick] [--json]`.

A routed call to an instant provider in this process, with the accounts on and off by turns, the
median difference of many short rounds; one count by itself, against adding the same numbers up in
one dict; and a month of a busy service: the memory of a row, and the time to ask for everything.
"""

from __future__ import annotations

import gc
import statistics
import time
import tracemalloc

import trio

from benchmarks.overhead import QUESTION, configuration, crowd, instant
from benchmarks.report import Record, command, record
from understudy import Attempt, Usage, open_engine
from understudy.accounts.accounts import Accounts
from understudy.accounts.book import Book
from understudy.zones import IanaZone

START = 1_772_900_000.0
DAY_S = 86_400.0
ANSWERED = Attempt("p", "m", "ok", elapsed_s=0.8, cost_usd=0.000123)
USED = Usage(1200, 300, cached_tokens=1000)


async def routed(calls: int, rounds: int) -> list[Record]:
    """CPU microseconds of a routed call, with accounts and without."""
    pairs: list[tuple[float, float]] = []
    config = configuration(2, instant)
    async with (
        open_engine(config) as on,
        open_engine({**config, "accounts": False}) as off,
    ):

        async def counted() -> None:
            await on.route(QUESTION)

        async def uncounted() -> None:
            await off.route(QUESTION)

        for turn in range(rounds + 2):
            if turn % 2:
                with_them = await crowd(1, calls, counted)
                pairs.append((with_them, await crowd(1, calls, uncounted)))
            else:
                without = await crowd(1, calls, uncounted)
                pairs.append((await crowd(1, calls, counted), without))
    more = statistics.median(on_us - off_us for on_us, off_us in pairs[2:])
    baseline = statistics.median(off_us for _, off_us in pairs[2:])
    return [record("a routed call, accounts on less off", more, "us", baseline=baseline)]


def alone(calls: int, rounds: int) -> Record:
    """CPU microseconds of one count; baseline: the same sums without days, users and times."""
    book, plain = Book(IanaZone("UTC")), dict.fromkeys(("attempts", "tokens", "usd"), 0.0)
    counted: list[float] = []
    added: list[float] = []
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(calls):
            book.count(ANSWERED, USED, "ann", None, START)
        counted.append(time.process_time() - started)
        started = time.process_time()
        for _ in range(calls):
            plain["attempts"] += 1
            plain["tokens"] += USED.input_tokens + USED.output_tokens
            plain["usd"] += ANSWERED.cost_usd or 0.0
        added.append(time.process_time() - started)
    scale = 1e6 / calls
    baseline = statistics.median(added) * scale
    return record("one count", statistics.median(counted) * scale, "us", baseline=baseline)


def month(users: int) -> list[Record]:
    """30 days of so many users of three models each."""
    gc.collect()
    tracemalloc.start()
    book = Book(IanaZone("UTC"), users_max=users)
    names = [f"user-{number}" for number in range(users)]
    for day in range(30):
        for name in names:
            for model in ("large", "small", "tiny"):
                attempt = Attempt("p", model, "ok", elapsed_s=0.8, cost_usd=0.000123)
                book.count(attempt, USED, name, None, START + day * DAY_S)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    rows = 30 * 3 * users
    asked = Accounts(book, lambda: START + 29 * DAY_S, "UTC")
    records = [record("a row in memory", size / rows, "bytes")]
    for name, ask in (("costs()", asked.costs), ("top users", lambda: asked.top("users"))):
        started = time.process_time()
        ask()
        records.append(
            record(f"{name} of {rows} rows", (time.process_time() - started) * 1e3, "ms")
        )
    return records


async def main(quick: bool) -> list[Record]:
    """Everything."""
    rounds = 21 if quick else 101
    return [*await routed(500, rounds), alone(20_000, rounds), *month(100 if quick else 1000)]


if __name__ == "__main__":
    command(
        "accounts",
        __doc__,
        lambda quick: trio.run(main, quick),
        "baseline: the call without accounts; of one count, three sums in a dict",
    )
