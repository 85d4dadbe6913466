"""The guide's code does what the guide says: it is run, before and after, against an outage."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "migration.md").read_text()
SECTIONS = {
    each.partition("\n")[0]: re.findall(r"```python\n(.*?)```", each, re.DOTALL)
    for each in GUIDE.split("\n## ")[1:]
}
NAMES = ("openai", "anthropic", "local")


class Clients:
    """Three clients as the guide's reader has them; some of them down."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.asked: Counter[str] = Counter()

    def client(self, name: str) -> Callable[[Any], str]:
        def ask(prompt: Any) -> str:
            self.asked[name] += 1
            if name in self.down:
                raise ConnectionRefusedError(name)
            return f"{name}: {prompt}"

        return ask


@pytest.fixture
def clients() -> Clients:
    return Clients()


@pytest.fixture
def run(clients: Clients) -> Iterator[Callable[[str, int], Callable[..., str]]]:
    """Run one of a section's snippets; gives its `ask`. What it opened is closed afterwards."""
    opened = []

    def play(section: str, which: int) -> Callable[..., str]:
        names: dict[str, Any] = {
            "CLIENTS": {name: clients.client(name) for name in NAMES},
            "NAMES": NAMES,
            "turn": 0,
            **{f"ask_{name}": clients.client(name) for name in NAMES},
        }
        snippet = SECTIONS[section][which]
        assert snippet.startswith(("# before", "# after")[which])
        exec(compile(snippet, f"{section}, {which}", "exec"), names)  # the guide's own code
        opened.extend([names["engine"]] if "engine" in names else [])
        ask: Callable[..., str] = names["ask"]
        return ask

    yield play
    for each in opened:
        each.close()


BRANCHES, LOOP, TURNS = itertools.islice(SECTIONS, 3)


def test_branches_become_one_call_that_survives_an_outage(run: Any, clients: Clients) -> None:
    before, after = run(BRANCHES, 0), run(BRANCHES, 1)
    assert before("openai", "hi") == after("hi") == "openai: hi"
    clients.down = {"openai"}
    with pytest.raises(ConnectionError):
        before("openai", "hi")
    assert after("hi") == "anthropic: hi"


def test_a_loop_becomes_one_that_leaves_the_dead_alone(run: Any, clients: Clients) -> None:
    before, after = run(LOOP, 0), run(LOOP, 1)
    assert before("hi") == after("hi") == "openai: hi"
    clients.down = {"openai"}
    clients.asked.clear()
    assert {before("hi") for _ in range(100)} == {"anthropic: hi"}
    assert clients.asked["openai"] == 100
    clients.asked.clear()
    assert {after("hi") for _ in range(100)} == {"anthropic: hi"}
    assert clients.asked["openai"] < 30
    clients.down = set(NAMES)
    with pytest.raises(RuntimeError):
        before("hi")
    with pytest.raises(Exception, match="failed"):
        after("hi")


def test_turns_become_those_of_the_living(run: Any, clients: Clients) -> None:
    before, after = run(TURNS, 0), run(TURNS, 1)
    for ask in (before, after):
        clients.asked.clear()
        for _ in range(30):
            ask("hi")
        assert set(clients.asked.values()) == {10}

    def failures(ask: Callable[..., str]) -> int:
        failed = 0
        for _ in range(90):
            try:
                ask("hi")
            except ConnectionError:
                failed += 1
        return failed

    clients.down = {"local"}
    assert failures(before) == 30
    assert failures(after) < 15


def test_the_readmes_programs_run() -> None:
    programs = [
        each
        for each in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
        if re.search(r"^(trio|asyncio)\.run\(main", each, re.MULTILINE)
    ]
    assert len(programs) >= 2
    for program in programs:
        found = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
        )
        assert found.returncode == 0, found.stderr
        assert "Qubits hold" in found.stdout
