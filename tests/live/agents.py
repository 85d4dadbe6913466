"""Kills an agent with SIGKILL at random moments, takes it up again, and compares the books.

python -m tests.live.agents FOLDER TASKS KILLS SEED
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

import msgspec
import trio

from understudy import ChatOutput, Handle, LongRunningAgent, Reply, Request, Usage, open_engine

PRICE = {"input": 0.0, "output": 10.0}
MOMENT_MAX_S = 0.3
"""A process is killed within that time: some while they start, most under way."""


async def work(folder: Path, tasks: int, seed: int) -> None:
    """Be the process that may be killed: do all tasks, a few at a time."""
    dice = random.Random(seed)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    effects, told = os.open(folder / "effects", flags), os.open(folder / "told", flags)

    async def provider(request: Request) -> Reply:
        await trio.sleep(dice.random() * 0.02)
        return Reply(ChatOutput("ok"), Usage(0, 7))

    async def task(handle: Handle) -> str:
        await handle.route(Request.chat("hi", max_tokens=10))
        os.write(effects, f"{handle.key} {handle.run}\n".encode())
        await trio.sleep(dice.random() * 0.01)
        return handle.key

    async def run(name: str) -> None:
        key = await agent.execute_task(name, task)
        os.write(told, f"{key}\n".encode())

    config = {
        "log": {"level": "off"},
        "providers": {"p": {"models": [{"name": "m", "price": PRICE}]}},
        "store": {"path": str(folder / "store.db"), "durability": "strict"},
    }
    async with open_engine(config, functions={"p": provider}, environ={}) as engine:
        agent = LongRunningAgent(engine, "a", max_cost_usd=10.0, concurrency=8)
        async with agent, trio.open_nursery() as nursery:
            for number in range(tasks):
                nursery.start_soon(run, f"t{number}")


def start(folder: Path, tasks: int, seed: int, kill_after_s: float | None) -> bool:
    """Run a process, and kill it after so long; True if it came to its end before."""
    child = os.fork()
    if not child:
        try:
            trio.run(work, folder, tasks, seed)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or status == 0, f"it failed, with status {status}"
    return not os.WIFSIGNALED(status)


def lines(path: Path) -> list[list[str]]:
    """Every whole line of a file, in words."""
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def look(folder: Path, tasks: int, killed: int) -> str:
    """Compare the books; returns a summary. Raises `AssertionError`."""
    effects = Counter(key for key, _ in lines(folder / "effects"))
    assert set(effects) == {f"a/t{number}" for number in range(tasks)}
    repeated = sum(effects.values()) - tasks
    assert repeated <= 8 * killed, "more was done twice than can have been under way"
    connection = sqlite3.connect(folder / "store.db")
    states = dict(connection.execute("SELECT key, value FROM understudy_state"))
    journal = connection.execute("SELECT kind, body FROM understudy_journal").fetchall()
    connection.close()
    record = msgspec.msgpack.decode(states["agent/a"])
    assert (record["completed"], record.get("running", False)) == (tasks, False)
    charged = sum(msgspec.json.decode(body)["micro_usd"] for _, body in journal)
    books = [msgspec.msgpack.decode(v) for k, v in states.items() if k.startswith("account/")]
    spent = sum(window["spent"] for each in books for window in each["windows"])
    assert charged == spent, f"the journal has {charged} micro-USD, the ledger {spent}"
    return f"{tasks} tasks, {killed} kills: {repeated} were under way and done again"


def main(folder: Path, tasks: int, kills: int, seed: int) -> str:
    """Kill, and kill again; then let it come to its end, and compare."""
    dice = random.Random(seed)
    killed, settled = 0, dict[str, int]()
    for number in range(kills):
        if start(folder, tasks, seed + number, dice.uniform(0.02, MOMENT_MAX_S)):
            break
        killed += 1
        never_again(folder, settled)
    start(folder, tasks, seed + kills, None)
    never_again(folder, settled)
    return look(folder, tasks, killed)


def never_again(folder: Path, settled: dict[str, int]) -> None:
    """No task was done after it had been told as done; `settled` counts how often it was then."""
    done = Counter(key for key, _ in lines(folder / "effects"))
    for key, times in settled.items():
        assert done[key] == times, f"{key} was told as done, and was done again"
    for (key,) in lines(folder / "told"):
        settled.setdefault(key, done[key])


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), *map(int, sys.argv[2:5])))
