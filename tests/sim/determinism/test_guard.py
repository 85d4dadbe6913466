"""A simulated run touches nothing outside, and the guard minds nobody else's business."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from understudy_sim import guard
from understudy_sim.guard import Forbidden
from understudy_sim.ports import Sim
from understudy_sim.simulation import simulate

FORBIDDEN: dict[str, Callable[[Path], object]] = {
    "a socket": lambda _: socket.socket(),
    "a look-up": lambda _: socket.getaddrinfo("localhost", 80),
    "a thread": lambda _: threading.Thread(target=int).start(),
    "a file to write": lambda path: (path / "x").write_text("new"),
    "a file to append to": lambda path: os.open(path / "old", os.O_APPEND | os.O_WRONLY),
    "a file to change": lambda path: os.truncate(os.open(path / "old", os.O_RDWR), 0),
    "a file by its flags": lambda path: os.open(path / "x", os.O_CREAT | os.O_WRONLY),
    "a process": lambda _: subprocess.Popen([sys.executable, "-V"]),
    "a shell": lambda _: os.system("true"),
    "a fork": lambda _: os.fork(),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_touching_the_world_raises_and_says_what_to_do(name: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("kept")

    async def main(sim: Sim) -> None:
        FORBIDDEN[name](tmp_path)

    with pytest.raises(Forbidden, match=r"simulated run tried to .* Instead, ") as caught:
        simulate(main, seed=0)
    assert caught.value.action
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_text() == "kept"


def test_whatever_is_forbidden_is_looked_at() -> None:
    forbidden = {"open", "socket.connect", "time.sleep"} | guard._COMMANDS | guard._THREADS
    assert {event.partition(".")[0] for event in forbidden} == guard._TOLD


def test_a_swallowed_refusal_fails_the_run_all_the_same() -> None:
    async def main(sim: Sim) -> str:
        with contextlib.suppress(Exception):
            socket.socket()
        return "fine"

    with pytest.raises(Forbidden, match="socket"):
        simulate(main, seed=0)


def test_a_refusal_inside_a_group_comes_out_alone() -> None:
    async def main(sim: Sim) -> None:
        async def child() -> None:
            socket.socket()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)

    with pytest.raises(Forbidden):
        simulate(main, seed=0)


def test_a_worker_thread_of_trio_is_refused() -> None:
    async def main(sim: Sim) -> None:
        await trio.to_thread.run_sync(int)

    with pytest.raises(Forbidden, match="thread"):
        simulate(main, seed=0)


def test_reading_and_importing_are_allowed(tmp_path: Path) -> None:
    source = tmp_path / "freshly_written_for_this_test.py"
    source.write_text("ANSWER = 42\n")

    async def main(sim: Sim) -> int:
        source.read_text()
        sys.path.insert(0, str(tmp_path))
        try:
            import freshly_written_for_this_test as module  # type: ignore[import-not-found]
        finally:
            sys.path.remove(str(tmp_path))
        return int(module.ANSWER)

    assert simulate(main, seed=0).result == 42


def test_other_threads_and_other_times_are_nobodys_business(tmp_path: Path) -> None:
    go, done, errors = threading.Event(), threading.Event(), list[Exception]()

    def elsewhere() -> None:
        go.wait()
        try:
            socket.socket().close()
            (tmp_path / "x").write_text("written")
        except Exception as error:
            errors.append(error)
        done.set()

    thread = threading.Thread(target=elsewhere)
    thread.start()

    async def main(sim: Sim) -> None:
        go.set()
        assert done.wait(10)

    simulate(main, seed=0)
    thread.join()
    socket.socket().close()
    threading.Thread(target=int).start()
    assert not errors
