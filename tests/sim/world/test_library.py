"""Every scenario of the library runs to its end, and does what it is called."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec
import pytest

from tests.sim.world.worlds import of
from understudy_actors.domain.cache_events import CacheEvicted, CacheHit
from understudy_actors.domain.collapse_events import RequestJoined
from understudy_actors.domain.events import (
    ActorCrashed,
    ActorRestarted,
    AttemptAdmitted,
    AttemptDispatched,
    AttemptEnded,
    BreakerMoved,
    HoldSet,
    PermitReleased,
    PermitTaken,
    RequestAccepted,
    RequestOutcome,
    SlotFreed,
    SlotTaken,
)
from understudy_actors.domain.hedge_events import HedgeLaunched, HedgeWon
from understudy_actors.domain.money_events import BudgetAlert, MoneyCharged, MoneyReserved
from understudy_actors.domain.rate_events import RateLearned
from understudy_actors.domain.stream_events import AttemptCommitted, StreamRescue, StreamSkipped
from understudy_actors.domain.waiting_events import Unqueued
from understudy_sim.check import ALL
from understudy_sim.headline import Headline, availability, headline, quantile
from understudy_sim.run import RequestRecord, Run
from understudy_sim.scenario import Scenario, load, names, parse
from understudy_sim.world import run
from understudy_sim.world_events import FaultBegan, FaultEnded, Served


@functools.cache
def played(name: str) -> Run:
    return run(load(name), monitors=ALL)


@functools.cache
def numbers(name: str) -> Headline:
    return headline(played(name))


def between(ran: Run, from_s: float, until_s: float) -> list[RequestRecord]:
    return [each for each in ran.requests if from_s <= each.arrived_at < until_s]


def share(records: Sequence[RequestRecord], provider: str) -> float:
    """Share of the answers that came from a provider."""
    answered = [each for each in records if each.ok]
    return sum(each.provider == provider for each in answered) / len(answered)


def errors(ran: Run) -> Counter[str | None]:
    return Counter(event.error for event in of(ran, AttemptEnded))


def opened(ran: Run) -> int:
    return sum(event.target == "open" for event in of(ran, BreakerMoved))


@pytest.mark.parametrize("name", names())
def test_it_runs_to_its_end_and_leaves_nothing_behind(name: str) -> None:
    ran = played(name)
    assert ran.progress == "done"
    assert not ran.violations
    assert len(ran.requests) > 500
    taken = Counter((event.permit, event.scope) for event in of(ran, PermitTaken))
    assert taken == Counter((event.permit, event.scope) for event in of(ran, PermitReleased))
    slots = Counter((event.permit, event.endpoint) for event in of(ran, SlotTaken))
    assert slots == Counter((event.permit, event.endpoint) for event in of(ran, SlotFreed))
    accepted = Counter(event.request for event in of(ran, RequestAccepted))
    assert accepted == Counter(event.request for event in of(ran, RequestOutcome))
    assert len(of(ran, FaultBegan)) == len(ran.scenario.faults) == len(of(ran, FaultEnded))


def primary_outage(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    assert told.detect_s is not None
    assert told.detect_s < 5
    assert share(between(ran, 30, 60), "alpha") > 0.9
    assert share(between(ran, 65, 240), "beta") > 0.99
    assert share(between(ran, 300, 360), "alpha") > 0.9
    assert told.attempts_per_request < 1.05


def brownout(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    assert set(errors(ran)) <= {None, "silent"}, "nothing fails outright"
    before, during = between(ran, 0, 60), between(ran, 120, 300)
    assert share(during, "alpha") < 0.2 < share(before, "alpha")
    assert told.p95_s is not None
    assert told.p95_s < 6, "hardly anybody waits for the slow one"


def rate_limits(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    during = between(ran, 70, 240)
    alpha = sum(each.provider == "alpha" for each in during)
    assert 0.7 * 170 < alpha <= 175, "it is used as far as it goes, and not beyond"
    assert errors(ran)["rate_limit"] < 0.25 * len(during), "it is not hammered"
    assert opened(ran) == 0, "full is not broken"


def rate_limits_unsaid(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    alpha = sum(each.provider == "alpha" for each in between(ran, 70, 240))
    assert 0.5 * 170 < alpha <= 175
    assert opened(ran) == 0


def lying_headers(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    assert errors(ran)["rate_limit"] < 40, "the first ones are believed, but not again and again"
    assert max(event.until - event.at_s for event in of(ran, HoldSet)) <= 86_400
    learned = {event.endpoint for event in of(ran, RateLearned) if event.at_s < 60}
    assert learned == {"gamma/large"}, "what is no number is no limit"
    modest = [e for e in of(ran, AttemptDispatched) if e.endpoint.startswith("gamma/")]
    assert 8 <= len(modest) <= 20, "a few before the first answer, then one a minute"
    assert share(between(ran, 5, 60), "alpha") > 0.95


def credit_exhaustion(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    assert errors(ran)["quota"] <= 3
    ends = next(event.at_s for event in of(ran, HoldSet) if event.why == "credit exhausted")
    assert share(between(ran, ends + 1, 360), "alpha") == 0
    billed = sum(event.billed_usd for event in of(ran, Served) if event.provider == "alpha")
    assert billed == pytest.approx(0.5, abs=0.02)


def regional_outage(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    assert share(between(ran, 75, 235), "gamma") > 0.98
    assert share(between(ran, 320, 360), "alpha") > 0.9


def flapping(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    assert told.attempts_per_request < 1.1
    assert share(between(ran, 60, 420), "beta") > 0.6
    assert share(between(ran, 480, 540), "alpha") > 0.9


def slow_recovery(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    shares = [share(between(ran, at, at + 60), "alpha") for at in (0, 60, 360, 420)]
    assert shares[0] > 0.9 > 0.3 > shares[1]
    assert shares[-1] > 0.9


def cut_answers(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    assert errors(ran)["reset"] > 50
    assert told.billed_usd > told.cost_usd * 1.05, "the lost ones are paid for"


def malformed_answers(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    assert errors(ran)["malformed"] > 10
    assert share(between(ran, 90, 235), "alpha") < 0.15


def hangs(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    assert told.detect_s is not None
    assert told.detect_s < 15, "little more than the time limit of an attempt"
    assert share(between(ran, 75, 235), "beta") == 1
    slow = [each for each in between(ran, 75, 235) if each.elapsed_s > 10]
    assert len(slow) < 20, "only those who went ahead to look"


def everyone_down(ran: Run, told: Headline) -> None:
    during = between(ran, 63, 175)
    failed = [each for each in during if not each.ok]
    assert len(failed) > 0.99 * len(during)
    assert all(each.status in ("NoCandidate", "AllAttemptsFailed") for each in failed)
    assert all(each.retry_at is not None for each in failed if each.status == "NoCandidate")
    assert all(each.elapsed_s <= 20 + 1e-6 for each in failed)
    quickly = [each for each in failed if each.elapsed_s < 0.1]
    assert len(quickly) > 0.9 * len(failed)
    assert errors(ran)["server"] < 0.1 * len(during), "nobody is hammered meanwhile"
    assert availability(between(ran, 210, 360)) > 0.99


def cascade(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    during = between(ran, 70, 300)
    assert share(during, "beta") > 0.3, "the small one works at its capacity"
    assert share(during, "gamma") > 0.4
    assert all(event.scope.startswith("alpha") for event in of(ran, BreakerMoved))
    assert errors(ran)["overloaded"] < 0.05 * len(during)


def impatient_overload(ran: Run, told: Headline) -> None:
    """No single answer is late enough to count, and yet nobody is answered until it does."""
    counted = [each for each in of(ran, AttemptEnded) if each.error == "silent"]
    assert {each.verdict for each in counted} == {"neutral", "failed"}
    assert all(each.elapsed_s < 12.01 for each in counted)
    assert opened(ran) >= 1
    assert availability(between(ran, 200, 320)) < 0.2
    assert availability(between(ran, 420, 840)) > 0.99


def metastable(ran: Run, told: Headline) -> None:
    assert availability(between(ran, 0, 180)) == 1
    assert availability(between(ran, 200, 300)) < 0.5, "the trigger works"
    assert availability(between(ran, 480, 600)) >= 0.95, "within 5 min after the fault"
    assert availability(between(ran, 600, 840)) >= 0.95, "and so it stays"


def thundering_recovery(ran: Run, told: Headline) -> None:
    assert availability(between(ran, 65, 115)) < 0.05
    assert availability(between(ran, 150, 300)) > 0.99, "30 s after both are back"
    reopened = [e for e in of(ran, BreakerMoved) if e.target == "open" and e.at_s > 125]
    assert not reopened, "those who come back are not knocked down by the crowd"


def clock_jump(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    assert opened(ran) == 0
    assert max(event.until - event.at_s for event in of(ran, HoldSet)) < 3600 + 60
    at = [event.at_s for _, event in ran.events]
    assert at == sorted(at)


def actor_crashes(ran: Run, told: Headline) -> None:
    assert told.availability == 1
    assert Counter(event.actor for event in of(ran, ActorCrashed)) == {
        "provider/alpha": 6,
        "dispatcher": 2,
    }
    assert len(of(ran, ActorRestarted)) == 8
    assert share(ran.requests, "alpha") > 0.8


def engine_pause(ran: Run, told: Headline) -> None:
    assert told.availability == 1
    assert opened(ran) == 0, "nobody is to blame"
    assert told.max_s is not None
    assert told.max_s > 20


def ghost_successes(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    assert told.billed_usd > told.cost_usd * 1.05
    lost = errors(ran)["silent"] + errors(ran)["reset"]
    assert sum(event.ok for event in of(ran, Served)) == errors(ran)[None] + lost


def client_cancels(ran: Run, told: Headline) -> None:
    assert told.availability == 1
    during = between(ran, 60, 180)
    assert sum(each.status == "cancelled" for each in during) > 0.5 * len(during)
    assert opened(ran) == 0
    assert not of(ran, HoldSet)


def key_revoked(ran: Run, told: Headline) -> None:
    assert told.availability > 0.99
    assert errors(ran)["auth"] <= 2
    assert share(between(ran, 65, 600), "alpha") == 0
    assert share(between(ran, 720, 960), "alpha") > 0.9


def error_first_race(ran: Run, told: Headline) -> None:
    copies = {event.attempt for event in of(ran, HedgeLaunched)}
    failed = [e for e in of(ran, AttemptEnded) if e.attempt in copies and e.verdict != "ok"]
    assert len(failed) == len(copies) > 1000, "the error came first each time"
    assert {event.endpoint for event in of(ran, HedgeWon)} == {"alpha/large"}
    assert told.availability == 1.0
    assert share(ran.requests, "alpha") == 1.0


def stragglers(ran: Run, told: Headline) -> None:
    assert told.availability == 1.0
    copies = of(ran, HedgeLaunched)
    assert len(copies) <= 5 + 0.05 * len(ran.requests)
    won = sum(event.endpoint == "beta/large" for event in of(ran, HedgeWon))
    late = [e for e in of(ran, AttemptEnded) if e.elapsed_s > 12 and e.verdict == "ok"]
    assert won > 30 > len(late), "hardly anybody waits for a straggler"


def hedged_outage(ran: Run, told: Headline) -> None:
    copies = of(ran, HedgeLaunched)
    assert 5 <= len(copies) <= 5 + 0.05 * len(ran.requests)
    assert availability(between(ran, 0, 50)) == 1.0
    assert availability(between(ran, 100, 230)) < 0.01, "it is an outage"
    assert availability(between(ran, 330, 360)) == 1.0
    assert told.attempts_per_request < 1.1


def first_tokens_s(ran: Run) -> list[float]:
    """How long the readers of the four minutes waited for their first token, in order."""
    begun: dict[str, float] = {}
    for event in of(ran, AttemptCommitted):
        begun.setdefault(event.request, event.at_s)
    readers = between(ran, 60, 300)
    return sorted(begun[each.id] - each.arrived_at for each in readers if each.id in begun)


def late_first_token(ran: Run, told: Headline) -> None:
    document: dict[str, Any] = msgspec.to_builtins(ran.scenario)
    document["engine"]["stream"] = {"hedge": False}
    bare = run(parse(document), monitors=ALL)
    assert not bare.violations
    with_s, without_s = first_tokens_s(ran), first_tokens_s(bare)
    assert told.availability == headline(bare).availability == 1.0
    assert (quantile(with_s, 0.99) or 99) < 3.5, "a copy after two seconds, and it begins at once"
    assert (quantile(without_s, 0.99) or 0) > 10, "given up at the shortest learned limit"
    assert abs((quantile(with_s, 0.5) or 0) - (quantile(without_s, 0.5) or 0)) < 0.05
    assert 20 < len(of(ran, HedgeLaunched)) < 5 + 0.05 * len(ran.requests)
    assert not of(bare, HedgeLaunched)


def popular_question(ran: Run, told: Headline) -> None:
    joined = of(ran, RequestJoined)
    calls = {event.shared for event in joined}
    assert len(joined) == len(ran.requests)
    assert len(calls) < 0.1 * len(ran.requests)
    stayed = [each for each in ran.requests if each.status != "cancelled"]
    assert len(stayed) < 0.9 * len(ran.requests)
    assert availability(stayed) > 0.99
    paid = sum(each.cost_usd or 0.0 for each in ran.requests)
    assert paid <= sum(event.billed_usd for event in of(ran, Served)) + 1e-9


def asked_again(ran: Run, told: Headline) -> None:
    old = of(ran, CacheHit)
    fresh = [each for each in old if not each.stale]
    assert len(fresh) > 0.3 * len(ran.requests)
    assert of(ran, CacheEvicted)
    asked = {event.request for event in of(ran, AttemptAdmitted)}
    assert not asked & {event.request for event in fresh}
    free = [each for each in ran.requests if each.status == "ok" and not each.cost_usd]
    assert len(free) >= len(fresh)
    assert {each.status for each in ran.requests if each.client == "thrifty"} == {
        "ok",
        "degraded",
        "NotCached",
    }
    stood_in = [each for each in between(ran, 140, 180) if each.status == "degraded"]
    assert len(stood_in) > 0.5 * len(between(ran, 140, 180)), "in the first minute of the outage"
    assert not [each for each in between(ran, 210, 240) if each.status in ("ok", "degraded")]


def rush(ran: Run, told: Headline) -> None:
    def of_client(name: str) -> list[RequestRecord]:
        return [each for each in between(ran, 60, 180) if each.client == name]

    people, modest, greedy = (of_client(name) for name in ("people", "modest", "greedy"))
    assert availability(people) == 1.0
    assert availability(modest) > 0.99
    assert 0.5 < availability(greedy) < 0.8, "it gets what the others leave"
    assert max(each.elapsed_s for each in people) < 6
    assert told.availability == availability(ran.requests)
    waits = [event.waited_s for event in of(ran, Unqueued)]
    assert len(waits) > 500


def own_limits(ran: Run, told: Headline) -> None:
    assert told.availability > 0.9
    assert not [e for e in of(ran, AttemptEnded) if e.error == "rate_limit"]
    sent = [e.at_s for e in of(ran, AttemptDispatched) if e.endpoint.startswith("alpha/")]
    assert len(sent) > 200, "about sixty a minute"
    assert 0.15 < share(ran.requests, "alpha") < 0.3


def budget_flood(ran: Run, told: Headline) -> None:
    charged = {event.reservation: event.micro_usd for event in of(ran, MoneyCharged)}
    of_alpha = [e for e in of(ran, MoneyReserved) if "provider alpha" in e.scopes]
    assert 0.97 * 500_000 < sum(charged.values()) <= 500_000, "the day's, in micro-USD"
    assert sum(charged.get(each.reservation, 0) for each in of_alpha) <= 400_000
    assert set(charged) == {event.reservation for event in of(ran, MoneyReserved)}
    unknown = sum(event.micro_usd for event in of(ran, MoneyCharged) if not event.known)
    assert told.cost_usd is not None
    assert sum(charged.values()) - unknown <= told.cost_usd * 1e6 + 1
    assert told.billed_usd * 1e6 <= sum(charged.values()), "providers bill no more than is booked"
    alerts = [(event.budget, event.percent) for event in of(ran, BudgetAlert)]
    assert len(set(alerts)) == len(alerts) == 3
    assert errors_of_requests(ran)["OverBudget"] > 1500


def errors_of_requests(ran: Run) -> Counter[str]:
    return Counter(event.status for event in of(ran, RequestOutcome))


def broken_streams(ran: Run, told: Headline) -> None:
    rescued = Counter(event.how for event in of(ran, StreamRescue))
    assert rescued["splice"] > 0 < rescued["prefill"], "compared, and continued"
    assert told.availability > 0.98
    assert len(of(ran, StreamSkipped)) > 10, "what could not be read was left out"
    assert not [each for each in between(ran, 0, 55) if not each.ok and each.client == "readers"]


CLAIMS: dict[str, Callable[[Run, Headline], None]] = {
    "actor-crashes": actor_crashes,
    "broken-streams": broken_streams,
    "brownout": brownout,
    "budget-flood": budget_flood,
    "cascade": cascade,
    "client-cancels": client_cancels,
    "clock-jump": clock_jump,
    "credit-exhaustion": credit_exhaustion,
    "cut-answers": cut_answers,
    "engine-pause": engine_pause,
    "error-first-race": error_first_race,
    "everyone-down": everyone_down,
    "flapping": flapping,
    "ghost-successes": ghost_successes,
    "hangs": hangs,
    "hedged-outage": hedged_outage,
    "key-revoked": key_revoked,
    "lying-headers": lying_headers,
    "malformed-answers": malformed_answers,
    "late-first-token": late_first_token,
    "metastable": metastable,
    "impatient-overload": impatient_overload,
    "asked-again": asked_again,
    "popular-question": popular_question,
    "own-limits": own_limits,
    "primary-outage": primary_outage,
    "rate-limit-no-headers": rate_limits_unsaid,
    "rate-limit-retry-after": rate_limits,
    "regional-outage": regional_outage,
    "rush": rush,
    "slow-recovery": slow_recovery,
    "stragglers": stragglers,
    "thundering-recovery": thundering_recovery,
}


def test_every_scenario_makes_a_claim() -> None:
    assert sorted(CLAIMS) == names()


@pytest.mark.parametrize("name", names())
def test_it_does_what_it_is_called(name: str) -> None:
    CLAIMS[name](played(name), numbers(name))


Change: TypeAlias = dict[str, Any]
NO_BREAKER: Change = {"breaker": {"trip_after": 10**9, "ratio": 0, "growth": False}}
NO_CAP: Change = {"concurrency": {"initial": 10_000, "min": 10_000, "max": 10_000}}
NO_BUDGET: Change = {"budget": {"ratio": 1, "per_second": 1000, "cap": 10_000, "start": 10_000}}


def unprotected(scenario: Scenario) -> Scenario:
    """The same without breaker, concurrency limit, retry budget and failover guard."""
    document: dict[str, Any] = msgspec.to_builtins(scenario)
    engine = document["engine"]
    engine["providers"]["alpha"] |= {**NO_BREAKER, **NO_CAP}
    engine["retry"] = {"guard": False, **NO_BUDGET}
    return parse(document)


def test_a_metastable_failure_heals_with_the_defaults_and_does_not_without() -> None:
    """Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021."""
    with_defaults, without = played("metastable"), run(unprotected(load("metastable")))
    for ran in (with_defaults, without):
        assert availability(between(ran, 0, 180)) > 0.99
    assert availability(between(with_defaults, 480, 600)) >= 0.95
    assert availability(between(without, 480, 600)) < 0.05
    assert availability(between(without, 720, 840)) < 0.05, "nor does it later"
    assert (
        headline(without).attempts_per_request
        > 3
        > 1.2
        > headline(with_defaults).attempts_per_request
    )
