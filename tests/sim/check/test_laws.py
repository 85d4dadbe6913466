"""Each law, by a trace that breaks it and one of the same ingredients that keeps it."""

from __future__ import annotations

import pytest

from tests.sim.check.case import Case
from tests.sim.check.cases_of_accounts import CASES as ACCOUNTS
from tests.sim.check.cases_of_bulkheads import CASES as BULKHEADS
from tests.sim.check.cases_of_caching import CASES as CACHING
from tests.sim.check.cases_of_copies import CASES as COPIES
from tests.sim.check.cases_of_failures import CASES as FOLLOWING
from tests.sim.check.cases_of_fairness import CASES as FAIRNESS, UNSAID
from tests.sim.check.cases_of_limits import CASES as LIMITS
from tests.sim.check.cases_of_lives import CASES as LIVES
from tests.sim.check.cases_of_money import CASES as MONEY
from tests.sim.check.cases_of_room import CASES as ROOM
from tests.sim.check.cases_of_sharing import CASES as SHARING
from tests.sim.check.cases_of_streams import CASES as STREAMS
from tests.sim.check.cases_of_waiting import CASES as WAITING
from tests.sim.check.tape import Tape, breaks
from understudy.cache.cache import CacheRule, Life
from understudy.routing.endings import OVER_BUDGET
from understudy_actors.dispatcher.hedge import HedgeRule
from understudy_actors.dispatcher.retry import Backoff, RetryRule
from understudy_actors.domain.candidate import EndpointSpec
from understudy_actors.domain.rates import RateRule
from understudy_actors.domain.store_events import LimitTaken
from understudy_actors.ledger.account import EACH, Limit, Scope
from understudy_actors.ledger.windows import Period
from understudy_actors.provider.policy import BreakerPolicy, classic
from understudy_sim.check import ALL, Rules
from understudy_sim.check.actors import Asks, Restarts, Returns, Shutdown, Time
from understudy_sim.check.admission import Accounts, NoPassing, NoPretext, RetryTimes
from understudy_sim.check.breakers import Causes, Cooldowns, Exponents, Generations, Paths
from understudy_sim.check.budget import FailoverGuard, RetryTokens, Scores
from understudy_sim.check.completeness import Failover, NothingLeft, WakeUps
from understudy_sim.check.counting import Counting, FailuresOnly
from understudy_sim.check.liveness import Leases, StatedEnds
from understudy_sim.check.permits import Probes, Returned, SlotCounts
from understudy_sim.check.recovery import Goodput, Heals
from understudy_sim.check.requests import AfterTheAnswer, Attempts, InTime, OneOutcome, OwnDoing
from understudy_sim.check.turns import Turns

RULES = Rules(
    breakers={"classic": classic(trip_after=2, cooldown_s=10.0)},
    breaker=BreakerPolicy(),
    timeout_s=20.0,
    retries={"steady": RetryRule(backoff=Backoff(base_s=0.5, jitter=False))},
    queue_capacity=2,
    durability="strict",
    hedge=HedgeRule(concurrent=4),
    cache=CacheRule(2, 1_000, 0, Life(10.0, 5.0, unasked=True), {}),
    minutes={
        "limited": RateRule(requests=2, tokens=100),
        "wide/m": RateRule(requests=2, output_tokens=50),
    },
    limits=(
        Limit(Scope("engine"), Period.DAY, 100),
        Limit(Scope("user", EACH), Period.TOTAL, 50),
    ),
    fleet=tuple(
        EndpointSpec(provider=name, model="m", operations=("chat",), failure_domain=domain)
        for name, domain in (("a", "cloud"), ("cloudy", "cloud"), ("clear", "field"))
    ),
)
THIRTY = range(30)


def asks(t: Tape, ask: int = 1) -> Tape:
    from understudy_actors.domain.events import AskOpened

    return t.add(AskOpened, actor="dispatcher", ask=ask, deadline=10.0)


def replied(t: Tape, ask: int = 1) -> Tape:
    from understudy_actors.domain.events import AskClosed

    return t.add(AskClosed, actor="dispatcher", ask=ask, how="answered")


def crashes(t: Tape, times: int) -> Tape:
    """Crashes two seconds apart, each restarted in time but the last."""
    for number in range(times):
        t.at(number * 2.0).crash()
        if number + 1 < times:
            t.at(number * 2.0 + 1.9).restart(incarnation=number + 2)
    return t


def outcomes(t: Tape, status: str, count: int) -> Tape:
    for _ in range(count):
        t.outcome(status)
    return t


def down(t: Tape) -> Tape:
    """An actor that is down from the last fault on, for five minutes in which it is preferred."""
    preferring(t.open(5.0).quiet().at(5.0).half_open().crash(), 5)
    return t.at(300.0).restart()


def probing(t: Tape, verdict: str, error: str | None = None) -> Tape:
    """Probes in quiet times, each twenty seconds after the one before, that close nothing."""
    t.open(5.0).quiet().at(5.0).half_open()
    for number in range(1, 12):
        t.at(20.0 * number).decide("p/m").lend(number, generation=2, probe=True, request="r")
        t.back(verdict, number, generation=2, probe=True, request="r").ended(verdict, error=error)
    return t


def took_over(t: Tape, limit: float) -> Tape:
    """A process goes on with the limit that the one before it left, and one request waits."""
    t.add(LimitTaken, endpoint="p/m", limit=limit, threshold=None)
    return t.decide(out={"p/m": "no slot"}).queue()


def still_in_line(t: Tape) -> Tape:
    for at_s in (1.5, 2.5, 3.5, 4.5):
        t.at(at_s).tick()
    return t


def settled(t: Tape, before: tuple[int, int], after: tuple[int, int]) -> Tape:
    """So many successes and failures before the first fault, and long after the last."""
    outcomes(outcomes(t, "ok", before[0]), "NoCandidate", before[1])
    t.at(1.0).fault().at(2.0).quiet().at(310.0)
    return outcomes(outcomes(t, "ok", after[0]), "NoCandidate", after[1])


def hedged(t: Tape) -> Tape:
    from understudy_actors.domain.hedge_events import HedgeLaunched

    return t.add(HedgeLaunched, request="r", attempt=2, endpoint="q/m", after_s=1.0)


def preferring(t: Tape, count: int, refused: str | None = None) -> Tape:
    for _ in range(count):
        t.decide("p/m")
        if refused is not None:
            t.refuse(refused)
    return t


CASES = [
    *BULKHEADS,
    *FAIRNESS,
    *FOLLOWING,
    *WAITING,
    *STREAMS,
    *MONEY,
    *LIVES,
    *COPIES,
    *LIMITS,
    *SHARING,
    *ROOM,
    *ACCOUNTS,
    *CACHING,
    # S1
    Case(
        NoPassing,
        "whose breaker is open",
        lambda t: t.open(until=5.0).at(4.0).admit(),
        lambda t: t.open(until=5.0).at(5.0).half_open().admit(),
    ),
    Case(
        NoPassing,
        "whose breaker is isolated",
        lambda t: t.move("closed", "isolated", 1, "isolated").admit(),
        lambda t: t.move("closed", "isolated", 1, "isolated")
        .move("isolated", "closed", 2, "enabled")
        .admit(),
    ),
    Case(
        NoPassing,
        "whose breaker is open",
        lambda t: t.open(until=5.0, scope="domain host of p").admit(),
        lambda t: t.open(until=5.0, scope="domain host of q").admit(),
    ),
    Case(
        NoPassing,
        "which is held: rate limited",
        lambda t: t.hold(until=5.0).at(4.9).admit(),
        lambda t: t.hold(until=5.0).at(5.0).admit(),
    ),
    Case(
        NoPassing,
        "which is held: key refused",
        lambda t: t.hold(until=5.0, why="key refused", scope="p").admit(),
        lambda t: t.hold(until=5.0, why="key refused", scope="p")
        .clear("key refused", "by hand", "p")
        .admit(),
    ),
    Case(
        NoPassing,
        "dispatched 1.500 s after its admission",
        lambda t: t.admit().at(1.5).dispatch(),
        lambda t: t.admit().at(0.5).dispatch(),
    ),
    # S2
    Case(
        Probes,
        "has 2 probes out, 1 allowed",
        lambda t: t.half_open().lend(1, generation=2, probe=True).lend(2, generation=2, probe=True),
        lambda t: t.half_open()
        .lend(1, generation=2, probe=True)
        .back(permit=1, generation=2)
        .lend(2, generation=2, probe=True),
    ),
    Case(
        Probes,
        "has 2 probes out, 1 allowed",
        lambda t: t.half_open()  # a permit of an earlier generation frees no slot of this one
        .lend(1, generation=2, probe=True)
        .back(permit=1, generation=0)
        .lend(2, generation=2, probe=True),
        lambda t: t.half_open()
        .lend(1, generation=2, probe=True)
        .close()
        .open(5.0, generation=4)
        .half_open(generation=5)
        .lend(2, generation=5, probe=True),
    ),
    Case(
        Probes,
        "which is no probe",
        lambda t: t.half_open().lend(1, generation=2),
        lambda t: t.half_open().close().lend(1, generation=3),
    ),
    # S3
    Case(
        Generations,
        "counted a verdict of generation 0 in generation 1",
        lambda t: t.open(5.0).count(generation=0),
        lambda t: t.count(generation=0).open(5.0).stale(generation=0),
    ),
    Case(
        Generations,
        "lent a permit of another generation",
        lambda t: t.open(5.0).half_open().lend(generation=1, probe=True),
        lambda t: t.open(5.0).half_open().lend(generation=2, probe=True),
    ),
    Case(
        Generations,
        "called a verdict of its own generation 2 stale",
        lambda t: t.half_open().stale(generation=2).lend(2, generation=2),
        lambda t: t.half_open().stale(generation=2).open(9.0, generation=3).half_open(4),
    ),
    # S4
    Case(
        OneOutcome,
        "r ended twice",
        lambda t: t.accept().outcome().outcome(),
        lambda t: t.accept().outcome(),
    ),
    Case(
        OneOutcome,
        "admitted at p/m after its outcome",
        lambda t: t.accept().outcome("cancelled").admit(),
        lambda t: t.accept().admit().outcome("cancelled"),
    ),
    Case(
        OneOutcome,
        "were never answered",
        lambda t: t.accept().accept("s").outcome(request="s"),
        lambda t: t.accept().accept("s").outcome(request="s").outcome(),
    ),
    Case(
        OneOutcome,
        "accepted twice",
        lambda t: t.accept().accept().outcome(),
        lambda t: t.accept().outcome().accept().outcome(),
    ),
    # S5
    Case(
        Returned,
        "permit 1 of p/m and 0 others never came back",
        lambda t: t.lend(),
        lambda t: t.lend().back(),
    ),
    Case(
        Returned,
        "the slot of attempt 1 at p/m came back, but was not out",
        lambda t: t.lend().back().slot().free().free(),
        lambda t: t.lend().back().slot().free(),
    ),
    Case(
        Returned,
        "was taken twice",
        lambda t: t.lend().lend().back(),
        lambda t: t.lend().back().lend().back(),
    ),
    Case(
        Returned,
        "its attempt never ended",
        lambda t: t.lend().crash().restart(),
        lambda t: t.lend().crash().ended("failed").restart(),
    ),
    # S6
    Case(
        Causes,
        "p/m opened after the verdict throttled",
        lambda t: t.back("throttled").move("half-open", "open", 1, "probe failed"),
        lambda t: t.back("throttled").move("half-open", "open", 1, "probes inconclusive"),
    ),
    Case(
        Causes,
        "counted the verdict throttled",
        lambda t: t.count("throttled"),
        lambda t: t.count("failed"),
    ),
    Case(
        Causes,
        "opened after the verdict neutral",
        lambda t: t.back("neutral").open(5.0),
        lambda t: t.count("failed").back("failed").open(5.0),
    ),
    # S7
    Case(
        Paths,
        "from closed to half-open",
        lambda t: t.move("closed", "half-open", 1),
        lambda t: t.open(5.0).half_open(),
    ),
    Case(
        Paths,
        "but was half-open",
        lambda t: t.open(5.0).half_open().open(9.0, generation=3),
        lambda t: t.open(5.0).half_open().move("half-open", "open", 3, until=9.0),
    ),
    Case(
        Paths,
        "from generation 1 to 3",
        lambda t: t.open(5.0).half_open(generation=3),
        lambda t: t.open(5.0).half_open(generation=2),
    ),
    Case(
        Paths,
        "before its previous move",
        lambda t: t.at(9.0).open(12.0).at(8.0).half_open(),
        lambda t: t.at(9.0).open(12.0).at(12.0).half_open(),
    ),
    Case(
        Paths,
        "not a new one",
        lambda t: t.open(5.0, generation=4).move("open", "open", 4, "restored", until=5.0),
        lambda t: t.open(5.0, generation=4).move("open", "open", 7, "restored", until=5.0),
    ),
    # S8
    Case(
        Cooldowns,
        "0.500 s before its cooldown's end",
        lambda t: t.open(5.0).at(4.5).half_open(),
        lambda t: t.open(5.0).at(5.0).half_open(),
    ),
    Case(
        Cooldowns,
        "for less than the 8 s it was told to wait",
        lambda t: t.open(5.0, retry_after=8.0),
        lambda t: t.open(8.0, retry_after=8.0),
    ),
    Case(
        Cooldowns,
        "moved the end of its cooldown from 5.0",
        lambda t: t.open(5.0).move("open", "open", 3, "restored", until=7.0),
        lambda t: t.open(5.0).move("open", "open", 3, "restored", until=5.0),
    ),
    # S9
    Case(
        Exponents,
        "p/m opens for exactly 5 s, as everybody else would",
        lambda t: t.open(until=5.0),
        lambda t: t.open(until=4.9),
    ),
    Case(
        Exponents,
        "opens for 1.000 s, not for 2.500 to 5.000 s",
        lambda t: t.open(1.0),
        lambda t: t.open(3.0),
    ),
    Case(
        Exponents,
        "opens for 30.000 s, not for 7.500 to 15.000 s",  # the cap
        lambda t: t.open(3.0).at(3.0).half_open().at(3.0).move(
            "half-open", "open", 3, "probe failed", until=9.0, exponent=2
        ).at(9.0).half_open(4, 2).lend(7, generation=4, probe=True).at(9.1).count(
            permit=7, generation=4
        ).move("half-open", "open", 5, "probe failed", until=39.1, exponent=3),
        lambda t: t.open(3.0).at(3.0).half_open().at(3.0).move(
            "half-open", "open", 3, "probe failed", until=9.0, exponent=2
        ).at(9.0).half_open(4, 2).lend(7, generation=4, probe=True).at(24.0).count(
            permit=7, generation=4  # a slow probe lifts the cap
        ).move("half-open", "open", 5, "probe failed", until=54.0, exponent=3),
        Rules(breaker=BreakerPolicy(slow_probe_cap_s=60.0)),
    ),
    Case(
        Exponents,
        "says cooldown number 2, it must be 1",
        lambda t: t.open(3.0).at(3.0).half_open().close().at(70.0).open(78.0, 4, exponent=2),
        lambda t: t.open(3.0).at(3.0).half_open().close().at(62.0).open(70.0, 4, exponent=2),
    ),
    Case(
        Exponents,
        "says cooldown number 4, it must be 3",  # it stops where the cap is reached
        lambda t: t.move("closed", "half-open", 1, "restored", exponent=3).move(
            "half-open", "open", 2, "probe failed", until=10.0, exponent=4
        ),
        lambda t: t.move("closed", "half-open", 1, "restored", exponent=3).move(
            "half-open", "open", 2, "probe failed", until=10.0, exponent=3
        ),
    ),
    # S10
    Case(
        Attempts,
        "made attempt 3 of at most 2",
        lambda t: t.accept(max_attempts=2).admit(1, "a/m").admit(2, "b/m").admit(3, "c/m"),
        lambda t: t.accept(max_attempts=3).admit(1, "a/m").admit(2, "b/m").admit(3, "c/m"),
    ),
    Case(
        Attempts,
        "went back to a/m",
        lambda t: t.accept().admit(1, "a/m").admit(2, "b/m").admit(3, "a/m"),
        lambda t: t.accept().admit(1, "a/m").pause(0.0, "a/m").admit(2, "a/m").admit(3, "b/m"),
    ),
    Case(
        Attempts,
        "without a pause",
        lambda t: t.accept().admit().ended("failed", error="server").admit(2),
        lambda t: t.accept().admit().ended("failed", error="server").pause(0.0).admit(2),
    ),
    Case(
        Attempts,
        "0.400 s before its pause",
        lambda t: t.accept().admit().ended("failed", error="server").pause(1.0).at(0.6).admit(2),
        lambda t: t.accept().admit().ended("failed", error="server").pause(1.0).at(1.0).admit(2),
    ),
    Case(
        Attempts,
        "after silent",
        lambda t: t.accept().admit().ended("failed", error="silent").pause(0.0).admit(2),
        lambda t: t.accept().admit().ended("failed", error="reset").pause(0.0).admit(2),
    ),
    Case(  # the copy broke, then the first fell silent: the copy's target may be asked again
        Attempts,
        "after silent",
        lambda t: (
            t.accept()
            .admit(1, "a/m")
            .admit(2, "b/m")
            .ended("failed", 1, "a/m", error="server")
            .ended("failed", 2, "b/m", error="silent")
            .pause(0.0, "b/m")
            .admit(3, "b/m")
        ),
        lambda t: (
            t.accept()
            .admit(1, "a/m")
            .admit(2, "b/m")
            .ended("failed", 2, "b/m", error="server")
            .ended("failed", 1, "a/m", error="silent")
            .pause(0.0, "b/m")
            .admit(3, "b/m")
        ),
    ),
    Case(
        Attempts,
        "for retry 5 of at most 4",
        lambda t: [t.accept(max_attempts=9), *(t.pause(0.0).admit(n) for n in range(6))],
        lambda t: [t.accept(max_attempts=9), *(t.pause(0.0).admit(n) for n in range(5))],
    ),
    # S11
    Case(
        InTime,
        "0.500 s after its deadline",
        lambda t: t.accept(deadline=2.0).at(2.5).dispatch().outcome(),
        lambda t: t.accept(deadline=2.0).at(1.5).dispatch().outcome(),
    ),
    Case(
        InTime,
        "beyond its deadline",
        lambda t: t.accept(deadline=2.0).pause(3.0).outcome(),
        lambda t: t.accept(deadline=2.0).pause(1.0).outcome(),
    ),
    Case(
        InTime,
        "no outcome although its deadline has passed",
        lambda t: t.accept(deadline=2.0).at(2.3).tick().at(2.9).tick(),
        lambda t: t.accept(deadline=2.0).at(60.0).tick().outcome(),  # the world stood still
    ),
    # S12
    Case(
        RetryTokens,
        "a budget that must have been empty",
        lambda t: [t.token(left=19.0 - n) for n in range(21)],
        lambda t: [t.token(left=19.0 - n) for n in range(20)],
    ),
    Case(
        RetryTokens,
        "a budget that must have been empty",
        lambda t: t.token(left=9.0).token(left=8.05),
        lambda t: t.token(left=9.0).token(left=8.0),
    ),
    Case(
        RetryTokens,
        "a budget that must have been empty",
        lambda t: t.token(left=0.3).at(1.0).token(left=0.3),
        lambda t: t.token(left=0.9).at(1.0).token(left=0.1),
    ),
    Case(
        RetryTokens,
        "a budget that must have been empty",
        lambda t: t.token(left=9.0).accept().decide("p/m").decide("p/m").token(left=8.4),
        lambda t: t.token(left=9.0).accept().decide("p/m").decide("p/m").token(left=8.2),
    ),
    Case(
        RetryTokens,
        "a budget that must have been empty",
        lambda t: t.accept("r").accept("s").restart("dispatcher").token(left=9.0).token(left=8.6),
        lambda t: t.accept("r").accept("s").restart("dispatcher").token(left=9.0).token(left=8.4)
        .decide("p/m").token(left=7.4),  # those who waited pay in when they are decided
    ),
    Case(
        RetryTokens,
        "without a token of the budget",
        lambda t: t.pause(),
        lambda t: t.token().pause().queue(),
    ),
    Case(
        FailoverGuard,
        "may fail over onto b/m, which fails too often",
        lambda t: t.scores("failed", 5, "b/m").at(1.0).ended("failed").decide("b/m"),
        lambda t: t.scores("failed", 4, "b/m").at(1.0).ended("failed").decide("b/m"),
    ),
    Case(
        FailoverGuard,
        "may fail over onto b/m",
        lambda t: t.scores("failed", 6, "b/m").scores("ok", 9, "b/m").at(1.0).ended("failed")
        .decide("b/m"),
        lambda t: t.scores("failed", 6, "b/m").scores("ok", 11, "b/m").at(1.0).ended("failed")
        .decide("b/m"),
    ),
    # S17
    Case(
        AfterTheAnswer,
        "was answered, and asked b/m all the same",
        lambda t: t.admit().ended("ok").admit(2, "b/m"),
        lambda t: t.admit().ended("failed").admit(2, "b/m"),
    ),
    # S18
    Case(
        Accounts,
        "account p is not held",
        lambda t: t.ended("neutral", error="quota"),
        lambda t: t.hold(300.0, "credit exhausted", "p").ended("neutral", error="quota"),
    ),
    Case(
        Accounts,
        "went to p/other while its account is held",
        lambda t: t.hold(300.0, "credit exhausted", "p").at(299.0).dispatch(2, "p/other"),
        lambda t: t.hold(300.0, "credit exhausted", "p").at(300.0).dispatch(2, "p/other"),
    ),
    # S19
    Case(
        OwnDoing,
        "got the verdict failed for what we did ourselves",
        lambda t: t.ended("failed", error="cancelled", origin="local"),
        lambda t: t.ended("neutral", error="cancelled", origin="local"),
    ),
    Case(
        OwnDoing,
        "went on after an end of our own doing",
        lambda t: t.ended("neutral", origin="local").failover("p/m", "q/m"),
        lambda t: t.ended("neutral", origin="local").outcome("cancelled").failover("p/m", "q/m"),
    ),
    Case(  # of two copies the slower one is called off, and the other may break later
        OwnDoing,
        "went on after an end of our own doing",
        lambda t: (
            hedged(t)
            .ended("neutral", 2, origin="local")
            .ended("neutral", 1, origin="local")
            .failover("p/m", "q/m")
        ),
        lambda t: hedged(t).ended("neutral", 2, origin="local").failover("p/m", "q/m"),
    ),
    # S22
    Case(
        Turns,
        "dispatcher handled a Rank in the midst of its turn over a Rank",
        lambda t: t.turn(2).turn(1, began=0),
        lambda t: t.turn(2, actor="provider/p").turn(1, began=0).turn(3, began=2),
    ),
    Case(
        Turns,
        "dispatcher handled message 2 before 1",
        lambda t: t.turn(2, "work").turn(1, "work"),
        lambda t: t.turn(2, "control").turn(1, "work").turn(3, "work"),
    ),
    Case(
        Turns,
        "dispatcher handled message 2 before 1",
        lambda t: t.turn(2).turn(1, "control"),  # it waited while the other was let pass
        lambda t: t.turn(1, "control").turn(2).stop("dispatcher").start("dispatcher").turn(1),
    ),
    Case(
        Turns,
        "dispatcher handled message 4 twice",
        lambda t: t.turn(4, "results").turn(4, "results"),
        lambda t: t.turn(4, "results").turn(7, "results"),  # those between were given up
    ),
    Case(
        Turns,
        "handled work while a message waited in its results lane",
        lambda t: t.tick().tick().turn(1, "work").turn(2, "results", sent=1),
        lambda t: t.tick().tick().turn(1, "work").turn(2, "results", sent=2),
    ),
    Case(
        Turns,
        "handled work while a message waited in its control lane",
        lambda t: t.turn(1, "work").turns(63, "control", 2).turn(70, "work").turn(
            80, "control", sent=62
        ),
        lambda t: t.turn(1, "work").turns(64, "control", 2).turn(70, "work").turn(
            80, "control", sent=62  # after 64 urgent ones in a row work comes first
        ),
    ),
    Case(
        Turns,
        "handled work while a message waited in its results lane",
        lambda t: [t.turn(9), *(t.crash("dispatcher") for _ in range(2))]
        and t.turn(10, "work").turn(11, "results", sent=0),
        lambda t: [t.turn(9), *(t.crash("dispatcher") for _ in range(3))]
        and t.turn(10, "work").turn(11, "results", sent=0),
    ),
    # S23
    Case(
        Asks,
        "beyond their deadline",
        lambda t: replied(asks(t).at(10.4).tick().at(11.0).tick()),
        lambda t: replied(asks(t).at(10.0)),
    ),
    Case(
        Asks,
        "ended twice",
        lambda t: replied(replied(asks(t))),
        lambda t: replied(asks(replied(asks(t)), 2), 2),
    ),
    Case(Asks, "somebody still waits", lambda t: asks(t), lambda t: replied(asks(t))),
    # S24
    Case(
        Restarts,
        "its back-off is 0.1 s",
        lambda t: t.crash().at(0.05).restart(),
        lambda t: t.crash().at(0.09).restart(),
    ),
    Case(
        Restarts,
        "more often than its intensity allows",
        lambda t: crashes(t, 6).at(15.0).restart(incarnation=7),
        lambda t: crashes(t, 5).at(15.0).restart(incarnation=6),
    ),
    Case(
        Restarts,
        "was given up after 5 crashes",
        lambda t: crashes(t, 5).give_up(),
        lambda t: crashes(t, 6).give_up(),
    ),
    Case(
        Restarts,
        "before its pause was over",
        lambda t: crashes(t, 6).give_up(retry_at=300.0).at(200.0).restart(incarnation=7),
        lambda t: crashes(t, 6)
        .give_up(retry_at=300.0)
        .at(200.0)
        .restart(incarnation=7, why="revived"),
    ),
    # L10
    Case(
        Returns,
        "provider/p crashed, and is not up again",
        lambda t: t.crash().at(60.0).accept().at(120.0).accept("q"),
        lambda t: t.crash().at(30.0).restart().at(60.0).accept().at(120.0).accept("q"),
    ),
    Case(
        Returns,
        "provider/p crashed, and is not up again",
        lambda t: t.crash().give_up(retry_at=300.0).at(400.0).accept().at(500.0).accept("q"),
        lambda t: t.crash().give_up(retry_at=300.0).at(100.0).accept().at(200.0).accept("q"),
    ),
    # S25
    Case(
        Shutdown,
        "stopped before dispatcher",
        lambda t: t.start().start("dispatcher").stop().stop("dispatcher"),
        lambda t: t.start().start("dispatcher").stop("dispatcher").stop(),
    ),
    Case(
        Shutdown,
        "dispatcher stopped after provider/p, which had started before it",
        lambda t: t.stop(place=1).stop("dispatcher", 2),
        lambda t: t.stop("dispatcher", 2).stop(place=1),
    ),
    Case(
        Shutdown,
        "r was not answered",
        lambda t: t.accept().stop(),
        lambda t: t.accept().stop().outcome("ShuttingDown"),
    ),
    Case(
        Shutdown,
        "after its actor had stopped",
        lambda t: t.stop().lend(),
        lambda t: t.stop("provider/q").lend(),
    ),
    # S26
    Case(
        Time,
        "time went back from 5.000000 s to 4.000000 s",
        lambda t: t.at(5.0).tick().at(4.0).tick(),
        lambda t: t.at(5.0).tick().at(4.0).half_open(),  # told late, dated when it was due
    ),
    Case(
        SlotCounts,
        "says 2 in flight, after 1 it must be 0",
        lambda t: t.slot(1).free(2),
        lambda t: t.slot(1).slot(2).free(1).free(0),
    ),
    # S28
    Case(
        Scores,
        "looks more reliable after failed",
        lambda t: t.score("failed", success=0.95, success_before=0.9, latency_before_s=1.0),
        lambda t: t.score("failed", success=0.85, success_before=0.9, latency_before_s=1.0),
    ),
    Case(
        Scores,
        "looks faster after failed",
        lambda t: t.score("failed", latency_s=0.5, success_before=0.9, latency_before_s=1.0),
        lambda t: t.score("ok", latency_s=0.5, success_before=0.9, latency_before_s=1.0),
    ),
    # S31
    Case(
        Counting,
        "did not hear that attempt 1 failed",
        lambda t: t.back("failed"),
        lambda t: t.count("failed").back("failed").back("throttled", 2),
    ),
    Case(
        Counting,
        "heard the verdict on attempt 1 twice",
        lambda t: t.count().count(),
        lambda t: t.count(scope="p/m").count(scope="domain host of p"),
    ),
    Case(
        Counting,
        "counted failed, the verdict was neutral",
        lambda t: t.count("failed").back("neutral"),
        lambda t: t.stale().back("neutral"),
    ),
    # S32
    Case(
        RetryTimes,
        "is not told that a gate ends at 5.000 s",
        lambda t: t.open(5.0).decide(out={"p/m": "open"}).outcome("NoCandidate"),
        lambda t: t.open(5.0).decide(out={"p/m": "open"}).outcome("NoCandidate", retry_at=5.0),
    ),
    Case(
        RetryTimes,
        "before any gate ends",
        lambda t: t.open(5.0)
        .hold(9.0)
        .decide(out={"p/m": "open"})
        .outcome("NoCandidate", retry_at=5.0),
        lambda t: t.open(5.0)
        .hold(9.0)
        .decide(out={"p/m": "open"})
        .outcome("NoCandidate", retry_at=9.0),
    ),
    Case(
        RetryTimes,
        "a time that has passed",
        lambda t: t.at(9.0).decide().outcome("NoCandidate", retry_at=5.0),
        lambda t: t.at(9.0).decide().outcome("NoCandidate"),
    ),
    Case(
        RetryTimes,
        "is not told that a gate ends at 5.000 s",  # who is down comes back before the hold ends
        lambda t: t.crash().hold(9.0, scope="q/m").decide("p/m", out={"q/m": "rate limited"})
        .refuse("its actor is suspended", 5.0).queue().at(2.0)
        .outcome("NoCandidate", retry_at=9.0),
        lambda t: t.crash().hold(9.0, scope="q/m").decide("p/m", out={"q/m": "rate limited"})
        .refuse("its actor is suspended", 5.0).queue().at(2.0)
        .outcome("NoCandidate", retry_at=5.0),
    ),
    Case(
        RetryTimes,
        "is not told that a gate ends at 5.000 s",
        lambda t: t.open(5.0).decide(out={"p/m": "no slot"}).queue().at(4.9)
        .outcome("NoCandidate"),
        lambda t: t.open(5.0).decide(out={"p/m": "no slot"}).queue().at(5.1)
        .outcome("NoCandidate"),  # its cooldown is over, though nobody came to notice
    ),
    Case(
        RetryTimes,
        "is not told that a gate ends at 5.000 s",
        lambda t: t.hold(5.0).decide("p/m").refuse("rate limited", 5.0)
        .outcome("NoCandidate", retry_at=9.0),
        lambda t: t.hold(5.0).decide("p/m").refuse("rate limited", 5.0).queue().hold(9.0).at(2.0)
        .outcome("NoCandidate", retry_at=9.0),  # it was made longer meanwhile
    ),
    Case(
        RetryTimes,
        "is not told that a gate ends at 7.000 s",
        lambda t: t.open(5.0).hold(7.0, scope="q/m").decide(out={"p/m": "open", "q/m": "busy"})
        .crash().at(1.0).outcome("NoCandidate", retry_at=8.0),
        lambda t: t.open(5.0).hold(7.0, scope="q/m").decide(out={"p/m": "open", "q/m": "busy"})
        .crash().at(1.0).outcome("NoCandidate", retry_at=7.0),  # p comes back later than 5 s
    ),
    Case(
        RetryTimes,
        "is not told that a gate ends at 5.000 s",
        lambda t: t.hold(5.0).decide(out={"p/m": "rate limited"}).outcome("NoCandidate"),
        lambda t: t.hold(0.1, "credit exhausted", "p").hold(5.0)  # a lone probe may be out
        .at(0.1).clear("credit exhausted", scope="p").decide(out={"p/m": "rate limited"})
        .outcome("NoCandidate", retry_at=9.0),
    ),
    # L1: a lease is 20 s of timeout and 10 s of grace
    Case(
        Leases,
        "waits for probe 1 beyond its lease",
        lambda t: t.half_open().lend(probe=True).at(30.3).tick().at(31.0).tick(),
        lambda t: t.half_open()
        .lend(probe=True)
        .at(30.0)
        .move("half-open", "open", 3, "lease over", until=40.0)
        .at(31.0)
        .tick()
        .at(32.0)
        .tick(),
    ),
    # L2
    Case(
        NoPretext,
        "was kept from p/m (open) without a reason",
        lambda t: t.open(5.0).at(6.0).decide(out={"p/m": "open"}),
        lambda t: t.open(5.0).at(4.0).decide(out={"p/m": "open"}),
    ),
    Case(
        NoPretext,
        "refused r (probing) without a reason",
        lambda t: t.half_open().lend(probe=True).back(probe=True).refuse("probing", 9.0),
        lambda t: t.half_open().lend(probe=True).refuse("probing", 9.0),
    ),
    # L3: a failure that came with a permit from before the quiet does not start it anew
    Case(
        Heals,
        "p/m is still half-open, long after the last fault",
        lambda t: preferring(t.open(5.0).quiet().at(5.0).half_open(), 5)
        .at(200.0)
        .tick()
        .at(201.0)
        .tick(),
        lambda t: preferring(t.open(5.0).quiet().at(5.0).half_open(), 5)
        .close()
        .at(200.0)
        .tick()
        .at(201.0)
        .tick(),
    ),
    Case(  # who cannot be paid for does not knock
        Heals,
        "p/m is still half-open, long after the last fault",
        lambda t: preferring(t.open(5.0).quiet().at(5.0).half_open(), 5, refused="open")
        .at(200.0)
        .tick()
        .at(201.0)
        .tick(),
        lambda t: preferring(t.open(5.0).quiet().at(5.0).half_open(), 5, refused=OVER_BUDGET)
        .at(200.0)
        .tick()
        .at(201.0)
        .tick(),
    ),
    Case(
        Heals,
        "p/m is still half-open, long after the last fault",
        lambda t: probing(t, "neutral", "invalid"),  # no excuse for staying shut
        lambda t: probing(t, "neutral", "silent"),  # callers with too little time
    ),
    Case(
        Heals,
        "p/m is still half-open, long after the last fault",
        lambda t: probing(t, "ok"),
        lambda t: probing(t, "neutral", "cancelled"),
    ),
    Case(
        Heals,
        "p/m is still half-open, long after the last fault",
        lambda t: probing(t.open(5.0).half_open().lend(9, generation=2, probe=True), "ok")
        .back("throttled", 9, generation=2, probe=True).tick(),  # lent before the last fault ended
        lambda t: probing(t, "throttled", "rate_limit"),
    ),
    Case(
        Heals,
        "p/m is still half-open, long after the last fault",
        lambda t: preferring(down(t).at(301.0), 5).at(500.0).tick().at(501.0).tick(),
        lambda t: down(t).decide("p/m").at(301.0).tick().at(302.0).tick(),  # just back
    ),
    # L4
    Case(
        StatedEnds,
        "the hold of p/m has not ended",
        lambda t: t.hold(5.0).at(5.3).tick().at(5.9).tick(),
        lambda t: t.hold(5.0).at(60.0).tick().clear().at(61.0).tick(),  # the world stood still
    ),
    Case(
        StatedEnds,
        "the cooldown of p/m has not ended",
        lambda t: t.open(5.0).at(5.3).tick().at(5.9).tick(),
        lambda t: t.open(5.0).at(5.3).half_open().at(5.9).tick().at(6.9).tick(),
    ),
    Case(
        StatedEnds,
        "ended 2.000 s before its time",
        lambda t: t.hold(5.0).at(3.0).clear(),
        lambda t: t.hold(5.0).at(3.0).clear(how="by hand"),
    ),
    # L5
    Case(
        FailuresOnly,
        "classic/m is closed after 2 failures in a row",
        lambda t: t.count(scope="classic/m").at(1e6).count(scope="classic/m").at(2e6).lend(
            scope="classic/m"
        ),
        lambda t: t.count(scope="classic/m").count("ok", scope="classic/m").count(scope="classic/m")
        .lend(scope="classic/m"),
    ),
    # L7
    Case(
        Goodput,
        "50% succeed long after the last fault, before the first 100%",
        lambda t: outcomes(
            outcomes(outcomes(t, "ok", 40).at(1.0).fault().at(2.0).quiet().at(310.0), "ok", 15),
            "NoCandidate",
            15,
        ),
        lambda t: outcomes(
            outcomes(t, "ok", 40).at(1.0).fault().at(2.0).quiet().at(310.0), "ok", 30
        ),
    ),
    Case(
        Goodput,
        "11% succeed long after the last fault, before the first 96%",
        lambda t: settled(t, (45, 2), (7, 58)),
        lambda t: settled(t, (6, 40), (7, 58)),  # 13 % of 46 before: chance explains that
    ),
    Case(
        Goodput,
        "0% succeed long after the last fault, before the first 100%",
        lambda t: settled(t.hold(400.0), (40, 0), (0, 30)),  # a back-off of our own, that long?
        lambda t: settled(t.hold(400.0, stated=True), (40, 0), (0, 30)),
    ),
    Case(
        Goodput,
        "0% succeed long after the last fault, before the first 100%",
        lambda t: settled(t.hold(400.0, "credit exhausted", "p").at(0.5)
        .clear("credit exhausted", "by hand", "p"), (40, 0), (0, 30)),
        lambda t: settled(t.hold(400.0, "credit exhausted", "p"), (40, 0), (0, 30)),
    ),
    Case(
        Goodput,
        "0% succeed long after the last fault, before the first 100%",
        lambda t: outcomes(outcomes(t, "ok", 40).at(1.0).fault().at(2.0).quiet().accept()
        .hold(400.0, stated=True, request="r").at(310.0), "NoCandidate", 30),
        lambda t: outcomes(outcomes(t, "ok", 40).at(1.0).fault().accept().at(2.0).quiet()
        .hold(400.0, stated=True, request="r").at(310.0), "NoCandidate", 30),
    ),
    # F1
    Case(
        Failover,
        "nobody asked b/m",
        lambda t: t.accept().decide("a/m", "b/m").admit(1, "a/m").ended("failed", error="server")
        .outcome("AllAttemptsFailed"),
        lambda t: t.accept().decide("a/m", "b/m").admit(1, "a/m").ended("failed", error="server")
        .open(9.0, scope="b/m").outcome("AllAttemptsFailed"),
    ),
    Case(
        Failover,
        "waits to ask a/m again, and b/m is free",
        lambda t: t.accept().decide("a/m", "b/m").admit(1, "a/m").ended("failed", error="server")
        .pause(1.0, "a/m"),
        lambda t: t.accept().decide("a/m", "b/m", strategy="priority").admit(1, "a/m")
        .ended("failed", error="server").pause(1.0, "a/m"),
    ),
    Case(
        Failover,
        "nobody asked b/m",
        lambda t: t.accept(fallback=True).decide("a/m", "b/m").admit(1, "a/m")
        .ended("failed", error="server").outcome("AllAttemptsFailed"),
        lambda t: t.accept(fallback=False).decide("a/m", "b/m").admit(1, "a/m")
        .ended("failed", error="server").outcome("AllAttemptsFailed"),
    ),
    # F2
    Case(
        WakeUps,
        "p/m has had a free one for long",
        lambda t: t.slot(8).decide(out={"p/m": "no slot"}).queue().free(7)
        .at(1.5).tick().at(2.5).tick().at(3.5).tick().at(4.5).tick(),
        lambda t: t.slot(8).decide(out={"p/m": "no slot"}).queue()
        .at(1.5).tick().at(2.5).tick().at(3.5).tick().at(4.5).tick(),
    ),
    Case(  # a process goes on with the limit of the one before it
        WakeUps,
        "p/m has had a free one for long",
        lambda t: still_in_line(took_over(t, 8.0).slot(7)),
        lambda t: still_in_line(took_over(t, 7.0).slot(7)),
    ),
    # F3
    Case(
        NothingLeft,
        "r still waits at the end",
        lambda t: t.queue(),
        lambda t: t.queue().decide("p/m"),
    ),
    Case(
        NothingLeft,
        "slots of p/m are still taken",
        lambda t: t.slot(1).slot(2, 2).free(1),
        lambda t: t.slot(1).slot(2, 2).free(1).free(0, 2),
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_trace_that_breaks_the_law_is_reported(case: Case) -> None:
    tape = Tape()
    case.bad(tape)
    found = breaks(case.monitor, tape, case.rules or RULES)
    assert len(found) == 1, found
    assert case.said in found[0].sentence
    assert found[0].monitor == case.monitor.name
    assert found[0].signature.startswith(f"{case.monitor.name}/")
    assert all(each in tape.events for each in found[0].witness)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_trace_that_keeps_the_law_is_not(case: Case) -> None:
    tape = Tape()
    case.good(tape)
    assert breaks(case.monitor, tape, case.rules or RULES) == []


def test_where_there_are_bulkheads_nothing_is_said_of_fair_shares() -> None:
    for case in FAIRNESS:
        tape = Tape()
        case.bad(tape)
        assert breaks(case.monitor, tape, UNSAID) == []


def test_every_monitor_has_a_case() -> None:
    assert {case.monitor for case in CASES} == set(ALL)
