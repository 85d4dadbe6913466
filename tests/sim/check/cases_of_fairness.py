"""Cases of the law of fair shares: whom the line may serve how much before whom."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.sim.check.case import Case
from tests.sim.check.cases_of_waiting import go
from tests.sim.check.tape import Tape
from understudy_actors.dispatcher.order import WaitingRule
from understudy_actors.domain.bulkhead import ShareRule
from understudy_actors.domain.waiting_events import Queued, Unqueued
from understudy_sim.check.fairness import FairShares
from understudy_sim.check.rules import Rules

APART = "'a' and 'b' waited side by side, and one of them was served 30 tokens more"
WEIGHED = Rules(waiting=WaitingRule(shares={"a": 2.0}))


def line(t: Tape, *own: str, first: int = 1, **facts: Any) -> Tape:
    """Requests of these tenants go into line, ten tokens each."""
    for ticket, tenant in enumerate(own, first):
        known = {"wanted": ("p/m",), "since": t.now, "deadline": 100.0, "tokens": 10.0, **facts}
        t.add(Queued, request=f"r{ticket}", ticket=ticket, tenant=tenant, **known)
    return t


def serve(t: Tape, *tickets: int) -> Tape:
    """They get a slot, one after the other."""
    for ticket in tickets:
        out: dict[str, Any] = {"endpoint": "p/m", "band": 0, "waited_s": 0.0}
        t.add(Unqueued, request=f"r{ticket}", ticket=ticket, **out)
    return t


_Case = partial(Case, FairShares)
CASES = [
    _Case(
        APART,
        lambda t: serve(line(t, "a", "a", "a", "a", "b"), 1, 2, 3),
        lambda t: serve(line(t, "a", "a", "a", "a", "b", "b"), 1, 2, 5, 3, 4, 6),
    ),
    _Case(  # whose line is empty meanwhile has no claim
        APART,
        lambda t: serve(line(t, "b", "a", "a", "a", "a", "b"), 2, 3, 4),
        lambda t: serve(line(serve(line(t, "b", "a", "a", "a", "a"), 2, 1), "b", first=6), 3, 4),
    ),
    _Case(  # one request larger than all others is as much as may be between them
        "30 tokens more: 20 are",
        lambda t: serve(line(t, "a", "a", "a", "a", "b"), 1, 2, 3),
        lambda t: serve(line(line(t, "b", tokens=20.0), "a", "a", "a", "a", first=2), 2, 3, 4),
    ),
    _Case(
        "served 30 tokens more",
        lambda t: serve(line(t, *"aaaaaaa", "b"), 1, 2, 3),
        lambda t: serve(line(t, *"aaaaaaa", "b"), 1, 2),
    ),
    _Case(  # a share of two is twice as much
        "served 20 tokens more: 15 are",
        lambda t: serve(line(t, *"aaaaaa", "b"), 1, 2, 3, 4),
        lambda t: serve(line(t, *"aaaaaa", "b"), 1, 2, 3),
        WEIGHED,
    ),
    _Case(  # of other priorities, or for other endpoints, nothing is said
        APART,
        lambda t: serve(line(line(t, *"aaaa"), "b", first=5), 1, 2, 3),
        lambda t: serve(line(line(t, *"aaaa"), "b", first=5, priority=-1), 1, 2, 3),
    ),
    _Case(
        APART,
        lambda t: serve(line(line(t, *"aaaa"), "b", first=5), 1, 2, 3),
        lambda t: serve(line(line(t, *"aaaa"), "b", first=5, wanted=("p/m", "q/m")), 1, 2, 3),
    ),
    _Case(
        APART,
        lambda t: serve(line(line(t, *"aaaa"), "b", "b", first=5), 1, 2, 3),
        lambda t: serve(
            line(line(line(t, *"aaaa"), "b", first=5), "b", first=6, wanted=("q/m",)), 1, 2, 3
        ),
    ),
    _Case(  # nor of who may have risen by a band, or is at its end
        APART,
        lambda t: serve(line(t, *"aaaa", "b").at(9.9), 1, 2, 3),
        lambda t: serve(line(t, *"aaaa", "b").at(10.1), 1, 2, 3),
    ),
    _Case(
        APART,
        lambda t: serve(serve(line(t, *"aaaaa", "b").at(9.9), 1, 2).at(9.95), 3),
        lambda t: serve(serve(line(t, *"aaaaa", "b").at(9.9), 1, 2).at(10.1), 3),
    ),
    _Case(
        APART,
        lambda t: serve(line(line(t, *"aaaa"), "b", first=5, deadline=5.1).at(5.0), 1, 2, 3),
        lambda t: serve(line(line(t, *"aaaa"), "b", first=5, deadline=5.0).at(5.0), 1, 2, 3),
    ),
    _Case(  # who left unserved may have been called in vain
        APART,
        lambda t: serve(go(line(t, *"aaaaaa", "b"), 99), 1, 2, 3),
        lambda t: serve(go(serve(line(t, *"aaaaaa", "b", "b"), 1, 2), 8), 3),
    ),
    _Case(  # what was seen before a crash is forgotten with the line
        APART,
        lambda t: serve(line(t, *"aaaaa", "b").crash("provider/p"), 1, 2, 3),
        lambda t: serve(line(serve(line(t, *"aaaaa", "b"), 1, 2).crash("dispatcher"), *"aab"), 1),
    ),
    _Case(
        APART,
        lambda t: serve(line(t, *"aaaa", "b"), 1, 2, 3),
        lambda t: serve(line(t, *"aaaa", "b"), 9, 9, 9),
    ),
]
UNSAID = Rules(shares=ShareRule(tenants={"a": 0.5}))
"""Where nothing is said: whoever's share is in use is passed."""
