"""Who is blamed, who waits, and what a restart keeps: case by case."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from tests.actors.dispatcher.made import spec
from tests.actors.provider_actor.house import House
from understudy_actors.domain.events import (
    BreakerCounted,
    BreakerMoved,
    BreakerStale,
    HoldCleared,
    HoldSet,
    LimitSet,
    PermitReleased,
    SlotFreed,
)
from understudy_actors.domain.outcome import POLICY, ErrorClass, Scope, Verdict
from understudy_actors.domain.rates import RateRule
from understudy_actors.provider import actor
from understudy_actors.provider.gate import Refusal
from understudy_actors.provider.messages import (
    Admin,
    Checked,
    Permit,
    ReleaseScope,
    Report,
    ResetScope,
    SetAdmin,
)
from understudy_actors.provider.policy import DEFAULT

SERVER, CONNECT = ErrorClass.SERVER, ErrorClass.CONNECT


def two(module: ModuleType = actor, **options: Any) -> House:
    return House(spec("p", "m0"), spec("p", "m1"), module=module, **options)


def counted(house: House) -> dict[str, str]:
    return {event.scope: event.verdict for event in house.of(BreakerCounted)}


@pytest.mark.parametrize(
    ("error", "endpoint", "domain"),
    [
        (None, "ok", "ok"),
        (SERVER, "failed", "ok"),
        (ErrorClass.MALFORMED, "failed", "ok"),
        (ErrorClass.SILENT, "failed", None),
        (CONNECT, None, "failed"),
        (ErrorClass.RESET, None, "failed"),
        (ErrorClass.RATE_LIMIT, None, "ok"),
        (ErrorClass.BAD_REQUEST, None, "ok"),
        (ErrorClass.AUTH, None, "ok"),
        (ErrorClass.CANCELLED, None, None),
        (ErrorClass.INTERNAL, None, None),
    ],
)
def test_one_attempt_gives_each_scope_its_own_verdict(
    error: ErrorClass | None, endpoint: str | None, domain: str | None
) -> None:
    house = two(failure_domain="host")
    house.attempt(error)
    assert counted(house).get("p/m0") == endpoint
    assert counted(house).get("domain host of p") == domain
    assert len(house.of(PermitReleased)) == 2


def test_without_a_domain_the_endpoint_takes_the_blame() -> None:
    house = two()
    house.attempt(CONNECT)
    assert counted(house) == {"p/m0": "failed"}


def test_an_unreachable_host_shuts_all_its_endpoints_and_one_probe_opens_them() -> None:
    check_domain(actor)


def check_domain(module: ModuleType) -> None:
    """Raise unless a domain's breaker stands in the way of all its endpoints."""
    house = two(module, failure_domain="host")
    house.attempt(CONNECT)
    house.attempt(CONNECT, index=1)
    assert [c.shut_why for c in house.tier] == ["open", "open"]
    house.pass_time(4.0)
    probe = house.lend(0)
    assert probe.domain_probe
    assert [c.shut_why for c in house.tier] == ["probing", "probing"], "siblings know it at once"
    assert isinstance(house.admit(1), Refusal)
    house.settle(probe, SERVER)  # any answer proves the host
    house.attempt(index=1)
    assert house.of(BreakerMoved)[-1].target == "closed"
    assert all(c.refusal(house.now) is None for c in house.tier)


@pytest.mark.parametrize("error", [ErrorClass.QUOTA, ErrorClass.AUTH, ErrorClass.PERMISSION])
def test_a_hold_of_the_account_holds_every_endpoint_until_one_probe_proved_it(
    error: ErrorClass,
) -> None:
    check_account(actor, error)


def check_account(module: ModuleType, error: ErrorClass = ErrorClass.AUTH) -> None:
    """Raise unless used-up credit and refused keys are everybody's affair."""
    house = two(module)
    house.attempt(error)
    assert len({c.shut_until for c in house.tier}) == 1
    assert isinstance(house.admit(1), Refusal)
    assert not house.of(BreakerMoved)
    house.pass_time(60.0)
    probe = house.lend(1)
    assert isinstance(house.admit(0), Refusal)
    house.settle(probe)
    assert [c.refusal(house.now) for c in house.tier] == [None, None], "it is proven for all"
    house.attempt(index=0)
    assert house.tier[1].refusal(house.now) is None


def check_rates(module: ModuleType) -> None:
    """Raise unless the account's minute is one for all its endpoints, crashes and time included."""
    house = two(module, rates=RateRule(requests=2, tokens=100))
    house.attempt(ErrorClass.CONNECT)
    house.attempt(index=1)
    burst = house.admit(1)
    assert isinstance(burst, Refusal)
    assert (burst.why, burst.retry_at) == ("rate limited", 11.0)
    house.pass_time(11.0)
    assert {c.refusal(house.now) for c in house.tier} == {None}, "somebody looked"
    running = house.admit(tokens=60)
    assert isinstance(running, Permit)
    refusal = house.admit(1)
    assert isinstance(refusal, Refusal)
    assert (refusal.why, refusal.retry_at) == ("rate limited", 62.0)
    assert {c.refusal(house.now) for c in house.tier} == {"rate limited"}
    house.crash()
    house.come_back()
    assert isinstance(house.admit(1), Refusal), "a crash makes no room"
    house.noticed.clear()
    house.pass_time(62.0 - house.now)
    assert {c.refusal(house.now) for c in house.tier} == {None}
    assert house.noticed == house.tier, "somebody looked, without traffic"
    assert isinstance(house.admit(1, tokens=41), Refusal), "a running call does not age"
    house.settle(running)
    assert isinstance(house.admit(1, tokens=41), Refusal), "nobody said that it used less"
    house.pass_time(63.0)
    house.settle(house.lend(), ErrorClass.SERVER)
    house.pass_time(11.0)
    last = house.admit(1, tokens=100)
    assert isinstance(last, Permit)
    house.permits.pop(last.attempt)  # it ends, and that message never arrives
    house.crash()
    house.come_back()
    house.pass_time(62.5)
    assert isinstance(house.admit(1, tokens=100), Permit), "nobody runs for ever"


def test_an_accounts_minute_is_one_for_all_its_endpoints() -> None:
    check_rates(actor)


def check_timers(module: ModuleType) -> None:
    """Raise unless the earliest of several endpoints' gates opens without any traffic."""
    house = two(module)
    house.attempt(ErrorClass.MODEL_NOT_FOUND, index=0)  # for 120 s
    house.attempt(SERVER, index=1)
    house.attempt(SERVER, index=1)  # opens it for 4 s
    house.pass_time(5.0)
    assert [event.target for event in house.of(BreakerMoved)] == ["open", "half-open"]
    house.pass_time(116.0)
    assert house.tier[0].refusal(house.now) is None


def test_the_earliest_of_several_gates_opens_without_traffic() -> None:
    check_timers(actor)


@pytest.mark.parametrize("error", [ErrorClass.RATE_LIMIT, ErrorClass.OVERLOADED])
def test_being_full_holds_and_cuts_but_never_opens(error: ErrorClass) -> None:
    house = two()
    permits = [house.lend() for _ in range(3)]
    house.pass_time(1.0)
    for permit in permits:
        house.settle(permit, error, hint_s=5.0)
    assert house.tier[0].shut_until == 6.0
    assert house.tier[1].refusal(house.now) is None, "its siblings are not full"
    assert len(house.of(LimitSet)) == 1, "many refusals at once are one piece of news"
    assert house.tier[0].limit == 2
    assert not house.of(BreakerMoved)
    assert not counted(house)


def test_a_hold_that_a_later_call_ends_at_once_is_told_as_one_that_became_shorter() -> None:
    house = two()
    early = house.lend()
    house.pass_time(1.0)
    late = house.lend()
    house.settle(early, ErrorClass.RATE_LIMIT, hint_s=30.0)
    house.pass_time(1.0)
    house.settle(late, ErrorClass.RATE_LIMIT, hint_s=0.0)
    told = [(each.until, each.stated) for each in house.of(HoldSet) if each.stated]
    assert told == [(31.0, True), (2.0, True)]
    assert [each.why for each in house.of(HoldCleared)] == ["rate limited: over"]


def test_a_model_that_is_not_there_holds_only_itself() -> None:
    house = two()
    house.attempt(ErrorClass.MODEL_NOT_FOUND)
    assert [c.shut_until for c in house.tier] == [120.0, 0.0]


@pytest.mark.parametrize("verdict", [Verdict.NEUTRAL, Verdict.VOID])
def test_what_says_nothing_changes_nothing(verdict: Verdict) -> None:
    house = two()
    house.attempt(SERVER)
    for _ in range(5):
        house.attempt(verdict=verdict)
    house.attempt(SERVER)
    assert house.of(BreakerMoved)[-1].target == "open", "the run of failures was broken by nobody"
    assert house.status().total_requests == (2 if verdict is Verdict.VOID else 7)


def check_restart(module: ModuleType) -> None:
    """Raise unless permits survive a crash, as slots and as nothing else."""
    house = two(module, failure_domain="host")
    old = [house.lend() for _ in range(3)]
    house.crash()
    house.settle(old[0], SERVER)  # ends while the actor is down
    house.come_back()
    assert house.tier[0].in_flight == 2
    young = house.lend()
    assert young.generation > old[1].generation
    assert isinstance(house.admit(), Refusal)
    house.crash()  # a second time, with nothing saved in between but the restart itself
    house.come_back()
    for permit in (*old[1:], young):
        house.settle(permit, SERVER)
    assert house.tier[0].in_flight == 0
    assert house.tier[0].refusal(house.now) is None, "old failures opened it"
    assert len(house.of(BreakerStale)) == 2 * 4
    assert {event.target for event in house.of(BreakerMoved)} == {"closed"}
    assert len(house.of(SlotFreed)) == 4
    assert not counted(house)
    assert house.status().failures == 3, "what it learned in its last second went with it"


def test_permits_survive_a_crash_as_slots_and_as_nothing_else() -> None:
    check_restart(actor)


def test_a_crash_loses_no_gate_and_at_most_a_second_of_what_was_learned() -> None:
    house = two()
    house.attempt(SERVER)
    house.attempt(SERVER)
    house.attempt(ErrorClass.MODEL_NOT_FOUND, index=1)
    until = [c.shut_until for c in house.tier]
    house.crash()
    house.come_back()
    assert [c.shut_until for c in house.tier] == until
    assert house.status().failures == 2
    house.pass_time(500.0)
    for _ in range(2):
        house.pass_time(1.0)
        house.attempt(index=1)
    house.crash()
    house.come_back()
    assert house.status(1).total_requests == 3


def test_a_crash_before_anything_was_saved_is_survived_too() -> None:
    house = two()
    house.crash()
    house.come_back()
    assert [c.refusal(house.now) for c in house.tier] == [None, None]


def check_twice(module: ModuleType) -> None:
    """Raise if a permit that is given back twice counts twice."""
    house = House(module=module)
    permit, other = house.lend(), house.lend()
    house.settle(permit, ErrorClass.SERVER)
    before = len(house.events)
    house.settle(permit, ErrorClass.SERVER)  # a second failure would open the breaker
    assert len(house.events) == before
    assert house.tier[0].in_flight == 1
    house.settle(other)
    assert house.tier[0].in_flight == 0


def test_a_permit_that_is_given_back_twice_counts_once() -> None:
    check_twice(actor)


def check_reports(module: ModuleType) -> None:
    """Raise unless what callers report counts like attempts of our own."""
    house = two(module, failure_domain="host")
    house.ref.tell(Report("p/m0", Verdict.FAIL, SERVER, 2.0))
    house.ref.tell(Report("p/m0", Verdict.FAIL, SERVER, 2.0))
    assert house.tier[0].shut_why == "open"
    assert house.tier[0].guard_tokens == 8.0
    assert house.tier[1].refusal(house.now) is None
    for _ in range(2):
        house.ref.tell(Report("p/m1", Verdict.FAIL, CONNECT))
    assert house.tier[1].shut_why == "open", "its domain is"
    house.pass_time(4.0)
    for _ in range(2):
        house.ref.tell(Report("p/m0", Verdict.OK, None, 1.0))
    assert [c.refusal(house.now) for c in house.tier] == [None, None]
    house.ref.tell(Report("p/m1", Verdict.NEUTRAL, ErrorClass.QUOTA))
    assert house.tier[0].shut_why == "credit exhausted"
    assert house.tier[0].in_flight == 0
    assert not house.of(PermitReleased)


def test_reports_count_like_attempts_of_our_own() -> None:
    check_reports(actor)


def check_checks(module: ModuleType) -> None:
    """Raise unless a free check is evidence, and of nothing but what it says."""
    house = two(module, failure_domain="host")
    for error in (ErrorClass.RATE_LIMIT, ErrorClass.AUTH, ErrorClass.BAD_REQUEST):
        for _ in range(5):
            house.ref.tell(Checked(False, 0.1, error))
    assert not house.of(BreakerMoved), "a key that may not list models may chat"
    assert [c.refusal(house.now) for c in house.tier] == [None, None]
    house.attempt(SERVER)
    house.ref.tell(Checked(True, 0.1))
    house.attempt(SERVER)
    assert house.tier[0].shut_why == "open", "no check made up for a failed attempt"
    house.pass_time(4.0)
    house.ref.tell(Checked(True, 0.1))
    house.ref.tell(Checked(True, 0.1))
    assert house.tier[0].refusal(house.now) is None, "they stood in for its probes"
    for _ in range(2):
        house.ref.tell(Checked(False, 0.1, CONNECT))
    opened = [event.scope for event in house.of(BreakerMoved) if event.target == "open"]
    assert opened == ["p/m0", "domain host of p"], "the host is to blame, not its models"
    house.pass_time(4.0)
    house.ref.tell(Checked(False, 0.1, CONNECT))
    assert house.tier[0].shut_why == "open"
    assert house.status().last_check_ok is False
    assert house.status().last_check_at == house.now


def test_a_free_check_is_evidence_of_nothing_but_what_it_says() -> None:
    check_checks(actor)


def test_a_failed_check_without_a_class_counts_against_every_closed_endpoint() -> None:
    house = two()
    for _ in range(2):
        house.ref.tell(Checked(False, 0.1))
    assert [c.shut_why for c in house.tier] == ["open", "open"]


def test_an_operator_has_the_last_word() -> None:
    house = two(failure_domain="host")
    house.ref.tell(SetAdmin(Admin.ISOLATE, "p/m0"))
    assert (house.tier[0].shut_until, house.tier[0].shut_why) == (float("inf"), "isolated")
    assert house.status().retry_in_s is None
    house.ref.tell(SetAdmin(Admin.ENABLE))
    house.ref.tell(SetAdmin(Admin.DISABLE, "p/m1"))
    for _ in range(9):
        house.attempt(SERVER, index=1)
    assert house.tier[1].refusal(house.now) is None
    for _ in range(2):
        house.attempt(CONNECT)
    assert isinstance(house.admit(), Refusal)
    house.ref.tell(ReleaseScope())
    assert house.tier[0].shut_why == "open", "a release ends holds, not cooldowns"
    house.ref.tell(ResetScope())
    assert [c.refusal(house.now) for c in house.tier] == [None, None]
    assert house.status().total_requests == 0


def test_a_release_by_hand_ends_the_holds_of_all_endpoints() -> None:
    check_release(actor)


def check_release(module: ModuleType) -> None:
    """Raise unless a hand ends the holds that it names."""
    house = two(module)
    house.attempt(ErrorClass.MODEL_NOT_FOUND)
    house.attempt(ErrorClass.QUOTA, index=1)
    house.ref.tell(ReleaseScope("p/m0"))
    assert house.tier[0].shut_why == "credit exhausted"
    house.ref.tell(ReleaseScope())
    assert [c.refusal(house.now) for c in house.tier] == [None, None]
    house.attempt()
    house.attempt(index=1)


def test_every_error_class_is_survived_in_every_scope() -> None:
    for error in ErrorClass:
        house = two(failure_domain="host")
        house.attempt(error)
        assert POLICY[error].scope in Scope
        assert house.tier[0].in_flight == 0
        assert not house.world.crashes


def test_the_default_policy_needs_five_failures_in_a_row() -> None:
    house = two(breaker=DEFAULT)
    for nth in range(5):
        assert house.tier[0].refusal(house.now) is None, nth
        house.attempt(SERVER)
    assert house.tier[0].shut_why == "open"
