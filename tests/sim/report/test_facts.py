"""The facts of a report agree with the run that they are about."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.sim.cli.house import small
from tests.sim.world.worlds import of, world
from understudy_actors.domain.events import AttemptDispatched
from understudy_sim.check import Violation
from understudy_sim.headline import headline
from understudy_sim.report.facts import SLICES_MAX, first_of_each, gather, slice_length_s
from understudy_sim.run import Run
from understudy_sim.scenario import load
from understudy_sim.world import run


@pytest.fixture(name="ran", scope="module")
def _ran() -> Run:
    return run(small(horizon=60, client={"cancels": {"share": 0.1, "after": 0.2}}))


@given(st.floats(0.01, 1e7))
def test_slices_are_few_and_cover_the_run(length_s: float) -> None:
    slice_s = slice_length_s(length_s)
    assert 0 < math.ceil(length_s / slice_s) <= SLICES_MAX


def test_slices_add_up_to_the_run(ran: Run) -> None:
    facts = gather(ran)
    assert facts.headline == headline(ran)
    assert sum(each.requests for each in facts.slices) == len(ran.requests)
    assert sum(each.ok for each in facts.slices) == sum(each.ok for each in ran.requests)
    assert sum(each.cancelled for each in facts.slices) == facts.outcomes["cancelled"]
    assert sum(each.calls for each in facts.slices) == len(of(ran, AttemptDispatched))
    billed = sum(sum(each.billed_usd.values()) for each in facts.slices)
    assert billed == pytest.approx(facts.headline.billed_usd)
    shares = dict.fromkeys(facts.providers, 0)
    for each in facts.slices:
        for name, count in each.by_provider.items():
            shares[name] += count
    answered = sum(shares.values())
    assert {n: c / answered for n, c in shares.items()} == pytest.approx(facts.headline.share)


def test_quantiles_of_a_slice_are_in_order(ran: Run) -> None:
    for each in gather(ran).slices:
        if each.p50_s is not None:
            assert each.p95_s is not None
            assert each.p99_s is not None
            assert each.p50_s <= each.p95_s <= each.p99_s


def test_faults_are_shaded_from_their_beginning_to_their_end(ran: Run) -> None:
    (window,) = gather(ran).windows
    assert (window.kind, window.target) == ("status", "alpha")
    assert (window.from_s, window.until_s) == (5.0, 15.0)


def test_a_fault_without_an_end_lasts_as_long_as_the_run() -> None:
    facts = gather(run(world({"kind": "hang", "from": 3.0}, engine={"max_attempts": 1})))
    assert facts.windows[0].until_s == facts.length_s


@pytest.mark.parametrize("name", ["regional-outage", "rate-limit-retry-after"])
def test_the_states_of_a_scope_fill_the_time_without_gaps(name: str) -> None:
    facts = gather(run(load(name)))
    assert facts.ribbons
    for stays in facts.ribbons.values():
        assert stays[0].from_s == 0.0
        assert stays[-1].until_s == facts.length_s
        for before, after in itertools.pairwise(stays):
            assert before.until_s == after.from_s
            assert before.state != after.state
    states = {stay.state for stays in facts.ribbons.values() for stay in stays}
    assert states & {"open", "held"}


def test_violations_are_told_once_a_law() -> None:
    def found(law: str, sentence: str) -> Any:
        return Violation(law, sentence, (), f"{law}/x()")

    told = first_of_each([found("S1", "one"), found("S2", "two"), found("S1", "three")])
    assert told == {"S1": ("one", 2), "S2": ("two", 1)}
