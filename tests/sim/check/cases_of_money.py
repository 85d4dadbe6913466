"""Cases of the laws of money, and of the limits a minute."""

from __future__ import annotations

from typing import Any

from tests.sim.check.case import Case
from tests.sim.check.tape import Tape
from understudy_actors.domain.events import AttemptDispatched
from understudy_actors.domain.money_events import (
    MoneyCharged,
    MoneyRefused,
    MoneyReserved,
)
from understudy_actors.domain.store_events import BooksTaken
from understudy_sim.check.minutes import Minutes
from understudy_sim.check.money import Budgets, Reservations
from understudy_sim.check.windows import Bookings
from understudy_sim.world_events import Counted

DAY_S = 86_400.0


def lent(t: Tape, micro_usd: int, number: int = 1, **fields: Any) -> Tape:
    """Money is set aside for an attempt of that number."""
    facts: dict[str, Any] = {
        "request": "r",
        "attempt": number,
        "scopes": ("engine",),
        "strict": True,
        "wall": 1000.0,
        **fields,
    }
    return t.add(MoneyReserved, reservation=number, micro_usd=micro_usd, **facts)


def taken(t: Tape, since: float) -> Tape:
    """A budget goes on in a window that an earlier process began."""
    return t.add(BooksTaken, budget="b", scope="engine", since=since, micro_usd=1, unknown=0)


def refused(t: Tape, wall: float) -> Tape:
    """Nothing is set aside at that time."""
    return t.add(MoneyRefused, request="r", budget="b", micro_usd=1, room=0, wall=wall)


def paid(t: Tape, micro_usd: int, number: int = 1, *, known: bool = True, **fields: Any) -> Tape:
    """It is settled."""
    facts: dict[str, Any] = {"request": "r", "attempt": number, "known": known, **fields}
    return t.add(MoneyCharged, reservation=number, micro_usd=micro_usd, **facts)


def sent(t: Tape, micro_usd: int, number: int = 1) -> Tape:
    """Money is set aside for an attempt, and it is sent."""
    lent(t, micro_usd, number)
    return t.admit(number)


def sends(t: Tape, *moments: float, error: str | None = None, endpoint: str = "limited/m") -> Tape:
    """Attempts at provider `limited` at these times; the first may fail in a way."""
    for number, moment in enumerate(moments, 1):
        t.at(moment).add(AttemptDispatched, attempt=number, request="r", endpoint=endpoint)
        if number == 1 and error is not None:
            t.ended("failed", number, endpoint, error=error)
    return t


def counts(t: Tape, *arrivals: tuple[float, int, int], provider: str = "limited") -> Tape:
    """A provider counts requests: when, and their tokens of input and output."""
    for moment, given, made in arrivals:
        t.at(moment).add(
            Counted,
            request_id="r",
            provider=provider,
            model="m",
            input_tokens=given,
            output_tokens=made,
        )
    return t


A_DAY = int(DAY_S)
DAY = {"engine, $0.00 a day": (0, A_DAY)}
NEXT = {"engine, $0.00 a day": (A_DAY, 2 * A_DAY)}
LONG = {"engine, $0.00 a day": (A_DAY - 3600, 2 * A_DAY - 3600)}
OWN = {"engine, $0.000100 a day": (A_DAY, 2 * A_DAY)}
EVER: dict[str, tuple[int, ...]] = {"user ann, $1.00 in all": ()}


CASES = [
    Case(  # booked when it was settled
        Bookings,
        "was charged in another window than it was made in",
        lambda t: paid(lent(t, 10, windows=DAY | EVER), 5, windows=NEXT | EVER),
        lambda t: paid(lent(t, 10, windows=DAY | EVER), 5, windows=DAY | EVER),
    ),
    Case(  # charged under one of its budgets only
        Bookings,
        "was charged in another window than it was made in",
        lambda t: paid(lent(t, 10, windows=DAY | EVER), 5, windows=DAY),
        lambda t: paid(lent(t, 10, windows={}), 5, windows={}),
    ),
    Case(  # the end of a window is in the next one
        Bookings,
        "86400 is not in the window of engine, $0.00 a day, 0 to 86400",
        lambda t: lent(t, 10, windows=DAY, wall=DAY_S),
        lambda t: lent(t, 10, windows=NEXT, wall=DAY_S),
    ),
    Case(  # a clock set back opens no window anew
        Bookings,
        "1000 is not in the window of",
        lambda t: lent(t, 10, windows=NEXT, wall=1000.0),
        lambda t: lent(lent(t, 10, windows=NEXT, wall=DAY_S + 5), 10, 2, windows=NEXT, wall=1000.0),
    ),
    Case(  # nor after it was seen by somebody who was refused
        Bookings,
        "1000 is not in the window of",
        lambda t: lent(refused(t, 500.0), 10, windows=NEXT, wall=1000.0),
        lambda t: lent(refused(t, DAY_S), 10, windows=NEXT, wall=1000.0),
    ),
    Case(  # nor after a process before this one has seen it
        Bookings,
        "1000 is not in the window of",
        lambda t: lent(taken(t, 0.0), 10, windows=NEXT, wall=1000.0),
        lambda t: lent(taken(t, DAY_S), 10, windows=NEXT, wall=1000.0),
    ),
    Case(  # what counts is where it is booked
        Budgets,
        "120 micro-USD are spent and reserved by engine",
        lambda t: lent(lent(t, 60, windows=OWN, wall=DAY_S), 60, 2, windows=OWN),
        lambda t: lent(lent(t, 60, wall=DAY_S), 60, 2),
    ),
    Case(
        Bookings,
        "two windows of engine, $0.00 a day overlap",
        lambda t: lent(lent(t, 10, windows=DAY), 10, 2, windows=LONG, wall=DAY_S + 5),
        lambda t: lent(lent(t, 10, windows=DAY), 10, 2, windows=NEXT, wall=DAY_S + 5),
    ),
    Case(
        Bookings,
        "a window of user ann, $1.00 an hour is 24.0 hours long",
        lambda t: lent(t, 10, windows={"user ann, $1.00 an hour": (0, A_DAY)}),
        lambda t: lent(t, 10, windows={"user ann, $1.00 an hour": (0, 1800)}),
    ),
    Case(  # two a minute
        Minutes,
        "limited was sent 3 requests within a minute, and 2 are allowed",
        lambda t: sends(t, 0.0, 30.0, 59.0),
        lambda t: sends(t, 0.0, 30.0, 60.0, 90.0),
    ),
    Case(
        Minutes,
        "3 requests within a minute",
        lambda t: sends(t, 0.0, 1.0, 2.0, error="reset"),
        lambda t: sends(t, 0.0, 1.0, 2.0, error="connect"),
    ),
    Case(
        Minutes,
        "wide/m was sent 3 requests within a minute, and 2 are allowed",
        lambda t: sends(t, 0.0, 1.0, 2.0, endpoint="wide/m"),
        lambda t: sends(t, 0.0, 1.0, 2.0, endpoint="wide/other"),
    ),
    Case(
        Minutes,
        "limited counted 101 tokens within a minute, and 100 are allowed",
        lambda t: counts(t, (0.0, 30, 30), (59.0, 1, 40)),
        lambda t: counts(t, (0.0, 30, 30), (60.0, 1, 40)),
    ),
    Case(
        Minutes,
        "wide/m counted 51 output tokens within a minute",
        lambda t: counts(t, (0.0, 900, 50), (1.0, 0, 1), provider="wide"),
        lambda t: counts(t, (0.0, 900, 50), (1.0, 900, 0), provider="wide"),
    ),
    Case(
        Minutes,
        "limited counted 3 requests within a minute",
        lambda t: counts(t, (0.0, 1, 1), (1.0, 1, 1), (2.0, 1, 1)),
        lambda t: counts(t, (0.0, 1, 1), (1.0, 1, 1), (61.0, 1, 1)),
    ),
    Case(  # the limits are those of `RULES`: the engine 100 a day, each user 50 in all
        Budgets,
        "110 micro-USD are spent and reserved by engine",
        lambda t: lent(paid(sent(lent(t, 30, 9), 60), 50), 30, 2),
        lambda t: lent(paid(sent(lent(t, 30, 9), 60), 40), 30, 2),
    ),
    Case(
        Budgets,
        "by user ann under user *",
        lambda t: lent(t, 60, scopes=("user ann",)),
        lambda t: lent(lent(t, 50, scopes=("user ann",)), 50, 2, scopes=("user bob",)),
    ),
    Case(
        Budgets,
        "120 micro-USD",
        lambda t: lent(lent(t, 60), 60, 2, wall=1000.0 + DAY_S / 2),
        lambda t: lent(lent(t, 60), 60, 2, wall=1000.0 + DAY_S),
    ),
    Case(  # a charge belongs to the day of its reservation
        Budgets,
        "101 micro-USD",
        lambda t: lent(paid(lent(lent(t, 60), 60, 2, wall=1000.0 + DAY_S), 60), 41, 3),
        lambda t: lent(
            paid(lent(lent(t, 60), 60, 2, wall=1000.0 + DAY_S), 60), 40, 3, wall=1000.0 + DAY_S
        ),
    ),
    Case(
        Reservations,
        "was settled, and nothing was reserved by it",
        lambda t: paid(paid(sent(t, 10), 5), 5),
        lambda t: paid(sent(paid(sent(t, 10), 5), 10, 2), 5, 2),
    ),
    Case(
        Reservations,
        "was never sent, and cost 5 micro-USD",
        lambda t: paid(lent(t, 10), 5),
        lambda t: paid(lent(t, 10), 0),
    ),
    Case(
        Reservations,
        "not all of it was charged",
        lambda t: paid(sent(t, 10), 5, known=False),
        lambda t: paid(sent(t, 10), 10, known=False),
    ),
    Case(
        Reservations,
        "its money is still set aside",
        lambda t: sent(t, 10).ended("ok"),
        lambda t: paid(sent(t, 10), 5).ended("ok"),
    ),
    Case(
        Reservations,
        "money is still set aside for it",
        lambda t: lent(t, 10).outcome(),
        lambda t: paid(lent(t, 10), 0).outcome(),
    ),
    Case(
        Reservations,
        "was paid for twice",
        lambda t: lent(lent(t, 10), 10, 2, attempt=1),
        lambda t: lent(paid(lent(t, 10), 0), 10, 2, attempt=1),
    ),
]
