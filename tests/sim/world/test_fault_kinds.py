"""Each kind of fault has its effect, as the engine and its clients see it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim.world.worlds import of, once, statuses, world
from understudy_actors.domain.events import (
    ActorCrashed,
    ActorRestarted,
    AttemptEnded,
    BreakerMoved,
    HoldSet,
    RequestOutcome,
)
from understudy_sim.fault_kinds import KINDS, WORLD_KINDS
from understudy_sim.world import run
from understudy_sim.world_events import FaultBegan, FaultEnded, Quiet, Served

SLOW = {"tokens_per_s": 100.0}

# fault, error class that the engine sees (None: an answer), seconds, did the provider work?
EFFECTS: list[tuple[dict[str, Any], str | None, float, bool | None]] = [
    ({"kind": "refuse"}, "connect", 0.0, None),
    ({"kind": "refuse", "after": 3}, "connect", 3.0, None),
    ({"kind": "reset", "after": 2}, "reset", 2.0, False),
    ({"kind": "hang"}, "silent", 10.0, False),
    ({"kind": "stall", "after_bytes": 10}, "silent", 10.0, True),
    ({"kind": "stall", "after_bytes": 10, "lasts": 3}, None, 3.5, True),
    ({"kind": "drip", "bytes_per_s": 1.0}, "silent", 10.0, True),
    ({"kind": "cut"}, "reset", 0.5, True),
    ({"kind": "slow", "multiplier": 4.0, "add": 1}, None, 3.0, True),
    ({"kind": "brownout", "multiplier": 5.0}, None, 2.5, True),
    ({"kind": "brownout", "multiplier": 5.0, "until": 100, "from": 0}, None, 2.5, True),
    ({"kind": "status", "statuses": [500]}, "server", 0.0, False),
    ({"kind": "status", "statuses": [429]}, "rate_limit", 0.0, False),
    ({"kind": "status", "statuses": [503]}, "overloaded", 0.0, False),
    ({"kind": "rate_limit"}, "rate_limit", 0.0, False),
    ({"kind": "credit"}, "quota", 0.0, False),
    ({"kind": "credit", "variant": "quota"}, "quota", 0.0, False),
    ({"kind": "auth"}, "auth", 0.0, False),
    ({"kind": "malformed", "variant": "truncated_json"}, "malformed", 0.5, True),
    ({"kind": "malformed", "variant": "html"}, "malformed", 0.5, True),
    ({"kind": "malformed", "variant": "empty"}, "malformed", 0.5, True),
    ({"kind": "malformed", "variant": "wrong_type"}, "malformed", 0.5, True),
    ({"kind": "malformed", "variant": "error_in_200"}, "server", 0.5, True),
    ({"kind": "context_length"}, "context_length", 0.0, False),
    ({"kind": "content_policy"}, "content_policy", 0.0, False),
    ({"kind": "model_not_found"}, "model_not_found", 0.0, False),
    ({"kind": "timeout", "duration": 4}, "timeout", 4.0, False),
    ({"kind": "ghost"}, "silent", 10.0, True),
    ({"kind": "ghost", "variant": "reset"}, "reset", 0.5, True),
]


def test_every_kind_that_hits_answers_is_tried_here() -> None:
    assert {fault["kind"] for fault, *_ in EFFECTS} == set(KINDS)
    assert set(WORLD_KINDS) == {
        *("clock_jump", "pause", "leave", "crash"),
        *("disk", "kill"),
    }, "tried one by one below, and in test_lives"


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
@pytest.mark.parametrize(("fault", "error", "seconds", "worked"), EFFECTS, ids=str)
def test_a_fault_reaches_the_engine_as_what_it_is(
    fault: dict[str, Any], error: str | None, seconds: float, worked: bool | None, wire: str
) -> None:
    ran = once(fault, fleet=[{"name": "alpha", "wire": wire}])
    (ended,) = of(ran, AttemptEnded)
    if (error, wire) == ("content_policy", "anthropic"):
        assert ended.error in (error, "bad_request"), "it says so in words only"
    else:
        assert ended.error == error
    assert ended.elapsed_s == pytest.approx(seconds, abs=1e-6)
    assert [event.ok for event in of(ran, Served)] == ([] if worked is None else [worked])
    assert sum(event.billed_usd for event in of(ran, Served)) == (5e-4 if worked else 0.0)
    assert statuses(ran)[0] == "ok" if error is None else statuses(ran)[0] != "ok"


def test_absurd_usage_costs_no_absurd_money() -> None:
    ran = once({"kind": "malformed", "variant": "absurd_usage"})
    (record,) = ran.requests
    assert record.cost_usd is None or 0 <= record.cost_usd < 1


def test_a_fault_hits_only_whom_it_selects() -> None:
    fleet = [
        {"name": "alpha", "region": "eu"},
        {"name": "beta", "region": "eu", "wire": "anthropic"},
        {"name": "gamma", "region": "us"},
    ]
    for selector, hit in (
        ({"provider": "beta"}, {"beta"}),
        ({"region": "eu"}, {"alpha", "beta"}),
        ({"region": "us"}, {"gamma"}),
        ({}, {"alpha", "beta", "gamma"}),
        ({"operation": "image"}, set()),
    ):
        fault = {"kind": "status", "statuses": [500], "selector": selector}
        ran = run(world(fault, fleet=fleet, engine={"strategy": "random"}, horizon=30))
        ended = of(ran, AttemptEnded)
        assert {each.endpoint.split("/")[0] for each in ended if each.error == "server"} == hit
        assert {each.endpoint.split("/")[0] for each in ended if each.error is None} == (
            {"alpha", "beta", "gamma"} - hit
        )


def test_what_begins_and_ends_is_told_and_quiet_comes_last() -> None:
    faults = (
        {"kind": "status", "from": 2, "for": 3, "fade": 1, "selector": {"provider": "alpha"}},
        {"kind": "slow", "add": 0.1, "from": 1, "until": 9},
    )
    ran = run(world(*faults))
    told = [event for _, event in ran.world if isinstance(event, FaultBegan | FaultEnded | Quiet)]
    assert [(type(event), event.at_s) for event in told] == [
        (FaultBegan, 1.0),
        (FaultBegan, 2.0),
        (FaultEnded, 6.0),
        (FaultEnded, 9.0),
        (Quiet, 9.0),
    ]
    assert [e.target for e in told if isinstance(e, FaultBegan)] == ["all", "alpha"]
    assert not of(run(world({"kind": "slow", "add": 0.1})), Quiet), "it never ends"
    assert [event.at_s for event in of(run(world()), Quiet)] == [0.0], "there is none"


def test_a_pause_makes_everything_late_and_nothing_else() -> None:
    ran = run(world({"kind": "pause", "from": 5.25, "for": 4}))
    late = [each for each in ran.requests if each.elapsed_s > 0.6]
    assert set(statuses(ran)) == {"ok"}
    assert [round(each.arrived_at, 2) for each in late] == [5.0]
    assert [each.arrived_at for each in ran.requests[6:10]] == [9.25] * 4, "all at once"
    at = [event.at_s for _, event in ran.events]
    assert at == sorted(at)


def test_a_jump_of_the_wall_clock_moves_no_deadline_but_how_dates_are_read() -> None:
    def held_s(by: str) -> float:
        limit = {"kind": "rate_limit", "for": 10, "retry_after": "date"}
        ran = run(world({"kind": "clock_jump", "by": by, "until": 30}, limit, horizon=2))
        return max(each.until - each.at_s for each in of(ran, HoldSet)[:2])

    assert held_s("0s") == pytest.approx(10, abs=1.1)
    assert held_s("-1h") == pytest.approx(3610, abs=1.1)
    assert held_s("1h") < 2


def test_clients_leave_in_their_share_and_nobody_is_blamed() -> None:
    ran = run(world({"kind": "leave", "from": 5, "for": 10, "after": "200ms"}))
    assert statuses(ran) == ["ok"] * 5 + ["cancelled"] * 10 + ["ok"] * 5
    assert [e.elapsed_s for e in ran.requests[5:15]] == pytest.approx([0.2] * 10)
    assert not of(ran, BreakerMoved)
    leaving = world({"kind": "leave", "share": 0.5, "after": "200ms"}, horizon=200)
    assert 70 < statuses(run(leaving)).count("cancelled") < 130


@pytest.mark.parametrize("actor", ["provider", "dispatcher"])
def test_an_actor_crashes_and_comes_back(actor: str) -> None:
    fault = {"kind": "crash", "actor": actor, "from": 3.25, "every": 6, "times": 2}
    ran = run(world({**fault, "selector": {"provider": "beta"}}, fleet=TWO))
    name = "dispatcher" if actor == "dispatcher" else "provider/beta"
    assert [(event.actor, event.at_s) for event in of(ran, ActorCrashed)] == [
        (name, 3.25),
        (name, 9.25),
    ]
    assert len(of(ran, ActorRestarted)) == 2
    assert set(statuses(ran)) == {"ok"}
    assert len(of(ran, RequestOutcome)) == 20


def test_flapping_follows_its_duty_cycle() -> None:
    flapping = {"kind": "status", "every": 8, "duty": 0.5, "statuses": [500]}
    ran = run(world(flapping, horizon=32, engine=NO_BREAKER))
    failed = [round(e.arrived_at) for e in ran.requests if not e.ok]
    assert failed == [n for n in range(32) if n % 8 < 4]


def test_errors_get_rarer_while_a_fault_fades() -> None:
    fading = {"kind": "status", "until": 50, "fade": 200, "statuses": [500]}
    ran = run(world(fading, horizon=300, engine=NO_BREAKER))
    share = [sum(e.ok for e in ran.requests[n : n + 50]) / 50 for n in range(0, 300, 50)]
    assert share[0] == 0.0
    assert share[-1] == 1.0
    assert 0.02 < share[1] < share[3] < 0.98


def test_a_brownout_takes_servers_away_and_ramps() -> None:
    fleet = [{"name": "alpha", "capacity": 4}]
    cut = {"kind": "brownout", "multiplier": 1.0, "capacity": 0.25}
    client = {"arrivals": {"kind": "burst", "size": 4}}
    assert [e.elapsed_s for e in run(world(fleet=fleet, client=client)).requests] == [0.5] * 4
    browned = run(world(cut, fleet=fleet, client=client)).requests
    assert sorted(e.elapsed_s for e in browned) == [0.5, 1.0, 1.5, 2.0]
    rising = {"kind": "brownout", "multiplier": 11.0, "rise": 20, "until": 100}
    times = [e.elapsed_s for e in run(world(rising, engine=NO_BREAKER)).requests]
    assert times == pytest.approx([0.5 * (1 + at / 2) for at in range(20)], abs=1e-6)


def test_no_server_left_means_waiting_for_one() -> None:
    gone = {"kind": "brownout", "multiplier": 1.0, "capacity": 0.0, "from": 3, "for": 4}
    ran = run(world(gone, fleet=[{"name": "alpha", "capacity": 4}]))
    assert set(statuses(ran)) == {"ok"}
    assert max(e.elapsed_s for e in ran.requests) == pytest.approx(4.5, abs=0.3)


TWO = ({"name": "alpha"}, {"name": "beta", "wire": "anthropic"})
NO_BREAKER = {
    "max_attempts": 1,
    "providers": {"alpha": {"breaker": {"trip_after": 10**9, "ratio": 0, "growth": False}}},
}
