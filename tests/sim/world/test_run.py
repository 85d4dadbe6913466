"""A run is a function of its document, draws are keyed, and clients do what they are told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.sim.world.worlds import of, statuses, world
from understudy_actors.domain.events import Event, RequestAccepted, RequestOutcome
from understudy_sim.check import ALL, Rules, Violation
from understudy_sim.run import Run
from understudy_sim.scenario import Scenario, load, parse
from understudy_sim.world import run
from understudy_sim.world_events import RunEnded, Served

RANDOM = {"kind": "lognormal", "median": 0.5, "sigma": 0.6}
FLAKY = {"kind": "status", "share": 0.3, "statuses": [500, 503]}


def busy(**keys: Any) -> Scenario:
    """Everything random that there is."""
    client = {
        "arrivals": {"kind": "poisson", "rate": 4},
        "prompt_tokens": {"kind": "lognormal", "median": 50},
        "output_tokens": {"kind": "lognormal", "median": 50},
        "cancels": {"share": 0.1, "after": RANDOM},
        "tenant": "acme",
        "users": 5,
        **keys.pop("client", {}),
    }
    fleet = [
        {"name": "alpha", "latency": RANDOM},
        {"name": "beta", "latency": RANDOM, "wire": "anthropic"},
    ]
    return world(FLAKY, client=client, fleet=fleet, **keys)


def test_the_same_document_gives_the_same_run() -> None:
    one, two = run(busy(horizon=60)), run(busy(horizon=60))
    assert one.events == two.events
    assert one.requests == two.requests
    assert one.semantic_digest == two.semantic_digest
    assert one.schedule_digest == two.schedule_digest
    assert len(one.requests) > 150


def test_another_seed_gives_another_run_and_stands_in_its_document() -> None:
    one, two = run(busy()), run(busy(), seed=6)
    assert one.semantic_digest != two.semantic_digest
    assert (one.scenario.seed, two.scenario.seed) == (5, 6)
    assert run(two.scenario).semantic_digest == two.semantic_digest


def test_another_process_with_another_hash_seed_gives_the_same_run() -> None:
    code = (
        "from understudy_sim.scenario import load; from understudy_sim.world import run;"
        "print(run(load('actor-crashes')).semantic_digest)"
    )
    environ = {**os.environ, "PYTHONHASHSEED": "77"}
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
    )
    assert other.stdout.strip() == run(load("actor-crashes")).semantic_digest


def draws(ran: Run) -> dict[str, tuple[Any, ...]]:
    """What was drawn for each request: time, user, sizes, and whether its client left."""
    sizes = {e.request_id: (e.input_tokens, e.output_tokens) for e in of(ran, Served) if e.ok}
    return {
        e.id: (e.arrived_at, e.user, sizes.get(e.id), e.status == "cancelled") for e in ran.requests
    }


def test_leaving_a_request_out_changes_nothing_that_others_drew() -> None:
    wide = {"providers": {name: {"concurrency": 100} for name in ("alpha", "beta")}}
    whole = draws(run(busy(horizon=60, engine=wide)))  # nobody waits in a line for another
    gone = {"web/17", "web/40"}
    rest = draws(run(busy(horizon=60, client={"without": [17, 40]}, engine=wide)))
    assert set(whole) - set(rest) == gone
    for identity, drawn in rest.items():
        arrived_at, user, sizes, left = whole[identity]
        assert drawn[:2] == (arrived_at, user)
        assert drawn[3] == left
        assert None in (sizes, drawn[2]) or drawn[2] == sizes


def test_leaving_a_request_out_changes_no_answer_of_the_provider() -> None:
    def told(**client: Any) -> dict[str, tuple[str, float]]:
        own = {"arrivals": {"kind": "poisson", "rate": 4}, **client}
        fleet = [{"name": "alpha", "latency": RANDOM}]
        calm = {"max_attempts": 1, "providers": {"alpha": {"breaker": OFF, "concurrency": 100}}}
        ran = run(world({**FLAKY, "statuses": [500]}, client=own, fleet=fleet, engine=calm))
        return {e.id: (e.status, round(e.elapsed_s, 6)) for e in ran.requests}

    whole, rest = told(), told(without=[3, 17])
    assert {k: v for k, v in whole.items() if k in rest} == rest
    assert len(whole) - len(rest) == 2
    assert {status for status, _ in whole.values()} == {"ok", "AllAttemptsFailed"}


def test_one_more_fault_of_another_kind_changes_no_luck_of_the_first() -> None:
    def failed(*faults: dict[str, Any]) -> set[str]:
        engine = {"max_attempts": 1, "providers": {"alpha": {"breaker": OFF}}}
        ran = run(world(*faults, engine=engine, horizon=60))
        return {each.id for each in ran.requests if not each.ok}

    server = {**FLAKY, "statuses": [500]}
    assert failed(server) == failed({"kind": "slow", "add": 0.1, "share": 0.5}, server)
    assert failed(server) < failed(server, {"kind": "malformed", "share": 0.2})


@pytest.mark.parametrize("policy", ["fifo", "shuffle", "pct"])
def test_schedules_are_explored_and_repeat(policy: str) -> None:
    schedule = {"policy": policy, "quantum": 2.0**-5, "replies_first": True}
    one, two = run(busy(schedule=schedule)), run(busy(schedule=schedule))
    assert one.contests > 10
    assert one.semantic_digest == two.semantic_digest
    assert one.schedule_digest == two.schedule_digest
    if policy != "fifo":
        assert one.schedule_digest != run(busy(schedule=schedule), seed=6).schedule_digest


def test_every_request_is_accepted_once_ends_once_and_is_recorded() -> None:
    ran = run(busy(horizon=60))
    accepted = Counter(event.request for event in of(ran, RequestAccepted))
    ended = {event.request: event for event in of(ran, RequestOutcome)}
    assert set(accepted.values()) == {1}
    assert set(accepted) == set(ended) == {each.id for each in ran.requests}
    for each in ran.requests:
        assert ended[each.id].status == each.status
        assert ended[each.id].elapsed_s == pytest.approx(each.elapsed_s, abs=1e-9)
    assert [seq for seq, _ in ran.events] == list(range(1, len(ran.events) + 1))
    assert isinstance(ran.events[-1][1], RunEnded)
    assert ran.progress == "done"


def test_users_of_a_closed_loop_wait_for_their_answers() -> None:
    users = {"kind": "users", "count": 3, "think": 1.5}
    ran = run(world(client={"arrivals": users}))
    assert Counter(each.id.split(".")[0] for each in ran.requests) == {
        f"web/{user}": 10 for user in range(3)
    }
    own = [each for each in ran.requests if each.id.startswith("web/1.")]
    assert [each.arrived_at for each in own] == [1.5 + 2 * n for n in range(10)]


def test_clients_repeat_what_failed_and_only_that() -> None:
    fault = {"kind": "status", "statuses": [500], "until": 3.5}
    repeats = {"times": 5, "wait": 1}
    calm = {"max_attempts": 1, "providers": {"alpha": {"breaker": OFF}}}
    client = {"arrivals": {"kind": "recorded", "at": [0.0, 5.0]}, "repeats": repeats}
    ran = run(world(fault, client=client, engine=calm))
    assert [each.id for each in ran.requests] == [
        "web/0",
        *(f"web/0+{n}" for n in range(1, 5)),
        "web/1",
    ]
    assert statuses(ran) == ["AllAttemptsFailed"] * 4 + ["ok", "ok"]


def test_clients_keep_to_their_time_and_their_number() -> None:
    ran = run(world(client={"from": 3, "until": 8}))
    assert [each.arrived_at for each in ran.requests] == [3.0, 4.0, 5.0, 6.0, 7.0]
    assert len(run(world(client={"requests_max": 4})).requests) == 4


def test_clients_cancel_their_share() -> None:
    ran = run(world(client={"cancels": {"share": 0.25, "after": "100ms"}}, horizon=400))
    cancelled = [each for each in ran.requests if each.status == "cancelled"]
    assert 70 < len(cancelled) < 130
    assert {round(each.elapsed_s, 6) for each in cancelled} == {0.1}


def test_what_a_client_asks_for_reaches_the_engine() -> None:
    client = {"deadline": "7s", "tenant": "acme", "priority": 3, "model": "large"}
    ran = run(world(client=client, horizon=1))
    (accepted,), (record,) = of(ran, RequestAccepted), ran.requests
    assert accepted.deadline == 7.0
    assert accepted.model == "large"
    assert accepted.user == "acme/0"
    assert record.priority == 3
    dear = run(world(client={"max_cost_usd": 1e-9}, horizon=1))
    assert statuses(dear) == ["OverMaxCost"]


def test_monitors_hear_every_event_in_order() -> None:
    class Counting:
        name = "counting"

        def __init__(self, rules: Rules) -> None:
            self.rules = rules

        def on(self, seq: int, event: Event) -> Violation | None:
            heard.append((seq, event))
            return Violation("counting", "seven", ((seq, event),), "7") if seq == 7 else None

        def end(self) -> Violation | None:
            return Violation("counting", f"over after {self.rules.max_attempts}", (), "end")

    heard: list[tuple[int, Event]] = []
    ran = run(world(engine={"max_attempts": 3}), monitors=[Counting])
    assert heard == ran.events
    assert [each.sentence for each in ran.violations] == ["seven", "over after 3"]
    assert not run(world(), monitors=ALL).violations


def test_a_scenario_from_a_file_runs_like_one_from_code(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(
        'name = "small"\nhorizon = 5\n[[clients]]\nname = "web"\n'
        'arrivals = {kind = "steady", rate = 2}\n[[fleet]]\nname = "alpha"\n'
    )
    ran = run(load(path))
    assert statuses(ran) == ["ok"] * 10
    assert run(parse(ran.scenario)).semantic_digest == ran.semantic_digest


OFF = {"trip_after": 10**9, "ratio": 0, "growth": False}
