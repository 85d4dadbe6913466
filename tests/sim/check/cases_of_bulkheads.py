"""Cases of the law of bulkheads: one tenant may hold half of eight slots, urgent ones all."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.sim.check.case import Case
from tests.sim.check.cases_of_waiting import call, stand, two
from tests.sim.check.tape import Tape
from understudy_actors.domain.bulkhead import ShareRule
from understudy_actors.domain.candidate import NO_SHARE
from understudy_actors.domain.events import SlotTaken
from understudy_sim.check.bulkheads import Bulkheads
from understudy_sim.check.completeness import WakeUps
from understudy_sim.check.rules import Rules
from understudy_sim.check.waiting import Bands

RULES = Rules(shares=ShareRule(tenants={"a": 0.5, "b": 0.5, "u": 0.5}, priorities={-1: 0.25}))


def crowd(t: Tape, count: int, tenant: str | None = "a", first: int = 1, **request: Any) -> Tape:
    """So many requests of a tenant take a slot each."""
    for number in range(first, first + count):
        t.accept(f"r{number}", tenant=tenant, **request)
        slot: dict[str, Any] = {"endpoint": "p/m", "permit": number, "in_flight": number}
        t.add(SlotTaken, request=f"r{number}", **slot)
    return t


def left_out(t: Tape, why: str = NO_SHARE, tenant: str = "a") -> Tape:
    """One more is told that its share is in use."""
    return t.accept("x", tenant=tenant).decide(request="x", out={"p/m": why})


def refused(t: Tape) -> Tape:
    """The same by the provider itself."""
    return t.accept("x", tenant="a").refuse(NO_SHARE, request="x")


def starved(t: Tape) -> Tape:
    """It waits while a slot is free for three seconds."""
    t.slot(8).decide(request="x", out={"p/m": "no slot"}).queue("x").free(7)
    return t.at(1.5).tick().at(2.5).tick().at(3.5).tick()


def gone(t: Tape, number: int = 1) -> Tape:
    return t.ended(attempt=number, request=f"r{number}").outcome(request=f"r{number}")


_Case = partial(Case, rules=RULES)

CASES = [
    _Case(
        Bulkheads,
        "tenant a holds 5 slots of p/m, and may hold 4",
        lambda t: crowd(t, 5),
        lambda t: crowd(crowd(t, 4), 4, "b", 5),
    ),
    _Case(
        Bulkheads,
        "tenant a holds 5 slots of p/m, and may hold 4",
        lambda t: crowd(gone(crowd(crowd(t, 4), 1, "b", 8), 8), 1, "a", 5),
        lambda t: crowd(gone(crowd(t, 4)), 1, "a", 5),
    ),
    _Case(  # a user is a tenant too
        Bulkheads,
        "tenant u holds 5 slots of p/m, and may hold 4",
        lambda t: crowd(t, 5, None, user="u"),
        lambda t: crowd(crowd(t, 4, None, user="u"), 1, "b", 5, user="u"),
    ),
    _Case(
        Bulkheads,
        "priority -1 holds 3 slots of p/m, and may hold 2",
        lambda t: crowd(crowd(t, 2, "a", priority=-1), 1, "b", 3, priority=-2),
        lambda t: crowd(crowd(t, 2, "a", priority=-1), 1, "b", 3, priority=0),
    ),
    _Case(  # what was not heard of when the limit fell stays, and one slot is always allowed
        Bulkheads,
        "tenant a holds 4 slots of p/m, and may hold 3",
        lambda t: crowd(crowd(t, 3).limit(6.8), 1, "a", 4),
        lambda t: crowd(crowd(t, 4).limit(6.8), 1, "b", 5),
    ),
    _Case(
        Bulkheads,
        "x is refused for its share of p/m, in which there is room",
        lambda t: left_out(crowd(t, 3).at(1.0)),
        lambda t: left_out(crowd(t, 4).at(1.0)),
    ),
    _Case(
        Bulkheads,
        "x is refused for its share of p/m, in which there is room",
        lambda t: left_out(crowd(t, 4).at(1.0), tenant="b"),
        lambda t: left_out(crowd(t, 4).at(1.0), "no slot", tenant="b"),
    ),
    _Case(
        Bulkheads,
        "x is refused for its share of p/m, in which there is room",
        lambda t: refused(crowd(t, 3).at(1.0)),
        lambda t: refused(crowd(t, 4).at(1.0)),
    ),
    _Case(  # in the instant of a change nobody can tell
        Bulkheads,
        "x is refused for its share of p/m, in which there is room",
        lambda t: left_out(gone(crowd(t, 4).at(1.0)).at(1.1)),
        lambda t: left_out(gone(crowd(t, 4).at(1.0))),
    ),
    _Case(
        Bulkheads,
        "x is refused for its share of p/m, in which there is room",
        lambda t: left_out(crowd(t, 4).at(1.0).free(3, 2).at(1.1)),
        lambda t: left_out(crowd(t, 4).at(1.0).free(3, 2)),
    ),
    _Case(
        Bulkheads,
        "x is refused for its share of p/m, in which there is room",
        lambda t: left_out(crowd(t, 3).at(1.0)),
        lambda t: left_out(crowd(t, 3).at(1.0).crash().restart()),
    ),
    _Case(  # who is in a compartment may have to wait for others of it
        WakeUps,
        "x waits for a slot, and p/m has had a free one for long",
        lambda t: starved(t.accept("x")),
        lambda t: starved(t.accept("x", tenant="a")),
    ),
    _Case(  # and may be passed
        Bands,
        "r1 is given a slot after its deadline",
        lambda t: call(stand(t, 1, deadline=1.0).at(1.0), 1, band=0),
        lambda t: call(two(t, priority=1), 1, band=0),
    ),
]
