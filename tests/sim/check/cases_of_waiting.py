"""Cases of the laws of waiting: in line for a slot, and until a deadline."""

from __future__ import annotations

from typing import Any

from tests.sim.check.case import Case
from tests.sim.check.tape import Tape
from understudy_actors.domain.waiting_events import Queued, QueueLeft, QueueRefused, Unqueued
from understudy_sim.check.queueing import InLine, Places
from understudy_sim.check.requests import InTime


def stand(t: Tape, ticket: int, *wanted: str, **fields: Any) -> Tape:
    """Request `r1` with ticket 1, and so on, goes into line."""
    fields = {"since": t.now, "deadline": 100.0, **fields}
    return t.add(Queued, request=f"r{ticket}", ticket=ticket, wanted=wanted or ("p/m",), **fields)


def call(t: Tape, ticket: int, endpoint: str = "p/m", band: int = 3) -> Tape:
    fields: dict[str, Any] = {"endpoint": endpoint, "band": band, "waited_s": t.now}
    return t.add(Unqueued, request=f"r{ticket}", ticket=ticket, **fields)


def late(t: Tape, ticket: int, other: int = 1) -> Tape:
    """One is woken, and another one later."""
    return call(call(t, ticket).at(t.now + 0.1), other)


def go(t: Tape, ticket: int) -> Tape:
    return t.add(QueueLeft, request=f"r{ticket}", ticket=ticket)


def refused(t: Tape, reason: str = "full") -> Tape:
    return t.add(QueueRefused, request="r9", reason=reason, retry_at=1.0)


def two(t: Tape, **second: Any) -> Tape:
    return stand(stand(t, 1).at(0.1), 2, **second).at(0.2)


def slow(t: Tape) -> Tape:
    """A line whose oldest has waited for more than half a second, for five seconds on end."""
    for ticket in range(1, 9):
        stand(t, ticket, since=0.0)
    for ticket in range(1, 6):
        call(t.at(float(ticket)), ticket)
    return t.at(6.0)


CASES = [
    # S36
    Case(
        InLine,
        "r2 got the slot of p/m, and r1 was next",
        lambda t: late(two(t), 2),
        lambda t: call(call(two(t), 1), 2),
    ),
    Case(  # who is gone when it is called may have left the line's memory another one
        InLine,
        "r2 got the slot of p/m, and r1 was next",
        lambda t: late(go(stand(two(t), 3), 3).at(0.25), 2),
        lambda t: late(go(stand(two(t), 3), 3), 2),
    ),
    Case(
        InLine,
        "r2 got the slot of p/m, and r1 was next",
        lambda t: go(call(two(t), 2).at(0.3), 1),
        lambda t: go(call(two(t), 2), 1),
    ),
    Case(
        InLine,
        "r2 got the slot of p/m, and r1 was next",
        lambda t: late(two(t, priority=0), 2),
        lambda t: call(two(t, priority=1), 2),
    ),
    Case(
        InLine,
        "r2 got the slot of p/m, and r1 was next",
        lambda t: late(two(t, tenant=""), 2),
        lambda t: call(two(t, tenant="b"), 2),
    ),
    Case(
        InLine,
        "r2 got the slot of p/m, and r1 was next",
        lambda t: late(stand(stand(t, 1, "p/m", "q/m"), 2), 2),
        lambda t: call(stand(stand(t, 1, "q/m"), 2), 2),
    ),
    Case(
        InLine,
        "r2 got the slot of p/m, and r1 was next",
        lambda t: late(stand(stand(t, 1, deadline=9.0), 2), 2),
        lambda t: call(go(stand(stand(stand(t, 1, deadline=0.0), 3), 2), 3), 2),
    ),
    Case(
        InLine,
        "r2 got the slot of p/m, and r1 was next",
        lambda t: late(two(t).at(9.0), 2),
        lambda t: late(two(t).at(10.0), 2),
    ),
    Case(
        InLine,
        "r2 got the slot of p/m, and r1 was next",
        lambda t: late(two(stand(t, 9, "q/m", priority=-1).at(9.0)), 2),
        lambda t: late(two(stand(t, 9, "q/m", priority=-1).at(10.0)), 2),  # lifted among them
    ),
    Case(
        InLine,
        "r7 got the slot of p/m, and r8 was next",
        lambda t: late(slow(t), 7, 8),
        lambda t: call(slow(t), 8),
    ),
    Case(
        InLine,
        "r got the slot of p/m, and r1 was next",
        lambda t: call(stand(t, 1).admit(), 1),
        lambda t: go(call(stand(t, 1), 1), 1).admit(request="r1").admit(),
    ),
    Case(
        InLine,
        "r got the slot of p/m, and r1 was next",
        lambda t: call(stand(t, 1).pause().outcome().admit(), 1),
        lambda t: call(stand(t, 1).admit(endpoint="x/m").pause().admit(), 1),
    ),
    Case(
        InLine,
        "r got the slot of p/m, and r1 was next",
        lambda t: call(stand(t, 1).crash("provider/p").admit(), 1),
        lambda t: call(stand(t, 1).crash("dispatcher").admit(), 1),
    ),
    Case(
        InLine,
        "r1 has waited 10.100 s, and is in band 0",
        lambda t: call(stand(t, 1).at(10.1), 1, band=0),
        lambda t: call(call(two(t).at(5.0), 1, band=0).at(14.9), 2, band=0),
    ),
    Case(
        InLine,
        "r1 got the slot of p/m, and r2 was next",
        lambda t: call(call(two(t, priority=1), 1, band=0), 2, band=1),
        lambda t: call(call(two(t, priority=1), 2, band=1), 1, band=0),
    ),
    # S37
    Case(
        Places,
        "r9 was turned away, and 1 wait of 2",
        lambda t: refused(stand(t, 1)),
        lambda t: refused(refused(stand(t, 1), "late").at(1.0), "late"),
    ),
    Case(
        Places,
        "r9 was turned away, and 1 wait of 2",
        lambda t: refused(call(two(t), 1)),
        lambda t: refused(stand(call(two(t), 1), 1)),
    ),
    Case(
        Places,
        "r1 is over, and still has a place in line",
        lambda t: stand(t, 1).outcome(request="r1"),
        lambda t: go(stand(t, 1), 1).outcome(request="r1"),
    ),
    Case(
        Places,
        "r1 is over, and still has a place in line",
        lambda t: call(stand(t, 1), 1).outcome(request="r1"),
        lambda t: call(stand(t, 1), 1).crash("dispatcher").outcome(request="r1"),
    ),
    # S11
    Case(
        InTime,
        "r may take 5 s, and its deadline gives it 100 s",
        lambda t: t.accept(timeout_s=5.0).outcome(),
        lambda t: t.accept(timeout_s=100.0).outcome(),
    ),
]
