"""Budgets as people see them, and the ledger that keeps them as an engine needs it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from understudy.config import Config
from understudy.routing.purse import Purse
from understudy.store.keeping import Keeping
from understudy.zones import IanaZone
from understudy_actors.ledger.account import Limit, Scope
from understudy_actors.ledger.actor import LedgerActor
from understudy_actors.ledger.books import Keeping as Noted
from understudy_actors.ledger.money import Ledger, Standing
from understudy_actors.runtime.actor import ChildSpec, Ref, Start
from understudy_actors.runtime.ports import Clock
from understudy_actors.runtime.supervisor import Supervisor


class BudgetStanding(Struct, frozen=True, kw_only=True):
    """One budget in its current window.

    Attributes:
        budget: Whose and how much, in words.
        scope, name: `engine`, `hedges`, `provider`, `key`, `user`, `team`, `tenant`, `tag`, `route`
            or `operation`, and which one.
        per: The window: `hour`, `day`, `week`, `month` or `total`.
        limit_usd, spent_usd, reserved_usd, left_usd: Money; reserved is what running attempts may
            still cost.
        spent_percent: Of the limit.
        charges: How many attempts cost anything.
        since, until: The window in Unix seconds; None for `total`.
        frozen: It lends nothing, since an attempt cost more than its worst case; see
            `Engine.thaw`.
    """

    budget: str
    scope: str
    name: str
    per: str
    limit_usd: float
    spent_usd: float
    reserved_usd: float
    left_usd: float
    spent_percent: float
    charges: int
    since: float | None
    until: float | None
    frozen: bool


class Bank:
    """The ledger's actor, once there are budgets, and the purse that borrows from it now.

    Attributes:
        purse: Of the newest configuration; None while there are no budgets.
    """

    def __init__(self, supervisor: Supervisor, clock: Clock, keeping: Keeping | None) -> None:
        """`keeping` is where its books are kept, if they are."""
        self._supervisor = supervisor
        self._clock = clock
        self._keeping = keeping
        self._ledger: Ref | None = None
        self._held: dict[Scope, Limit] = {}
        self.purse: Purse | None = None

    def open(self, config: Config, limits: Sequence[Limit]) -> None:
        """From now on these are all budgets; what is spent and reserved stays so.

        Raises:
            StoreFailed: What was spent before cannot be read.
        """
        limits = [*limits, *self._held.values()]
        before, new = self.purse, self._needs_ledger(config, limits)
        self.purse = self._purse(config, limits, before) if limits else None
        lender = self.purse or before
        if lender is not None and not new:
            lender.replace(tuple(limits))

    def set(self, config: Config, scope: Scope, limits: tuple[Limit, ...]) -> None:
        """From now on these are the budgets of one scope; none takes them out.

        Raises:
            StoreFailed: What was spent before cannot be read.
        """
        new = self._needs_ledger(config, limits)
        if self.purse is None and limits:
            self.purse = self._purse(config, limits, None)
        if self.purse is not None and not new:
            self.purse.set(scope, limits)

    def hold(self, config: Config, limit: Limit) -> None:
        """Set the one budget of a scope, and hold to it whatever configuration comes.

        Raises:
            StoreFailed: What was spent before cannot be read.
        """
        self._held[limit.scope] = limit
        self.set(config, limit.scope, (limit,))

    def _purse(self, config: Config, limits: Sequence[Limit], before: Purse | None) -> Purse:
        keeping, ledger = self._keeping, self._ledger
        assert ledger is not None
        strict = keeping is not None and keeping.config.durability == "strict"
        return Purse(
            ledger,
            self._clock,
            [each.scope for each in limits],
            mode=config.budget_mode,
            least_tokens=config.budget_min_tokens,
            desk=keeping.desk if keeping is not None and strict else None,
            before=before,
        )

    def _needs_ledger(self, config: Config, limits: Sequence[Limit]) -> bool:
        """Start the ledger with these limits, if it must be and does not run yet."""
        if self._ledger is not None or not limits:
            return False
        books, keeping = Ledger(limits, IanaZone(config.time_zone)), self._keeping
        if keeping is not None:
            noted = Noted(keeping.desk.stirred, keeping.desk.hurried)
            keeping.taken = books.keep(noted, keeping.books(), self._clock.wall())
        self._ledger = self._supervisor.spawn(_ledger(books))
        if keeping is not None:
            keeping.money.ledger = self._ledger
        return True


def _ledger(books: Ledger) -> ChildSpec:
    def start(begin: Start) -> LedgerActor:
        return LedgerActor(begin.context, books, begin.poison)

    return ChildSpec("ledger", start, max_restarts=5, period_s=30.0)


def budget_standing(standing: Standing) -> BudgetStanding:
    """The same for people."""
    limit = standing.limit
    left = max(0, limit.micro_usd - standing.spent - standing.reserved)
    since, until = standing.window.start, standing.window.end
    return BudgetStanding(
        budget=str(limit),
        scope=limit.scope.kind,
        name=limit.scope.name,
        per=limit.period.value,
        limit_usd=limit.micro_usd / 1e6,
        spent_usd=standing.spent / 1e6,
        reserved_usd=standing.reserved / 1e6,
        left_usd=0.0 if standing.frozen else left / 1e6,
        spent_percent=round(standing.percent, 2),
        charges=standing.charges,
        since=since if math.isfinite(since) else None,
        until=until if math.isfinite(until) else None,
        frozen=standing.frozen,
    )
