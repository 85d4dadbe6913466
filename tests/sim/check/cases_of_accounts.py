"""Cases of the law of accounts."""

from __future__ import annotations

from tests.sim.check.case import Case
from tests.sim.check.cases_of_money import lent, paid, sent
from tests.sim.check.tape import Tape
from understudy_actors.domain.money_events import AccountsClosed
from understudy_sim.check.accounts import Sums


def two(t: Tape) -> Tape:
    """One attempt of $0.000005, and one that failed at an unknown price."""
    t.admit(1).ended("ok", 1, cost_usd=0.000005)
    return t.admit(2).ended("failed", 2, error="reset")


def closed(t: Tape, attempts: int, successes: int, unknown: int, micro_usd: int) -> Tape:
    """What the accounts say in the end."""
    return t.add(
        AccountsClosed,
        attempts=attempts,
        successes=successes,
        unknown=unknown,
        micro_usd=micro_usd,
    )


CASES = [
    Case(
        Sums,
        "say 1 attempts, 1 good, 0 of unknown cost, 5 micro-USD; there were 2 attempts, 1 good, 1",
        lambda t: closed(two(t), 1, 1, 0, 5),
        lambda t: closed(two(t), 2, 1, 1, 5),
    ),
    Case(
        Sums,
        "there were 2 attempts, 1 good, 1 of unknown cost, 5 micro-USD",
        lambda t: closed(two(t), 2, 1, 1, 4),
        lambda t: closed(closed(two(t), 2, 1, 1, 5), 0, 0, 0, 0),
    ),
    Case(
        Sums,
        "attempt 1 cost 5 micro-USD, and 6 were charged",
        lambda t: paid(sent(t, 10), 6).ended(cost_usd=0.000005),
        lambda t: paid(sent(t, 10), 5).ended(cost_usd=0.000005),
    ),
    Case(  # the ledger was down when it ended
        Sums,
        "attempt 1 cost None micro-USD, and 6 were charged",
        lambda t: paid(sent(t, 10).ended("failed"), 6),
        lambda t: paid(sent(t, 10).ended("failed"), 10, known=False),
    ),
    Case(  # one that was refused, and whose number nobody uses again
        Sums,
        "attempt 2 cost 1 micro-USD, and 2 were charged",
        lambda t: paid(sent(paid(lent(t, 10), 0), 10, 2), 2, 2).ended(attempt=2, cost_usd=1e-6),
        lambda t: paid(sent(paid(lent(t, 10), 0), 10, 2), 1, 2).ended(attempt=2, cost_usd=1e-6),
    ),
]
