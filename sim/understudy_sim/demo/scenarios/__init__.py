"""The scenarios, in the order in which they are played."""

from __future__ import annotations

from typing import Final

from understudy_sim.demo.play import Scenario
from understudy_sim.demo.scenarios.all_down import ALL_DOWN
from understudy_sim.demo.scenarios.all_well import ALL_WELL
from understudy_sim.demo.scenarios.breaker import BREAKER
from understudy_sim.demo.scenarios.invalid import INVALID
from understudy_sim.demo.scenarios.max_cost import MAX_COST
from understudy_sim.demo.scenarios.rate_limit import RATE_LIMIT
from understudy_sim.demo.scenarios.timeout import TIMEOUT

SCENARIOS: Final[tuple[Scenario, ...]] = (
    ALL_WELL,
    TIMEOUT,
    RATE_LIMIT,
    BREAKER,
    ALL_DOWN,
    MAX_COST,
    INVALID,
)
