"""All laws over one trace: after a run, or while an engine serves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

from understudy_actors.domain.events import Event
from understudy_sim.check.accounts import Sums, Taken
from understudy_sim.check.actors import Asks, Restarts, Returns, Shutdown, Time
from understudy_sim.check.admission import Accounts, NoPassing, NoPretext, RetryTimes
from understudy_sim.check.answers import Answers
from understudy_sim.check.breakers import Causes, Cooldowns, Exponents, Generations, Paths
from understudy_sim.check.budget import FailoverGuard, RetryTokens, Scores
from understudy_sim.check.bulkheads import Bulkheads
from understudy_sim.check.closing import Closing
from understudy_sim.check.collapsing import Shared
from understudy_sim.check.completeness import Failover, NothingLeft, WakeUps
from understudy_sim.check.counting import Counting, FailuresOnly
from understudy_sim.check.decisions import DomainBlame, Motives, TimeLeft
from understudy_sim.check.delays import Pauses, StatedDelays
from understudy_sim.check.fairness import FairShares
from understudy_sim.check.hedging import HedgeBudgets, Hedges
from understudy_sim.check.ladders import Ladders
from understudy_sim.check.limits import SlotLimits
from understudy_sim.check.liveness import Leases, StatedEnds
from understudy_sim.check.lives import Books, Gates, Told, Written
from understudy_sim.check.meanings import Meanings
from understudy_sim.check.minutes import Minutes
from understudy_sim.check.money import Budgets, Reservations
from understudy_sim.check.permits import Probes, Returned, SlotCounts
from understudy_sim.check.queueing import InLine, Places
from understudy_sim.check.recovery import Goodput, Heals
from understudy_sim.check.requests import AfterTheAnswer, Attempts, InTime, OneOutcome, OwnDoing
from understudy_sim.check.room import MoneyRoom, Room
from understudy_sim.check.rotation import Rotation
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.shares import FailureShares
from understudy_sim.check.silences import Silences
from understudy_sim.check.streams import Exact, OneVoice
from understudy_sim.check.turns import Turns
from understudy_sim.check.violation import Monitor, Violation, Watch
from understudy_sim.check.waiting import Bands, TurnedAway
from understudy_sim.check.windows import Bookings
from understudy_sim.world_events import EngineKilled

Factory: TypeAlias = Callable[[Rules], Monitor]

ALL: Final[tuple[type[Watch], ...]] = (
    NoPassing,
    Probes,
    Generations,
    OneOutcome,
    Returned,
    Causes,
    Paths,
    Cooldowns,
    Exponents,
    Attempts,
    InTime,
    RetryTokens,
    FailoverGuard,
    HedgeBudgets,
    Hedges,
    AfterTheAnswer,
    Accounts,
    OwnDoing,
    Asks,
    Restarts,
    Returns,
    Shutdown,
    Time,
    Turns,
    SlotCounts,
    Scores,
    Counting,
    RetryTimes,
    Leases,
    NoPretext,
    Heals,
    StatedEnds,
    FailuresOnly,
    Goodput,
    Failover,
    WakeUps,
    NothingLeft,
    StatedDelays,
    Pauses,
    Ladders,
    InLine,
    Places,
    Motives,
    TimeLeft,
    DomainBlame,
    Budgets,
    Bookings,
    Reservations,
    Minutes,
    Room,
    MoneyRoom,
    Rotation,
    Silences,
    OneVoice,
    Exact,
    Bands,
    TurnedAway,
    Closing,
    FailureShares,
    SlotLimits,
    Meanings,
    Shared,
    Answers,
    Bulkheads,
    FairShares,
    Sums,
    Taken,
    Books,
    Gates,
    Written,
    Told,
)
"""Every monitor, in the order in which their violations of one event are reported."""

KEPT_MAX: Final = 1000
"""So many violations are kept; all are counted."""

Handler: TypeAlias = Callable[[int, Any], Violation | None]
_NOW: Final = -math.inf


class Checker:
    """Hands each event to the monitors that care; an engine's listener, if one likes.

    Attributes:
        violations: The first `KEPT_MAX`, in order.
        counts: How often each signature came up.
    """

    def __init__(
        self,
        rules: Rules = DEFAULT,
        monitors: Iterable[Factory] | None = None,
        on_violation: Callable[[Violation], None] | None = None,
    ) -> None:
        """Make every monitor anew.

        Args:
            rules: What the engine was configured with; see `Rules.of`.
            monitors: What makes them; None takes all.
            on_violation: Called with each violation as it is found.
        """
        self._rules = rules
        self._makers: Sequence[Factory] = ALL if monitors is None else [*monitors]
        self._monitors = [make(rules) for make in self._makers]
        self._arrange()
        self._now = _NOW
        self._on_violation = on_violation
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()

    def __call__(self, seq: int, event: Event) -> None:
        """Take the next event. A process that is killed keeps no promise any more."""
        now = event.at_s
        if now > self._now:
            self._now = now
            for each in self._timed:
                if now > each.due and (found := each.late(seq, event)) is not None:
                    self._found(found)
        handlers = self._handlers.get(type(event))
        if handlers is None:
            handlers = self._handlers_of(type(event))
        for handler in handlers:
            if (found := handler(seq, event)) is not None:
                self._found(found)
        if type(event) is EngineKilled:
            self._begin_anew()

    def _arrange(self) -> None:
        self._others: list[Monitor] = [m for m in self._monitors if not isinstance(m, Watch)]
        watches = [m for m in self._monitors if isinstance(m, Watch)]
        self._watches = watches
        self._timed = [each for each in watches if type(each).late is not Watch.late]
        self._handlers: dict[type[Event], Sequence[Handler]] = {}

    def _begin_anew(self) -> None:
        """The next process has nothing to do with this one, but for the lasting laws."""
        pairs = [
            (make, each)
            for make, each in zip(self._makers, self._monitors, strict=True)
            if not getattr(each, "learned", False)
        ]
        self._makers = [make for make, _ in pairs]
        self._monitors = [
            each if getattr(each, "lasting", False) else make(self._rules) for make, each in pairs
        ]
        self._arrange()

    def end(self) -> list[Violation]:
        """The trace is over; returns all violations."""
        for each in self._monitors:
            if (found := each.end()) is not None:
                self._found(found)
        return self.violations

    def _handlers_of(self, kind: type[Event]) -> Sequence[Handler]:
        heard = (each.hears.get(kind) or each.hears.get(Event) for each in self._watches)
        own: list[Handler] = [handler for handler in heard if handler is not None]
        own += [each.on for each in self._others]
        self._handlers[kind] = own
        return own

    def _found(self, violation: Violation) -> None:
        self.counts[violation.signature] += 1
        if len(self.violations) < KEPT_MAX:
            self.violations.append(violation)
        if self._on_violation is not None:
            self._on_violation(violation)


def check(
    events: Iterable[tuple[int, Event]],
    monitors: Iterable[Factory] | None = None,
    *,
    rules: Rules = DEFAULT,
) -> list[Violation]:
    """Every violation of a whole trace, in order."""
    checker = Checker(rules, monitors)
    for seq, event in events:
        checker(seq, event)
    return checker.end()
