"""Cases of the law of accounts."""

from __future__ import annotations

from tests.sim.check.case import Case
from tests.sim.check.cases_of_money import lent, paid, sent
from tests.sim.check.tape import Tape
from understudy_actors.domain.money_events import AccountsClosed, AccountsTaken
from understudy_actors.domain.store_events import StoreKept
from understudy_sim.check.accounts import Sums, Taken
from understudy_sim.world_events import EngineKilled


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


def stored(t: Tape) -> Tape:
    """The same, of an engine with a store in which nothing was."""
    return two(t.add(AccountsTaken, attempts=0, micro_usd=0))


def written(t: Tape, before: float = 99.0) -> Tape:
    """A batch is written that was gathered then."""
    return t.add(StoreKept, batch=1, states=1, entries=0, gathered_at_s=before)


def killed(t: Tape, attempts: int, micro_usd: int) -> Tape:
    """The process is killed, and the next one goes on with so much."""
    return t.add(EngineKilled).add(AccountsTaken, attempts=attempts, micro_usd=micro_usd)


CASES = [
    Case(
        Taken,
        "go on with 1 attempts of 5 micro-USD; written were 2 of 5, and there were 2 of 5",
        lambda t: killed(written(stored(t)), 1, 5),
        lambda t: killed(written(stored(t)), 2, 5),
    ),
    Case(
        Taken,
        "written were 2 of 5, and there were 4 of 10",
        lambda t: killed(two(written(stored(t)).at(100.0)), 5, 10),
        lambda t: killed(two(written(stored(t)).at(100.0)), 3, 10),
    ),
    Case(  # what was gathered before it ended need not be there
        Taken,
        "written were 0 of 0, and there were 2 of 5",
        lambda t: killed(written(stored(t), 0.0), 2, 6),
        lambda t: killed(killed(written(stored(t), 0.0), 0, 0), 0, 0),
    ),
    Case(  # but if it is there once, it stays
        Taken,
        "written were 2 of 5, and there were 2 of 5",
        lambda t: killed(killed(written(stored(t), 0.0), 2, 5), 0, 0),
        lambda t: killed(killed(written(stored(t), 0.0), 2, 5), 2, 5),
    ),
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
