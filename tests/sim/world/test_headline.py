"""The few numbers of a run, on events made by hand; they catch faults planted in the code."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from tests.sim.world.worlds import world
from tests.support.mutants import Mutant
from understudy_actors.domain.events import AttemptDispatched, BreakerMoved, Event, HoldSet
from understudy_sim import headline
from understudy_sim.run import RequestRecord, Run
from understudy_sim.world_events import FaultBegan, Quiet, Served


def asked(number: int, status: str = "ok", elapsed_s: float = 1.0, **keys: Any) -> RequestRecord:
    keys.setdefault("provider", "alpha" if status == "ok" else None)
    return RequestRecord(
        id=f"web/{number}",
        client="web",
        arrived_at=float(number),
        status=status,
        elapsed_s=elapsed_s,
        **keys,
    )


def ran(records: list[RequestRecord], *events: Event) -> Run:
    return Run(
        scenario=world(),
        events=list(enumerate(events, 1)),
        requests=records,
        schedule_digest="",
        progress="done",
        ended_at_s=100.0,
        steps=0,
        contests=0,
    )


def moved(at_s: float, target: str, scope: str = "alpha/large") -> BreakerMoved:
    return BreakerMoved(at_s=at_s, scope=scope, source="", target=target, generation=1, why="")


def began(at_s: float) -> FaultBegan:
    return FaultBegan(at_s=at_s, fault="0:hang", fault_kind="hang", target="all")


def shares_and_quantiles(module: ModuleType) -> None:
    records = [asked(n, elapsed_s=float(n)) for n in range(1, 101)]
    records += [asked(200, "cancelled", 99.0), asked(201, "NoCandidate"), asked(202, "degraded")]
    records += [asked(203, elapsed_s=0.5, provider="beta", cost_usd=0.25)]
    told = module.headline(ran(records))
    assert told.requests == 104
    assert told.availability == pytest.approx(101 / 103)
    assert told.degraded == pytest.approx(1 / 104)
    assert (told.p50_s, told.p95_s, told.p99_s, told.max_s) == (50.0, 95.0, 99.0, 100.0)
    assert told.share == {"alpha": pytest.approx(100 / 101), "beta": pytest.approx(1 / 101)}
    assert told.cost_usd == 0.25


def quantiles(module: ModuleType) -> None:
    assert module.quantile([], 0.5) is None
    assert module.quantile([3.0], 0.99) == 3.0
    assert [module.quantile([1.0, 2.0, 3.0, 4.0], at) for at in (0.25, 0.5, 0.51, 1.0)] == [
        1.0,
        2.0,
        3.0,
        4.0,
    ]


def nothing_is_no_failure(module: ModuleType) -> None:
    told = module.headline(ran([]))
    assert told.availability == 1.0
    assert (told.p50_s, told.attempts_per_request, told.share) == (None, 0.0, {})
    assert (told.detect_s, told.recover_s) == (None, None)


def what_was_dispatched_and_billed_is_counted(module: ModuleType) -> None:
    sent = [AttemptDispatched(at_s=0, attempt=n, request="r", endpoint="e") for n in range(3)]
    bills = [
        Served(at_s=1, request_id="r", provider="a", model="m", ok=True, billed_usd=usd)
        for usd in (0.5, 0.25)
    ]
    told = module.headline(ran([asked(1), asked(2)], *sent, *bills))
    assert told.attempts_per_request == 1.5
    assert told.billed_usd == 0.75


def detection_is_the_first_breaker_or_hold_after_the_first_fault(module: ModuleType) -> None:
    hold = HoldSet(at_s=7.0, scope="alpha", until=9.0, why="busy")
    early, late = moved(1.0, "open"), moved(8.0, "open")
    for events, detected in (
        ((early, began(5.0), hold, late), 2.0),
        ((began(5.0), moved(6.0, "half-open"), late), 3.0),
        ((began(5.0), began(7.5), late), 3.0),
        ((early,), None),
        ((began(5.0),), None),
    ):
        assert module.headline(ran([], *events)).detect_s == detected


def recovery_is_when_the_last_breaker_closed_for_good(module: ModuleType) -> None:
    quiet = Quiet(at_s=10.0)
    both = (moved(1, "open"), moved(2, "open", "b"), quiet)
    for events, recovered in (
        ((moved(1, "open"), quiet, moved(12, "half-open"), moved(15, "closed")), 5.0),
        ((moved(1, "open"), moved(2, "closed"), quiet), 0.0),
        ((moved(1, "open"), quiet), None),
        ((*both, moved(12, "closed"), moved(14, "closed", "b")), 4.0),
        ((*both, moved(12, "closed", "b"), moved(14, "half-open"), moved(15, "closed")), 5.0),
        ((*both, moved(12, "closed")), None),
        ((quiet, moved(12, "open"), moved(20, "closed")), 10.0),
        ((moved(1, "open"), moved(2, "closed")), None),
    ):
        assert module.headline(ran([], *events)).recover_s == recovered


def goodput_counts_by_arrival(module: ModuleType) -> None:
    records = [asked(n, "ok" if n % 2 else "NoCandidate", elapsed_s=50.0) for n in range(20)]
    assert module.goodput(ran(records), 10.0, 20.0) == 0.5


LAWS = [
    shares_and_quantiles,
    quantiles,
    nothing_is_no_failure,
    what_was_dispatched_and_billed_is_counted,
    detection_is_the_first_breaker_or_hold_after_the_first_fault,
    recovery_is_when_the_last_breaker_closed_for_good,
    goodput_counts_by_arrival,
]


def planted(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "understudy_sim.headline", old, new)


MUTANTS = [
    planted("who left counts as failed", "if each.status != _CANCELLED]", "]"),
    planted("quantiles are one too high", "* len(ordered) // 1) - 1)", "* len(ordered) // 1))"),
    planted(
        "failures count for times",
        "answered = [each for each in records if each.ok]",
        "answered = list(records)",
    ),
    planted(
        "half-open is detection", 'return event.target == "open"', 'return event.target != "closed"'
    ),
    planted("holds are no detection", "isinstance(event, HoldSet) or", "False or"),
    planted(
        "the last fault counts",
        "began = event.at_s if began is None else began",
        "began = event.at_s",
    ),
    planted(
        "open breakers are forgotten",
        "if quiet_at is None or shut else",
        "if quiet_at is None else",
    ),
    planted("recovery from the beginning", "healed_at - quiet_at", "healed_at"),
    planted(
        "the end of the window is inside",
        "from_s <= each.arrived_at < until_s",
        "from_s <= each.ended_at < until_s",
    ),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law(law: Any) -> None:
    law(headline)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_the_laws_catch(mutant: Mutant) -> None:
    assert mutant.caught_by(LAWS, TypeError), f"no law noticed that {mutant}"
