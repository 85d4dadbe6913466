"""Faults planted in what reports and comparisons are made of, and the laws that find each."""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable
from types import ModuleType
from typing import Final

import pytest

from tests.sim.cli.house import small
from tests.sim.report.test_page import read
from tests.sim.world.worlds import of
from tests.support.mutants import Mutant
from understudy_actors.domain.events import BreakerMoved
from understudy_sim import compare
from understudy_sim.cli import settings
from understudy_sim.report import facts, svg
from understudy_sim.run import Run
from understudy_sim.world import run

Law = Callable[[ModuleType], None]
RUNS: list[Run] = []


def ran() -> Run:
    if not RUNS:
        RUNS.append(run(small(client={"arrivals": {"kind": "steady", "rate": 5.0}})))
    return RUNS[0]


def facts_agree_with_the_run(module: ModuleType) -> None:
    told = module.gather(ran())
    slices = told.slices
    assert sum(each.requests for each in slices) == len(ran().requests)
    assert sum(each.ok for each in slices) == sum(each.ok for each in ran().requests)
    assert sum(sum(each.billed_usd.values()) for each in slices) == pytest.approx(
        told.headline.billed_usd
    )
    assert [(each.from_s, each.until_s) for each in told.windows] == [(5.0, 15.0)]
    (stays,) = told.ribbons.values()
    assert stays[0].from_s == 0
    assert stays[0].state == "closed"
    assert all(before.until_s == after.from_s for before, after in itertools.pairwise(stays))
    moved = next(event for event in of(ran(), BreakerMoved) if event.target == "open")
    assert moved.at_s in {stay.from_s for stay in stays if stay.state == "open"}
    held = module._spans([(1.0, 9.0), (2.0, math.inf), (5.0, 5.0)], 10.0)
    assert held == [(1.0, 2.0), (2.0, 5.0)]


def pages_are_sound(module: ModuleType) -> None:
    told = facts.gather(ran(), [])
    html = module.page(told)
    reader = read(html)
    assert "Every law of the trace was kept." in reader.says
    assert html.partition("<summary>Over time")[2].count("<tr>") == 1 + len(told.slices)
    assert reader.refers == []


def places_are_where_they_should_be(module: ModuleType) -> None:
    frame = module.Frame(100.0, 10.0, 150)
    assert (frame.x(0), frame.x(100)) == (module.LEFT, module.WIDTH - module.RIGHT)
    assert (frame.y(0), frame.y(10)) == (frame.floor, module.TOP)
    assert frame.y(20) == module.TOP
    broken = frame.line([(0, 1.0), (1, None), (2, 1.0), (3, 2.0)], "x")
    assert broken.count("M") == 1
    assert broken.count("<circle") == 1
    assert module.tag("a", b='"') == '<a b="&quot;"></a>'


def intervals_are_students(module: ModuleType) -> None:
    found = module.estimate([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.high == pytest.approx(2.0 + 4.303 / math.sqrt(3), abs=1e-6)
    engine = small().engine
    alone = {**engine, "fallback": False, "max_attempts": 1}
    told = module.compare(small(), {"one": engine, "two": alone}, [1, 2])
    assert told.outcomes[1].differences["success"].mean < 0
    assert told.outcomes[0].measures["wasted_calls"].mean > 0


def settings_arrive(module: ModuleType) -> None:
    changed = module.with_settings(
        small(), ["faults.0.for=2s", "fleet.beta.capacity=3", "engine.max_attempts=2"]
    )
    assert changed.faults[0].until_s == 7
    assert [each.capacity for each in changed.fleet] == [None, 3]
    assert changed.engine["max_attempts"] == 2
    assert "max_attempts" not in small().engine


PAGE: Final = "understudy_sim.report.page"


def planted(module: str, law: Law, **faults: tuple[str, str]) -> list[tuple[Law, Mutant]]:
    return [(law, Mutant(name, module, old, new)) for name, (old, new) in faults.items()]


PLANTED: Final = [
    *planted(
        facts.__name__,
        facts_agree_with_the_run,
        clients_left=('cancelled=ends["cancelled"]', 'cancelled=ends["ok"]'),
        bills_overwritten=("bill.get(provider, 0.0) + usd", "usd"),
        ends_of_faults_missed=("self.ended[fault] = at_s", "pass"),
        a_state_too_late=("bisect.bisect_right(moves, start,", "bisect.bisect_left(moves, start,"),
        holds_for_ever=("min(until, then)", "then"),
    ),
    *planted(
        PAGE,
        pages_are_sound,
        no_verdict=('"Every law of the trace was kept."', '""'),
        slices_lost=("for each in facts.slices", "for each in facts.slices[1:]"),
    ),
    *planted(
        svg.__name__,
        places_are_where_they_should_be,
        upside_down=("self.floor - share *", "TOP + share *"),
        over_the_edge=("min(max(value / self.most, 0.0), 1.0)", "value / self.most"),
        gaps_bridged=("runs.append([])", "pass"),
        nothing_escaped=("escape(_number(value))", "_number(value)"),
    ),
    *planted(
        compare.__name__,
        intervals_are_students,
        spread_of_a_population=("/ (count - 1))", "/ count)"),
        one_freedom_too_many=("t95(count - 1)", "t95(count)"),
        the_wrong_way_round=("one - other for", "other - one for"),
        one_engine_for_all=("engine=dict(engine))", "engine=dict(scenario.engine))"),
    ),
    *planted(
        settings.__name__,
        settings_arrive,
        ends_twice=('at.pop("until", None)', "pass"),
        the_wrong_entry=("return names.index(step)", "return 0"),
        the_first_only=("for each in settings:", "for each in list(settings)[:1]:"),
    ),
]


@pytest.mark.parametrize(("law", "mutant"), PLANTED, ids=[mutant.name for _, mutant in PLANTED])
def test_a_planted_fault_is_found(law: Law, mutant: Mutant) -> None:
    module = mutant.plant()
    with pytest.raises((AssertionError, ValueError)):
        law(module)


@pytest.mark.parametrize(
    ("law", "module"),
    [
        (facts_agree_with_the_run, facts),
        (pages_are_sound, importlib.import_module(PAGE)),  # hidden by the function in the package
        (places_are_where_they_should_be, svg),
        (intervals_are_students, compare),
        (settings_arrive, settings),
    ],
)
def test_without_a_fault_the_law_holds(law: Law, module: ModuleType) -> None:
    law(module)
