"""The kinds that were made for simulations work in the mock service too, as far as it can."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from understudy_sim.fault_kinds import WORLD_KINDS, Hang, Reset
from understudy_sim.faults import parse_schedule
from understudy_sim.mock import Behaviour, MockProvider, MockSettings
from understudy_sim.mock.provider import Plan
from understudy_sim.mock.requests import ROUTES
from understudy_sim.reading import Refused

PATH = "/v1/chat/completions"
BODY = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "hi"}]})


class Frozen:
    at = 0.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at


def planned(fault: dict[str, Any], *, at: float = 0.0, region: str | None = "eu") -> Plan:
    clock = Frozen()
    settings = MockSettings(behaviour=Behaviour(latency_s=2.0), region=region)
    mock = MockProvider(settings, clock)
    mock.set_schedule([fault])
    clock.at = at
    return mock.plan(mock.call(PATH, ROUTES[PATH], {}), BODY)


@pytest.mark.parametrize(("variant", "end"), [("silence", Hang), ("reset", Reset)])
def test_a_ghost_takes_its_time_and_answers_nothing(variant: str, end: type) -> None:
    plan = planned({"kind": "ghost", "variant": variant})
    assert (plan.outcome, plan.answer, plan.wait_s) == ("ghost", None, 2.0)
    assert isinstance(plan.fault, end)


def test_a_brownout_slows_down_as_it_rises() -> None:
    brownout = {"kind": "brownout", "multiplier": 5.0, "rise": 10}
    assert [planned(brownout, at=at).wait_s for at in (0.0, 5.0, 10.0)] == [2.0, 6.0, 10.0]


def test_a_region_is_selected_and_a_reset_comes_late() -> None:
    reset = {"kind": "reset", "after": 3, "selector": {"region": "eu"}}
    assert planned(reset).wait_s == 3.0
    assert planned(reset, region="us").outcome == "ok"
    assert planned(reset, region=None).outcome == "ok"


@pytest.mark.parametrize("kind", WORLD_KINDS)
def test_what_only_a_simulation_can_do_is_refused(kind: str) -> None:
    with pytest.raises(Refused, match=r"faults\[0\].kind: .* can be simulated only"):
        parse_schedule([{"kind": kind}])
