"""`--set`: every place of a document can be reached, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.sim.cli.house import small
from understudy_sim.cli.settings import full, with_settings
from understudy_sim.latency import Lognormal
from understudy_sim.reading import Refused
from understudy_sim.scenario import load, names, parse


@pytest.mark.parametrize("name", names())
def test_without_settings_the_document_stays_as_it_is(name: str) -> None:
    scenario = load(name)
    assert with_settings(scenario, []) == scenario
    assert parse(full(scenario)).content_hash == scenario.content_hash


def changed(*settings: str) -> Any:
    return with_settings(small(), settings)


@given(st.floats(0.1, 1e3), st.integers(1, 10_000))
def test_numbers_arrive_as_they_were_written(rate: float, capacity: int) -> None:
    scenario = changed(f"clients.0.arrivals.rate={rate!r}", f"fleet.alpha.capacity={capacity}")
    assert scenario.clients[0].arrivals.rate == rate
    assert [each.capacity for each in scenario.fleet] == [capacity, None]


@given(st.lists(st.sampled_from(["priority", "cheapest", "random"]), min_size=1, max_size=5))
def test_the_last_word_counts(strategies: list[str]) -> None:
    settings = [f"engine.strategy={each}" for each in strategies]
    assert changed(*settings).engine["strategy"] == strategies[-1]


def test_durations_texts_and_tables_are_read() -> None:
    scenario = changed(
        "horizon=5m", "faults.0.for=2m", "fleet.beta.latency=2s", "engine.breaker.cooldown=20s"
    )
    assert scenario.horizon_s == 300
    assert scenario.faults[0].until_s == 5 + 120
    assert scenario.fleet[1].latency.value == 2
    assert scenario.config.breaker.cooldown_s == 20


def test_a_default_can_be_changed_in_part() -> None:
    scenario = with_settings(load("hangs"), ["fleet.alpha.latency.median=2s"])
    assert scenario.fleet[0].latency == Lognormal(2.0, 0.4)


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("fleet.gamma.capacity=1", "there is alpha, beta"),
        ("name.x=1", "a single value stands above it"),
        ("colour=red", "colour"),
        ("horizon=-1", "horizon"),
        ("horizon=soon", "horizon"),
        ("= 3", "key=value"),
        ("a b=3", "no key"),
        ("faults.0.selector.provider=gamma", "gamma"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(setting: str, word: str) -> None:
    with pytest.raises(Refused) as refused:
        changed(setting)
    assert word in str(refused.value)
