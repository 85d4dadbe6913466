"""The benchmark of simulations measures what it says: equal models, and time given to its owner."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

import understudy
import understudy_actors
import understudy_sim
from benchmarks import naive, shares
from benchmarks.report import record
from benchmarks.simulate import with_checkers
from benchmarks.traffic import outage, steady
from understudy_sim.scenario import Scenario


@settings(max_examples=20)
@given(requests=st.integers(1, 200))
def test_the_naive_models_do_the_same_work(requests: int) -> None:
    pytest.importorskip("simpy")
    drawn = naive.draws(requests)
    assert naive.on_simpy()(drawn) == naive.on_trio(drawn)


def test_the_naive_models_fail_over_as_often_as_was_drawn() -> None:
    drawn = naive.draws(1000)
    done = naive.on_trio(drawn)
    assert done.requests == done.answered == len(drawn.gaps_s) > 900
    assert done.attempts - done.requests == sum(drawn.failing) > 10


@pytest.mark.parametrize("document", [steady(100), outage(1.0)], ids=["steady", "outage"])
def test_the_traffic_keeps_every_law(document: Scenario) -> None:
    assert with_checkers(document) > 80


@pytest.mark.parametrize("package", [understudy, understudy_actors, understudy_sim])
def test_every_module_of_ours_belongs_to_a_part(package: Any) -> None:
    (root,) = package.__path__
    names = {shares.part_of(str(path)) for path in Path(root).rglob("*.py")}
    assert None not in names
    assert shares.part_of(re.__file__) is None


def in_file(path: str, source: str, **known: object) -> Callable[[], Any]:
    """The function `f` of a source that claims to stand in that file."""
    scope: dict[str, Any] = dict(known)
    exec(compile(source, path, "exec"), scope)
    found: Callable[[], Any] = scope["f"]
    return found


def test_time_in_a_library_counts_for_whoever_called_it() -> None:
    library = in_file("lib/re.py", "def f(): return _getframe()", _getframe=sys._getframe)
    caller = in_file("understudy_sim/players.py", "def f(): return g()", g=library)
    assert shares.whose(caller()) == "world: clients"


def test_a_function_that_has_only_begun_has_done_nothing_yet() -> None:
    begun = in_file("understudy_sim/server.py", "def f(): return 1")
    caller = in_file("understudy_sim/players.py", "def f(): return g()", g=begun)
    owners: list[str] = []

    def trace(frame: FrameType, event: str, _: object) -> None:
        if frame.f_code is begun.__code__ and event == "call":
            owners.append(shares.whose(frame))

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        caller()
    finally:
        sys.settrace(before)
    assert owners == ["world: clients"]


def test_the_page_adds_up_and_names_no_machine() -> None:
    page = shares.page(steady(100), rounds=1, goal=20_000.0, samples=20)
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) \| (\d+) % \|", page, re.MULTILINE)
    assert {each.name for each in shares.PARTS} <= {name for name, _, _ in rows}
    total = re.search(r"\*\*together\*\* \| \*\*([\d.]+)\*\*", page)
    assert total is not None
    assert sum(float(us) for _, us, _ in rows) == pytest.approx(float(total[1]), abs=2.0)
    assert str(Path.cwd()) not in page
    assert str(Path.home()) not in page


def test_a_goal_is_reached_from_below_and_a_budget_kept_from_above() -> None:
    assert record("a rate", 9.0, "1/s", goal=10.0).ok is False
    assert record("a rate", 10.0, "1/s", goal=10.0).ok is True
    assert record("a cost", 11.0, "s", budget=10.0).ok is False
    assert record("a cost", 11.0, "s").ok is None
