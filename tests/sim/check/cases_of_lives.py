"""Cases of the laws over the lives of a process."""

from __future__ import annotations

from typing import Any

from tests.sim.check.case import Case
from tests.sim.check.cases_of_money import lent, paid
from tests.sim.check.tape import Tape
from understudy_actors.domain.events import AttemptAdmitted, BreakerMoved
from understudy_actors.domain.store_events import BooksTaken, StoreFailing, StoreKept
from understudy_actors.ledger.account import Limit, Scope
from understudy_actors.ledger.windows import Period
from understudy_sim.check import Rules
from understudy_sim.check.lives import Books, Gates, Told, Written
from understudy_sim.world_events import Delivered, EngineKilled, FaultBegan, FaultEnded

BUDGET = "engine, $0.000100 a day"
BATCHED = Rules(limits=(Limit(Scope("engine"), Period.DAY, 100),), durability="batched")


def kept(t: Tape) -> Tape:
    """A batch is written that knows of all before now."""
    now = t.now
    return t.add(StoreKept, batch=1, states=1, entries=0, gathered_at_s=now)


def killed(t: Tape, micro_usd: int | None, *, unknown: int = 0) -> Tape:
    """The process is killed, and the next one goes on with so much; None: with nothing."""
    t.add(EngineKilled)
    if micro_usd is not None:
        t.add(
            BooksTaken,
            budget=BUDGET,
            scope="engine",
            since=0.0,
            micro_usd=micro_usd,
            unknown=unknown,
        )
    return t


def spent(t: Tape, micro_usd: int, number: int = 1) -> Tape:
    """An attempt is paid for."""
    return paid(lent(t.at(t.now + 1.0), micro_usd, number), micro_usd, number)


def long(t: Tape, batches: int) -> Tape:
    """Three batches are written while an attempt runs, and so many when it has ended."""
    lent(t.at(1.0), 40, 1)
    for at_s in (2.0, 3.0, 4.0):
        kept(t.at(at_s))
    paid(t.at(5.0), 40, 1)
    for later in range(batches):
        kept(t.at(6.0 + later))
    return t


def ended(t: Tape) -> Tape:
    """The reader of a stream has it whole."""
    return t.add(Delivered, request_id="r", text="hi", whole=True)


def opened(t: Tape, until: float) -> Tape:
    """A breaker opens."""
    return t.add(
        BreakerMoved,
        scope="a/m",
        source="closed",
        target="open",
        generation=1,
        why="failures in a row",
        until=until,
    )


def asked(t: Tape) -> Tape:
    """The endpoint behind it is asked."""
    return t.add(
        AttemptAdmitted,
        attempt=1,
        request="r",
        endpoint="a/m",
        generation=1,
        probe=False,
        wait_s=0.0,
        timeout_s=1.0,
    )


def spoiled(t: Tape, until: float) -> Tape:
    """A disk fails until a time."""
    facts: dict[str, Any] = {"fault": "0:disk", "fault_kind": "disk", "target": "all"}
    t.add(FaultBegan, **facts).at(1.0).add(StoreFailing, why="full", durability="batched")
    return t.at(until).add(FaultEnded, **facts)


def stood_still(t: Tape) -> Tape:
    """Until 29 s."""
    facts: dict[str, Any] = {"fault": "1:pause", "fault_kind": "pause", "target": "all"}
    return t.at(11.0).add(FaultBegan, **facts).at(29.0).add(FaultEnded, **facts)


CASES = [
    Case(
        Books,
        "goes on with 10 micro-USD, and 40 were charged",
        lambda t: killed(kept(spent(t, 40).at(5.0)), 10),
        lambda t: killed(kept(spent(t, 40).at(5.0)), 40),
    ),
    Case(
        Told,
        "r is answered, and no batch knows what it cost",
        lambda t: spent(kept(t.accept()), 40).outcome(),
        lambda t: kept(spent(t.accept(), 40).at(5.0)).outcome(),
    ),
    Case(
        Told,
        "r is answered",
        lambda t: ended(spent(t.accept(streams=True), 40).outcome()),
        lambda t: ended(kept(spent(t.accept(streams=True), 40).outcome().at(5.0))),
    ),
    Case(
        Books,
        "had spent 40 micro-USD, and begins anew",
        lambda t: lent(killed(kept(spent(t, 40).at(5.0)), None), 10, 2),
        lambda t: lent(killed(kept(spent(t, 40).at(5.0)), 40), 10, 2),
    ),
    Case(
        Books,
        "goes on with 80 micro-USD, and was at rest with 40",
        lambda t: killed(kept(kept(kept(spent(t, 40).at(5.0)).at(6.0)).at(7.0)), 80, unknown=40),
        lambda t: killed(kept(kept(spent(t, 40).at(5.0)).at(6.0)), 80, unknown=40),
    ),
    Case(  # a charge moves a cover as a loan does
        Books,
        "goes on with 80 micro-USD, and was at rest with 40",
        lambda t: killed(long(t, 3), 80, unknown=40),
        lambda t: killed(long(t, 1), 80, unknown=40),
    ),
    Case(  # nothing was lent for so long that what was ahead of need must have been given back
        Books,
        "goes on with 80 micro-USD, and was at rest with 40",
        lambda t: killed(kept(spent(t, 40).at(5.0)).at(17.0), 80, unknown=40),
        lambda t: killed(kept(spent(t, 40).at(5.0)).at(11.0), 80, unknown=40),
    ),
    Case(
        Books,
        "which is more than it may spend",
        lambda t: killed(spent(t, 40), 110),
        lambda t: killed(spent(t, 40), 100),
    ),
    Case(
        Books,
        "110 micro-USD are spent and reserved under engine, $0.000100 a day over all lives",
        lambda t: lent(killed(spent(t, 40), 80, unknown=40), 30, 2),
        lambda t: lent(killed(spent(t, 40), 80, unknown=40), 20, 2),
    ),
    Case(  # what no batch knew of, a batched store may forget: the next process begins anew
        Books,
        "120 micro-USD are spent and reserved under engine, $0.000100 a day over all lives",
        lambda t: lent(killed(kept(spent(t, 60).at(5.0)), 60), 60, 2),
        lambda t: lent(killed(spent(t, 60), None), 60, 2),
        BATCHED,
    ),
    Case(  # and a strict one may not
        Books,
        "had spent 60 micro-USD, and begins anew",
        lambda t: lent(killed(spent(t, 60), None), 10, 2),
        lambda t: lent(killed(lent(t, 60, 1), None), 60, 2),
    ),
    Case(
        Gates,
        "a/m is asked 5.000 s before its cooldown is over",
        lambda t: asked(killed(kept(opened(t, 20.0).at(5.0)), None).at(15.0)),
        lambda t: asked(killed(kept(opened(t, 20.0).at(5.0)), None).at(20.0)),
    ),
    Case(
        Written,
        "and the store is not written",
        lambda t: asked(spoiled(t, 10.0).at(30.0)),
        lambda t: asked(kept(spoiled(t, 10.0).at(15.0)).at(30.0)),
    ),
    Case(  # a process that stands still writes nothing, and has its time afterwards
        Written,
        "and the store is not written",
        lambda t: asked(stood_still(spoiled(t, 10.0)).at(42.0)),
        lambda t: asked(stood_still(spoiled(t, 10.0)).at(38.0)),
    ),
]
