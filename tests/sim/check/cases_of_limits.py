"""Cases of the laws of closing, of failure shares, of limits, and of what errors mean."""

from __future__ import annotations

from tests.sim.check.case import Case
from tests.sim.check.tape import Tape
from understudy_actors.domain.waiting_events import QueueLeft, Unqueued
from understudy_sim.check.closing import Closing
from understudy_sim.check.limits import SlotLimits
from understudy_sim.check.meanings import Meanings
from understudy_sim.check.shares import FailureShares


def probed(t: Tape, *verdicts: str) -> Tape:
    """A half-open breaker that hears these verdicts."""
    t.open(5.0).at(5.0).half_open()
    for verdict in verdicts:
        t.count(verdict, generation=2)
    return t


def mixed(t: Tape, count: int) -> Tape:
    """Every other outcome is a failure."""
    for number in range(count):
        t.at(number * 0.1).count("failed" if number % 2 else "ok")
    return t


def silent(t: Tape) -> Tape:
    """Somebody leaves unanswered after three seconds, and the endpoint is blamed."""
    return t.ended("failed", error="silent", elapsed_s=3.0)


def filled(t: Tape, count: int = 8) -> Tape:
    """So many slots taken."""
    for number in range(1, count + 1):
        t.slot(number, number)
    return t


def keeps(t: Tape, ticket: int) -> Tape:
    """Somebody who waits is woken, and a slot is kept for them."""
    return t.add(Unqueued, request="r", ticket=ticket, endpoint="p/m", band=0, waited_s=0.0)


def comes_back(t: Tape, *ended: int) -> Tape:
    """Eight slots are taken, the actor is down while these attempts end, and comes back."""
    filled(t).crash("provider/p")
    for attempt in ended:
        t.ended("neutral", attempt)
    return t.restart("provider/p")


CASES = [
    Case(  # what ended while it was down holds no slot, though it hears of that only later
        SlotLimits,
        "p/m has 7 in flight and keeps 2 slots",
        lambda t: keeps(keeps(comes_back(t, 3), 1), 2),
        lambda t: keeps(keeps(comes_back(t, 3, 4), 1), 2),
    ),
    Case(
        Closing,
        "closed after 1 successful probes instead of 2",
        lambda t: probed(t, "ok").close(),
        lambda t: probed(t, "ok", "ok").close(),
    ),
    Case(
        Closing,
        "is half-open after 2 successful probes",
        lambda t: probed(t, "ok", "ok").lend(9, generation=2, probe=True),
        lambda t: probed(t, "ok").lend(9, generation=2, probe=True),
    ),
    Case(
        FailureShares,
        "stayed closed although its window is full of failures",
        lambda t: mixed(t, 11),
        lambda t: mixed(t, 10).open(9.0, why="failure share"),
    ),
    Case(
        SlotLimits,
        "has 9 in flight, and a limit of 8.00",
        lambda t: filled(t).slot(9, 9),
        lambda t: filled(t).back("ok", 8).free(7, 8).slot(8, 9),
    ),
    Case(
        SlotLimits,
        "has 7 in flight and keeps 2 slots, with a limit of 8.00",
        lambda t: keeps(keeps(filled(t, 7), 1), 2),
        lambda t: keeps(keeps(filled(t, 7), 1).add(QueueLeft, request="r", ticket=1), 2),
    ),
    Case(
        SlotLimits,
        "has 7 in flight and keeps 2 slots",
        lambda t: keeps(keeps(filled(t, 7), 1).crash(), 2),
        lambda t: keeps(keeps(filled(t, 7), 1).crash("dispatcher"), 2),
    ),
    Case(
        SlotLimits,
        "went from 8.00 to 4.00, not to 6.80",
        lambda t: filled(t, 4).limit(4.0),
        lambda t: filled(t, 4).limit(6.8),
    ),
    Case(
        SlotLimits,
        "is full, said attempt 1, and keeps its limit",
        lambda t: filled(t, 1).at(1.0).back("throttled"),
        lambda t: filled(t, 1).at(1.0).limit(6.8).back("throttled"),
    ),
    Case(
        Meanings,
        "bad_request at p/m was judged failed, not neutral",
        lambda t: t.ended("failed", error="bad_request"),
        lambda t: t.ended("neutral", error="bad_request"),
    ),
    Case(
        Meanings,
        "answered auth, and its account was never held",
        lambda t: t.ended("neutral", error="auth"),
        lambda t: t.hold(9.0, "key refused", "p").ended("neutral", error="auth"),
    ),
    Case(
        Meanings,
        "answered auth, and its account was never held",
        lambda t: t.crash().restart().ended("neutral", error="auth"),
        lambda t: t.crash().ended("neutral", error="auth").restart(),  # it learns of it then
    ),
    Case(
        Meanings,
        "is blamed for a silence of 3.000 s",
        lambda t: silent(t.ended("ok").at(5.0)),
        lambda t: silent(t.ended("ok").at(15.0)),
    ),
    Case(
        Meanings,
        "which says nothing about other providers",
        lambda t: t.outcome("RateLimited"),
        lambda t: t.outcome("AllAttemptsFailed"),
    ),
]
