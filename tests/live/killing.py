"""Kills a process of the engine with SIGKILL, again and again, and compares three sets of books.

The provider writes down what it bills when it is asked; the clients, what they were told; and the
engine's store says what it charged. The processes are forked from this one, which has imported
everything, so that most of the time is spent under load and not on starting up.

    python -m tests.live.killing FOLDER strict|batched ROUNDS SEED
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import trio

from understudy import ChatOutput, OverBudget, Reply, Request, Usage, open_engine
from understudy.store import threaded
from understudy_actors.ledger.books import AccountBooks

PRICE = {"input": 0.0, "output": 10.0}
TOKENS_MAX = 10
WORST = TOKENS_MAX * 10
CLIENTS = 8
BURST = 20 * CLIENTS * WORST
"""What `batched` may lend while one write from rest is under way, on a busy machine."""
INTERVAL_S = 0.1
LATE_S = 1.0
"""What a busy machine may take to write a batch, beyond the interval."""
LIMITS = {"rich": 50_000_000, "poor": 40_000}
"""Micro-USD for all time; the second is used up on the way."""


def config(folder: Path, durability: str) -> dict[str, Any]:
    """One provider, a budget for each of two users."""
    return {
        "log": {"level": "off"},
        "providers": {"p": {"concurrency": 64, "models": [{"name": "m", "price": PRICE}]}},
        "budgets": [
            {"usd": micro_usd / 1e6, "per": "total", "user": user}
            for user, micro_usd in LIMITS.items()
        ],
        "store": {
            "path": str(folder / "store.db"),
            "durability": durability,
            "interval": INTERVAL_S,
        },
    }


async def serve(folder: Path, durability: str, seed: int, ready: int) -> None:
    """Be the process that will be killed; says so on `ready` when it is up."""
    dice = random.Random(seed)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    bills, acks = os.open(folder / "bills", flags), os.open(folder / "acks", flags)

    async def provider(request: Request) -> Reply:
        tokens = dice.randint(1, TOKENS_MAX)
        os.write(bills, f"{request.id} {request.user} {tokens * 10}\n".encode())
        await trio.sleep(dice.random() * 0.01)
        return Reply(ChatOutput("ok"), Usage(0, tokens))

    async def client(number: int) -> None:
        for turn in range(10**6):
            name = f"{seed}-{number}-{turn}"
            user = "poor" if (number + turn) % 3 == 0 else "rich"
            request = Request.chat("hi", max_tokens=TOKENS_MAX, user=user, id=name)
            try:
                result = await engine.route(request)
            except OverBudget:
                await trio.sleep(0.001)
                continue
            assert result.cost_usd is not None
            told = f"{name} {round(result.cost_usd * 1e6)} {time.monotonic()}\n"
            os.write(acks, told.encode())

    opening = open_engine(config(folder, durability), functions={"p": provider}, environ={})
    async with opening as engine, trio.open_nursery() as nursery:
        os.write(ready, b".")
        for number in range(CLIENTS):
            nursery.start_soon(client, number)


def kill_once(folder: Path, durability: str, seed: int) -> float:
    """Start a process, kill it at some moment, and return that moment.

    Most are killed under load, some while they start.
    """
    dice = random.Random(f"kill {seed}")
    reader, ready = os.pipe()
    child = os.fork()
    if not child:
        try:
            trio.run(serve, folder, durability, seed, ready)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(ready)
    if dice.random() < 0.9:
        os.read(reader, 1)
    os.close(reader)
    time.sleep(dice.uniform(0.0, 0.4))
    os.kill(child, signal.SIGKILL)
    killed_at = time.monotonic()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"it ended by itself, with status {status}"
    return killed_at


def lines(path: Path) -> list[list[str]]:
    """Every whole line of a file, in words."""
    text = path.read_text() if path.exists() else ""
    return [line.split() for line in text.splitlines()]


def look(folder: Path, durability: str, killed_at: float) -> str:
    """Compare the books; returns a summary. Raises `AssertionError`."""
    connection = sqlite3.connect(folder / "store.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    if ("understudy_state",) not in tables:
        connection.close()
        return "killed before there was a store"
    states = dict(connection.execute("SELECT key, value FROM understudy_state"))
    journal = connection.execute("SELECT kind, body FROM understudy_journal").fetchall()
    connection.close()
    charged = Counter[str]()
    charges: dict[str, tuple[int, bool]] = {}
    unknown = 0
    for kind, text in journal:
        body = msgspec.json.decode(text)
        for limit in body["budgets"] if kind == "charge" else [body["budget"]]:
            charged[limit["scope"]["name"]] += body["micro_usd"]
        if kind == "charge":
            assert body["request"] not in charges, f"{body['request']} was charged twice"
            charges[body["request"]] = body["micro_usd"], body["known"]
        unknown += kind == "unknown"
    cover = Counter[str]()
    for key, value in states.items():
        if key.startswith("account/"):
            books = msgspec.msgpack.decode(value, type=AccountBooks)
            user, window = books.limit.scope.name, books.windows[-1]
            said = f"{user}: {window.spent} is booked, the journal has {charged[user]}"
            assert window.spent == charged[user], said
            assert window.spent <= window.cover <= LIMITS[user], (user, window)
            cover[user] = window.cover
    billed = Counter[str]()
    for _, user, tokens_cost in lines(folder / "bills"):
        billed[user] += int(tokens_cost)
    told = lines(folder / "acks")
    for user, micro_usd in billed.items():
        unknown_to_us = max(0, micro_usd - cover[user])
        more, _SHORT[user] = unknown_to_us - _SHORT[user], unknown_to_us
        most = 0 if durability == "strict" else BURST
        assert more <= most, f"{user}: {micro_usd} billed, {cover[user]} covered, {more} more"
        assert micro_usd <= LIMITS[user] + unknown_to_us, f"{user} was billed {micro_usd}"
    lost = 0
    for name, cost, at in told:
        if charges.get(name) == (int(cost), True):
            continue
        assert durability == "batched", f"{name} was told of {cost}: {charges.get(name)}"
        assert name not in charges, f"{name} was told of {cost}: {charges[name]}"
        assert killed_at - float(at) <= INTERVAL_S + LATE_S or name in _LOST, f"{name} is lost"
        _LOST.add(name)
        lost += 1
    used_up = LIMITS["poor"] - cover["poor"] < WORST
    return (
        f"{len(told)} told, {len(charges)} charged, {unknown} times unknown, {lost} lost, billed "
        f"{dict(billed)}, covered {dict(cover)}"
        + (", the small budget is used up" if used_up else "")
    )


PRELOADED = threaded
"""What processes would import anew each time, which takes longer than they live."""
_SHORT = Counter[str]()
"""What was billed and is not covered, as of the last look: `batched` may fall short by a burst."""
_LOST: set[str] = set()
"""Acknowledged within the last interval before some kill, which `batched` may lose."""


def main(folder: str, durability: str, rounds: str, seed: str) -> None:
    """Kill, look, and again."""
    place = Path(folder)
    summary = ""
    for number in range(int(rounds)):
        killed_at = kill_once(place, durability, int(seed) * 1000 + number)
        summary = look(place, durability, killed_at)
    print(f"{rounds} kills, {durability}: {summary}")


if __name__ == "__main__":
    main(*sys.argv[1:])
