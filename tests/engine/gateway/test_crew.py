"""Several processes: whoever dies comes back, later each time, and all of them end together."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import httpx
import pytest
from hypothesis import Phase, given, settings, strategies as st

from tests.support.mutants import Mutant
from understudy.gateway import crew
from understudy.gateway.crew import CALM_S, FIRST_S, LONGEST_S

PROGRAM: Final = [sys.executable, "-c", "from understudy.cli import main; main()", "serve"]
CONFIG: Final = """
[log]
level = 'off'
[providers.local]
reply = 'at your service'
[[budgets]]
usd = 10
"""


def check_deaths(module: ModuleType) -> None:
    """A worker is back after its wait and not before; quick deaths double that, calm ends it."""

    @settings(max_examples=60, database=None, phases=[Phase.generate])
    @given(
        st.integers(1, 4), st.lists(st.tuples(st.integers(1, 4), st.floats(0, 120)), max_size=20)
    )
    def whatever_dies(size: int, deaths: list[tuple[int, float]]) -> None:
        own, now, pid = module.Crew(size), 0.0, 100
        waits = dict.fromkeys(range(1, size + 1), FIRST_S)
        living: dict[int, tuple[int, float]] = {}

        def start() -> None:
            nonlocal pid
            for number in own.due(now):
                assert number not in living
                pid += 1
                own.started(number, pid, now)
                living[number] = pid, now

        start()
        assert sorted(living) == list(range(1, size + 1))
        for number, lived_s in deaths:
            now += lived_s
            start()
            if number not in living:
                continue
            its, began = living.pop(number)
            if now - began >= CALM_S:
                waits[number] = FIRST_S
            assert own.died(its, now) == (number, waits[number])
            assert number not in own.due(now + waits[number] * 0.99)
            assert number in own.due(now + waits[number])
            assert own.next_s(now) is not None
            waits[number] = min(LONGEST_S, waits[number] * 2)
        assert sorted(own.pids()) == sorted(its for its, _ in living.values())

    whatever_dies()


def check_end(module: ModuleType) -> None:
    """A crew that ends starts nobody; strangers are none of it."""
    own = module.Crew(2)
    own.started(1, 11, 0.0)
    own.started(2, 12, 0.0)
    assert own.next_s(0.0) is None
    assert own.died(99, 0.0) is None
    own.ending = True
    own.died(11, 0.0)
    assert own.due(1e9) == []
    assert own.next_s(0.0) is None
    assert own.pids() == [12]


def check_longest(module: ModuleType) -> None:
    """Whoever dies at once, again and again, is tried every half minute."""
    own = module.Crew(1)
    for number in range(12):
        own.started(1, number + 1, 0.0)
        _, wait_s = own.died(number + 1, 0.0)
    assert wait_s == LONGEST_S


LAWS: Final = (check_deaths, check_end, check_longest)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_a_crew(law: Any) -> None:
    law(crew)


_CREW: Final = "understudy.gateway.crew"
FAULTS: Final = [
    Mutant("always as soon", _CREW, "min(LONGEST_S, worker.wait_s * 2)", "worker.wait_s"),
    Mutant("later without end", _CREW, "min(LONGEST_S, worker.wait_s * 2)", "worker.wait_s * 2"),
    Mutant("calm is forgotten", _CREW, "now - worker.began >= CALM_S", "False"),
    Mutant("at once", _CREW, "worker.wait_s, now + worker.wait_s", "worker.wait_s, now"),
    Mutant("twice alive", _CREW, "each.pid is None and each.due <= now", "each.due <= now"),
    Mutant("the dead live", _CREW, "                worker.pid = None\n", ""),
    Mutant("starting while it ends", _CREW, "        if self.ending:\n            return []\n", ""),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_planted_faults_are_noticed(fault: Mutant) -> None:
    assert fault.caught_by(LAWS)


@contextlib.contextmanager
def crew_of(path: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """A gateway of three processes: it, its address, and each worker's own."""
    process = subprocess.Popen(
        [*PROGRAM, str(path), "--port", "0", "--workers", "3", "--drain", "5", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "")},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        said = [process.stderr.readline() for _ in range(5)]
        assert "1/3" in said[0], said
        own = [found[0] for line in said if (found := re.search(r"http://[\d.]+:\d+", line))]
        url = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
        assert url
        yield process, url[0], own
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def patiently(question: Any) -> Any:
    """The answer, as soon as there is one."""
    for _ in range(600):
        with contextlib.suppress(httpx.TransportError, AssertionError):
            return question()
        time.sleep(0.05)
    raise AssertionError("no answer within half a minute")


def budget_of(url: str) -> float:
    """The budget that a worker says it has."""
    page = httpx.get(f"{url}/metrics", trust_env=False).text
    found = re.search(r'understudy_budget_limit_usd\{budget="[^"]*"\} ([\d.]+)', page)
    assert found, page
    return float(found[1])


@pytest.mark.wall_clock
def test_they_serve_one_port_share_a_budget_and_outlive_one_of_them(tmp_path: Path) -> None:
    path = tmp_path / "u.toml"
    path.write_text(CONFIG)
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}

    def ask(url: str) -> str:
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, trust_env=False)
        text: str = answer.json()["choices"][0]["message"]["content"]
        return text

    with crew_of(path) as (process, url, own):
        assert sum(patiently(lambda u=u: budget_of(u)) for u in own) == pytest.approx(10.0)
        assert patiently(lambda: ask(url)) == "at your service"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        if children.exists():
            before = set(children.read_text().split())
            assert len(before) == 3
            os.kill(int(min(before)), signal.SIGKILL)

            def all_back() -> None:
                assert len(set(children.read_text().split()) - {min(before)}) == 3

            patiently(all_back)
        process.send_signal(signal.SIGHUP)
        assert all(patiently(lambda u=u: ask(u)) == "at your service" for u in own)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        with pytest.raises(httpx.TransportError):
            ask(url)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("store = 'u.db'\n", "{worker}"),
        ("[[limits]]\nrequests_per_minute = 2\n", "too few for 3 workers"),
    ],
)
def test_what_cannot_be_shared_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "u.toml"
    path.write_text(f"{text}[providers.local]\n")
    done = subprocess.run(
        [*PROGRAM, str(path), "--port", "0", "--workers", "3"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
