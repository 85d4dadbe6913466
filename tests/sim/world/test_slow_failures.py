"""A provider whose every failure takes half a minute is back soon after it is well again."""

from __future__ import annotations

import pytest

from tests.sim.world.worlds import world
from understudy_sim.check import ALL
from understudy_sim.headline import availability, headline
from understudy_sim.world import run


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_slow_gateway_timeouts_the_preferred_one_is_back_within_three_quarters_of_a_minute(
    seed: int,
) -> None:
    """What a probe had begun before the end may fail after it, and costs one cooldown more."""
    during = {"from": 60, "for": 240, "selector": {"provider": "alpha"}}
    ran = run(
        world(
            {"kind": "slow", "add": "30s", **during},
            {"kind": "status", "statuses": [504], **during},
            fleet=({"name": "alpha"}, {"name": "beta"}),
            client={"arrivals": {"kind": "poisson", "rate": 5}, "deadline": "120s"},
            engine={
                "strategy": "priority",
                "providers": {"alpha": {"priority": 1}, "beta": {"priority": 2}},
            },
            horizon=420,
            seed=seed,
        ),
        monitors=ALL,
    )
    assert not ran.violations
    assert availability(ran.requests) == 1.0
    recover_s = headline(ran).recover_s
    assert recover_s is not None
    assert recover_s < 30 + 15
    late = [each for each in ran.requests if each.arrived_at > 300 + 45]
    assert {each.provider for each in late} == {"alpha"}
    during_it = [each for each in ran.requests if 100 < each.arrived_at < 300]
    slow = sum(each.elapsed_s > 25 for each in during_it)
    assert slow <= 0.015 * len(during_it), "what finding that out costs"
