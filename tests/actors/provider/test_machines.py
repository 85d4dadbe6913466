"""The provider's machines, by example: what a reader wants to see first."""

from __future__ import annotations

import msgspec
import pytest

from understudy_actors.domain.outcome import HoldKind, Verdict
from understudy_actors.provider.breaker import Breaker
from understudy_actors.provider.concurrency import Concurrency, ConcurrencySnapshot
from understudy_actors.provider.gate import Refusal
from understudy_actors.provider.health import Health, HealthSnapshot
from understudy_actors.provider.holds import Holds, HoldsSnapshot
from understudy_actors.provider.policy import DEFAULT, BreakerPolicy
from understudy_actors.provider.transitions import BreakerSnapshot, State


def broken(policy: BreakerPolicy = DEFAULT) -> Breaker:
    """A breaker that opened at 0 s until 3.75 s."""
    breaker = Breaker(policy, lambda: 0.5)
    for _ in range(5):
        breaker.release(0.0, 1, breaker.admit(0.0, 1, 30.0), Verdict.FAIL)
    return breaker


def test_a_breaker_opens_probes_and_closes() -> None:
    breaker = broken()
    assert breaker.check(0.0) == Refusal(3.75, "open")
    assert breaker.next_at() == 3.75
    assert breaker.check(3.75) is None
    generation = breaker.admit(3.75, 7, timeout_s=30.0)
    assert breaker.check(4.0) == Refusal(43.75, "probing")
    breaker.release(4.0, 7, generation, Verdict.OK)
    breaker.release(5.0, 8, breaker.admit(5.0, 8, 30.0), Verdict.OK)
    assert breaker.state is State.CLOSED
    assert [(move.at_s, move.why) for move in breaker.moves] == [
        (0.0, "failures in a row"),
        (3.75, "cooldown over"),
        (5.0, "probes succeeded"),
    ]


def test_a_breaker_says_what_it_is() -> None:
    breaker = Breaker(DEFAULT, lambda: 0.5)
    assert repr(breaker) == "<Breaker closed, 0 failures in a row>"
    breaker = broken()
    assert repr(breaker) == "<Breaker open, until 3.750 s>"
    breaker.tick(4.0)
    assert repr(breaker) == "<Breaker half-open, 0 of 1 probes out>"
    breaker.isolate(4.0)
    assert repr(breaker) == "<Breaker isolated>"


def test_asking_for_a_permit_that_would_be_refused_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError, match="ask `check` first"):
        broken().admit(1.0, 1, 30.0)


def test_a_retry_after_is_a_floor_for_the_cooldown_but_no_sentence() -> None:
    breaker = Breaker(BreakerPolicy(run_threshold=1), lambda: 0.0)
    generation = breaker.admit(0.0, 1, 30.0)
    breaker.release(0.0, 1, generation, Verdict.FAIL, retry_after_s=1e9)
    assert breaker.until == 3600.0


def test_an_exhausted_credit_is_tried_again_by_one_call_and_waited_for_twice_as_long() -> None:
    holds = Holds()
    holds.set(0.0, HoldKind.CREDIT)
    assert holds.check(299.0) == Refusal(300.0, "credit exhausted")
    assert holds.check(300.0) is None
    assert holds.admit(300.0, 1, timeout_s=30.0)
    assert holds.check(301.0) == Refusal(340.0, "probing")
    holds.set(302.0, HoldKind.CREDIT, dispatched_at=300.0)
    holds.release(302.0, 1, Verdict.NEUTRAL)
    assert holds.check(303.0) == Refusal(902.0, "credit exhausted")
    assert repr(holds) == "<Holds credit exhausted, until 902.000 s>"


def test_a_hold_by_hand_ends_by_hand() -> None:
    holds = Holds()
    holds.set(0.0, HoldKind.MANUAL, why="maintenance")
    assert holds.check(1e12) == Refusal(None, "maintenance")
    assert holds.next_at() is None
    assert [hold.why for hold in holds.clear(1e12)] == ["maintenance"]
    assert holds.check(1e12) is None


def test_a_busy_hold_needs_an_end() -> None:
    with pytest.raises(ValueError, match=r"^a BUSY hold needs `until`: the stated end, or a"):
        Holds().set(0.0, HoldKind.BUSY)


@pytest.mark.parametrize(
    ("least", "most", "beta", "complaint"),
    [(0, 9, 0.5, "least=0, most=9"), (3, 2, 0.5, "least=3, most=2"), (1, 2, 1.0, "`beta` must be")],
)
def test_a_limit_without_room_is_refused(
    least: int, most: int, beta: float, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Concurrency(lambda: 0.5, least=least, most=most, beta=beta)


def test_a_slot_given_back_twice_is_our_own_mistake() -> None:
    limit = Concurrency(lambda: 0.5)
    limit.started()
    limit.ended()
    with pytest.raises(AssertionError, match="given back twice"):
        limit.ended()


def test_every_snapshot_survives_json_and_another_clock() -> None:
    breaker, holds = broken(), Holds()
    holds.set(0.0, HoldKind.CREDIT)
    holds.set(0.0, HoldKind.MANUAL)
    limit, health = Concurrency(lambda: 0.5), Health()
    limit.on_throttle(1.0, 0.0)
    health.on_ok(1.0, 1e9, 2.0, 0.5, 100)
    health.on_fail(2.0, 1e9, 30.0)
    for snapshot, kind in (
        (breaker.snapshot(), BreakerSnapshot),
        (holds.snapshot(), HoldsSnapshot),
        (limit.snapshot(), ConcurrencySnapshot),
        (health.snapshot(), HealthSnapshot),
    ):
        assert isinstance(snapshot, kind)
        assert msgspec.json.decode(msgspec.json.encode(snapshot), type=kind) == snapshot
        assert snapshot.moved(64.0) != snapshot
        assert snapshot.moved(64.0).moved(-64.0) == snapshot
    later = Health()
    later.restore(health.snapshot().moved(64.0), 66.0)
    assert later.latency_s(66.0, 10, 1.0) == health.latency_s(2.0, 10, 1.0)
