"""`compare`: differences over the same worlds, with intervals."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from tests.sim.cli.house import answered, called, small, written
from understudy_sim.compare import MEASURES, T95, compare, estimate, measures_of, t95
from understudy_sim.world import run

RANDOM = {"arrivals": {"kind": "poisson", "rate": 1.0}}


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=40), st.floats(-10, 10))
def test_an_interval_moves_with_its_values_and_lies_around_their_mean(
    values: list[float], by: float
) -> None:
    one, moved = estimate(values), estimate([each + by for each in values])
    assert one.mean == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert one.low is not None
    assert one.high is not None
    assert one.low <= one.mean <= one.high
    assert moved.low == pytest.approx(one.low + by, abs=1e-6)


def test_students_t_falls_to_the_normal_quantile() -> None:
    found = [t95(each) for each in range(1, 2000)]
    assert found == sorted(found, reverse=True)
    assert t95(30) == T95[-1]
    assert t95(31) == pytest.approx(2.0395, abs=1e-4)
    assert t95(120) == pytest.approx(1.9799, abs=1e-4)
    assert found[-1] == pytest.approx(1.961, abs=1e-3)


def test_one_seed_has_no_interval_and_is_never_clear() -> None:
    alone = estimate([3.0])
    assert (alone.mean, alone.low, alone.high, alone.clear) == (3.0, None, None, False)
    assert estimate([3.0, 3.1, 3.2]).clear
    assert not estimate([-1.0, 1.0]).clear


def test_the_same_engine_differs_in_nothing() -> None:
    engine = small().engine
    found = compare(small(client=RANDOM), {"one": engine, "two": engine}, [1, 2, 3])
    one, two = found.outcomes
    assert one.differences == {}
    assert set(two.differences) == set(MEASURES)
    assert all(each.mean == each.low == each.high == 0 for each in two.differences.values())
    assert all(not each.clear for each in two.differences.values())


def test_measures_are_those_of_the_runs_and_processes_change_nothing() -> None:
    scenario = small(client=RANDOM)
    engines = {"one": scenario.engine, "none": {**scenario.engine, "fallback": False}}
    here = compare(scenario, engines, [5])
    assert here == compare(scenario, engines, [5], jobs=2)
    own = measures_of(run(scenario))
    assert {k: v.mean for k, v in here.outcomes[0].measures.items()} == own
    assert own["wasted_calls"] is not None
    assert own["wasted_calls"] > 0
    assert here.outcomes[1].differences["success"].mean < 0  # nobody steps in


def test_strategies_are_compared_on_the_command_line(tmp_path: Path) -> None:
    file = written(tmp_path, small(client=RANDOM))
    asked = ("compare", "priority", "random", "--scenario", file, "--jobs", "1")
    shown = answered(*asked, "--seeds", "3")
    assert shown["seeds"] == [1, 2, 3]
    first, second = shown["outcomes"]
    assert (first["name"], second["name"]) == ("priority", "random")
    assert set(first["measures"]) == set(MEASURES)
    assert second["differences"]["success"]["seeds"] == 3
    code, out, _ = called(*asked, "--seeds", "2")
    assert code == 0
    assert "Difference to priority, with its 95 % interval" in out
    assert "wasted calls" in out
    assert "take more --seeds" in called(*asked, "--seeds", "1")[1]


def test_configuration_files_are_compared(tmp_path: Path) -> None:
    file = written(tmp_path, small())
    config = tmp_path / "calm.yaml"
    config.write_text("strategy: priority\nmax_attempts: 1\n")
    shown = answered(
        "compare", "priority", str(config), "--scenario", file, "--seeds", "1", "--jobs", "1"
    )
    assert shown["outcomes"][1]["name"] == str(config)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["priority"], "two or more"),
        (["priority", "priority"], "two or more"),
        (["priority", "best"], "'best' is no strategy"),
        (["priority", "gone.toml"], "gone.toml"),
        (["priority", "random", "--scenario", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_compared_ends_with_64(arguments: list[str], word: str) -> None:
    code, _, err = called("compare", *arguments)
    assert code == 64
    assert word in err


def test_a_configuration_for_other_providers_is_refused_by_name(tmp_path: Path) -> None:
    config = tmp_path / "other.toml"
    config.write_text('[providers.openai]\nmodels = ["gpt-5.4-mini"]')
    code, _, err = called("compare", "priority", str(config))
    assert code == 64
    assert "engine.providers.openai" in err
