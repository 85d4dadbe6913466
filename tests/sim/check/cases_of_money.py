"""Cases of the laws of money, and of the limits a minute."""

from __future__ import annotations

from typing import Any

from tests.sim.check.case import Case
from tests.sim.check.tape import Tape
from understudy_actors.domain.events import AttemptDispatched
from understudy_actors.domain.money_events import MoneyCharged, MoneyReserved
from understudy_sim.check.minutes import Minutes
from understudy_sim.check.money import Budgets, Reservations
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


def paid(t: Tape, micro_usd: int, number: int = 1, *, known: bool = True) -> Tape:
    """It is settled."""
    facts: dict[str, Any] = {"request": "r", "attempt": number, "known": known}
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


CASES = [
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
