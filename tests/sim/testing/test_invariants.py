"""Whatever fails, whenever, in whatever order tasks run: failover keeps its laws, and replays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, find, given, settings

from understudy_sim.scenario import Scenario, canonical_json, from_json
from understudy_sim.testing import violations_of
from understudy_sim.testing.documents import scenarios
from understudy_sim.world import run

QUICK: dict[str, Any] = {"requests_max": 12, "faults_max": 3}


@settings(max_examples=120)
@given(scenarios())
def test_no_failure_makes_failover_break_a_law(scenario: Scenario) -> None:
    ran = run(scenario)
    assert ran.progress == "done"
    assert [each.sentence for each in violations_of(ran)] == []
    assert len({each.id for each in ran.requests}) == len(ran.requests)


@settings(max_examples=60)
@given(scenarios())
def test_the_same_document_gives_the_same_run(scenario: Scenario) -> None:
    once, again = run(scenario), run(from_json(canonical_json(scenario)))
    assert once.semantic_digest == again.semantic_digest
    assert once.schedule_digest == again.schedule_digest
    assert once.requests == again.requests


@pytest.mark.parametrize("status", ["AllAttemptsFailed", "cancelled"])
def test_hypothesis_shrinks_a_failure_to_almost_nothing(status: str) -> None:
    def shows(scenario: Scenario) -> bool:
        return any(each.status == status for each in run(scenario).requests)

    found = find(
        scenarios(**QUICK),
        shows,
        settings=settings(max_examples=400, phases=(Phase.generate, Phase.shrink), database=None),
    )
    assert len(run(found).requests) <= 2
    assert len(found.faults) <= 1
    assert len(found.fleet) == 1
    assert found.schedule.policy == "fifo"
