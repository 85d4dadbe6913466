"""Simulated providers: what they answer, refuse, count and bill."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.sim.world.worlds import CALM, of, once, statuses, world
from understudy_actors.domain.events import AttemptEnded, HoldSet
from understudy_sim.world import run
from understudy_sim.world_events import Served

BURST = {"arrivals": {"kind": "burst", "size": 6}}
ONE_TRY: dict[str, Any] = {"max_attempts": 1, "deadline": "20s"}


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_an_answer_costs_and_takes_what_the_document_says(wire: str) -> None:
    fleet = [
        {
            "name": "alpha",
            "wire": wire,
            "latency": "250ms",
            "tokens_per_s": 50,
            "price": {"input": 10, "output": 100},
        }
    ]
    ran = once(fleet=fleet, client={"prompt_tokens": 40, "output_tokens": 25})
    (record,), (bill,) = ran.requests, of(ran, Served)
    assert record.elapsed_s == pytest.approx(0.25 + 25 / 50)
    assert (bill.input_tokens, bill.output_tokens) == (40, 25)
    assert bill.billed_usd == pytest.approx((40 * 10 + 25 * 100) / 1e6)
    assert record.cost_usd == pytest.approx(bill.billed_usd)
    assert (record.provider, record.model, record.attempts) == ("alpha", "large", 1)


def test_max_tokens_cuts_the_answer() -> None:
    ran = once(client={"output_tokens": 500, "max_tokens": 40})
    assert [event.output_tokens for event in of(ran, Served)] == [40]


@pytest.mark.parametrize("operation", ["embedding", "image"])
def test_other_operations_are_answered_too(operation: str) -> None:
    engine = {"providers": {"alpha": {"operations": [operation]}}}
    assert statuses(once(client={"operation": operation}, engine=engine)) == ["ok"]


def test_beyond_its_servers_requests_wait_and_beyond_its_queue_they_are_refused() -> None:
    fleet = [{"name": "alpha", "capacity": 2, "queue": 2, "refusal": 0.1}]
    ran = run(world(fleet=fleet, client=BURST, engine=ONE_TRY))
    assert sorted(e.elapsed_s for e in ran.requests if e.ok) == [0.5, 0.5, 1.0, 1.0]
    assert Counter(e.error for e in of(ran, AttemptEnded)) == {None: 4, "overloaded": 2}


def test_rates_are_limited_by_requests_tokens_and_concurrency() -> None:
    for limits, through in (
        ({"requests_per_min": 60, "burst": "3s"}, 3),
        ({"tokens_per_min": 12_000, "burst": "2s"}, 2),
        ({"concurrency": 4}, 4),
    ):
        fleet = [{"name": "alpha", "limits": limits, "refusal": 0.1}]
        ran = run(world(fleet=fleet, client=BURST, engine=ONE_TRY))
        ended = Counter(event.error for event in of(ran, AttemptEnded))
        assert ended == {None: through, "rate_limit": 6 - through}, limits


@pytest.mark.parametrize(
    ("retry_after", "told"),
    [("truth", 12.0), ("date", 12.0), ("lying", 1.2), ("missing", None), (7, 7.0), ("huge", 86400)],
)
def test_a_limit_says_of_its_end_what_the_document_says(
    retry_after: str | int, told: float | None
) -> None:
    limits = {"requests_per_min": 5, "burst": "12s", "retry_after": retry_after}
    client = {"arrivals": {"kind": "recorded", "at": [0.0, 0.0]}}
    ran = run(world(fleet=[{"name": "alpha", "limits": limits}], client=client, engine=ONE_TRY))
    stated = [event.until - event.at_s for event in of(ran, HoldSet)]
    if told is None:
        assert all(each <= 1.0 for each in stated), "only a guess"
    else:
        assert max(stated) == pytest.approx(told, abs=1.0 if retry_after == "date" else 1e-3)


def test_credit_runs_out() -> None:
    fleet: list[dict[str, Any]] = [{"name": "alpha", "credit_usd": 0.0012}, {"name": "beta"}]
    engine = {"strategy": "priority", "providers": {"alpha": {"priority": 1}}}
    ran = run(world(fleet=fleet, engine=engine))
    assert Counter(e.provider for e in ran.requests) == {"alpha": 3, "beta": 17}
    assert [e.error for e in of(ran, AttemptEnded)].count("quota") == 1
    billed = sum(e.billed_usd for e in of(ran, Served) if e.provider == "alpha")
    assert billed == pytest.approx(0.0015)


@pytest.mark.parametrize("keeps_working", [True, False])
def test_the_work_for_who_has_left_goes_on_or_does_not(keeps_working: bool) -> None:
    fleet = [{"name": "alpha", "capacity": 1, "keeps_working": keeps_working, "latency": "4s"}]
    arrivals = {"kind": "recorded", "at": [0.0, 0.0, 3.0, 15.0]}
    client = {"arrivals": arrivals, "deadline": "5500ms"}
    ran = run(world(fleet=fleet, client=client, engine={"max_attempts": 1}))
    abandoned = {"web/1": 8.0, "web/2": 12.0} if keeps_working else {}
    assert [each.id for each in ran.requests if each.ok] == ["web/0", "web/3"]
    assert {each.request_id: each.at_s for each in of(ran, Served)} == pytest.approx(
        {"web/0": 4.0, "web/3": 19.0, **abandoned}
    )


def test_a_wrong_model_or_key_is_not_served() -> None:
    engine = {"providers": {"alpha": {"models": ["other"]}}, "max_attempts": 1}
    ran = once(engine=engine)
    assert [event.error for event in of(ran, AttemptEnded)] == ["model_not_found"]


def test_health_checks_of_the_engine_are_answered() -> None:
    engine = {"providers": {"alpha": {"health_check": {"interval": "2s", "timeout": "1s"}}}}
    ran = run(world(engine=engine, horizon=9))
    checks = [event for _, event in ran.events if type(event).__name__ == "HealthChecked"]
    assert len(checks) >= 4
    assert all(getattr(check, "ok", False) for check in checks)
    down = run(world({"kind": "auth"}, engine=engine, horizon=9))
    checks = [event for _, event in down.events if type(event).__name__ == "HealthChecked"]
    assert not any(getattr(check, "ok", True) for check in checks)


def test_latency_follows_its_distribution() -> None:
    spread = {"kind": "lognormal", "median": 0.5, "sigma": 0.4}
    ran = run(world(fleet=[{"name": "alpha", "latency": spread}], horizon=400))
    times = sorted(each.elapsed_s for each in ran.requests)
    assert times[200] == pytest.approx(0.5, rel=0.15)
    assert times[-1] > 1.0
    assert {each.elapsed_s for each in run(world()).requests} == {CALM["value"]}
