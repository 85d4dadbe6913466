"""The money of attempts: what each may cost at worst, set aside before it and settled after it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from understudy.config.money import SpendingMode
from understudy.routing.bounds import UNBOUNDED, UNPRICED, Bound, expected, worst
from understudy.routing.endings import OVER_BUDGET
from understudy.routing.owed import Owed
from understudy.routing.payers import payers
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.price import payable_output_tokens
from understudy_actors.domain.request import ChatInput, Request, pictures
from understudy_actors.keeper.actor import Desk
from understudy_actors.ledger.account import EACH, Limit, Scope
from understudy_actors.ledger.actor import (
    Foresee,
    ReplaceBudgets,
    Reserve,
    SetBudgets,
    SettleMoney,
    Stand,
    Thaw,
)
from understudy_actors.ledger.expected import SeenOutput
from understudy_actors.ledger.money import Reserved, Standing, TooDear
from understudy_actors.ledger.projection import Forecast
from understudy_actors.provider.gate import Refusal
from understudy_actors.runtime.actor import Ref
from understudy_actors.runtime.errors import ActorError
from understudy_actors.runtime.mailbox import Lane
from understudy_actors.runtime.ports import Clock

NO_LEDGER: Final = "the ledger is "
NO_STORE: Final = "the store cannot keep what is spent: "
UNPAID: Final = (OVER_BUDGET, UNPRICED, UNBOUNDED, NO_LEDGER, NO_STORE)
"""How the reason of a candidate begins whom only money keeps from being asked."""


class Lent(Struct, frozen=True, gc=False):
    """What an attempt has borrowed: the reservation's number, and for which request.

    `max_tokens` is what its answer was shortened to; None if it was not.
    """

    number: int
    request: str
    max_tokens: int | None = None


class Purse:
    """Borrows from the ledger for attempts, and pays back.

    What is lent is kept here, so that a crash of the ledger's actor forgets none of it.
    """

    def __init__(
        self,
        ledger: Ref,
        clock: Clock,
        budgets: Collection[Scope],
        *,
        mode: SpendingMode = "strict",
        least_tokens: int = 1,
        desk: Desk | None = None,
        before: Purse | None = None,
    ) -> None:
        """Make one.

        Args:
            ledger: The ledger's actor.
            clock: The engine's.
            budgets: Whose budgets there are; nobody else is named to it.
            mode: Whether the worst case is set aside, or only what is expected, or the worst case
                of an answer that was shortened to what there is.
            least_tokens: No answer is shortened to fewer.
            desk: Of a store without which nothing may be lent; None if there is none.
            before: The one of the configuration before: what it learned is gone on with.
        """
        self._ledger = ledger
        self._clock = clock
        self._kinds = tuple(sorted({each.kind for each in budgets}))
        self._named = frozenset(budgets)
        self._each = frozenset(each.kind for each in budgets if each.name == EACH)
        self._strict = mode != "expected"
        self._least_tokens = least_tokens if mode == "fit_max_tokens" else None
        self._seen: dict[str, SeenOutput] | None = {} if mode == "expected" else None
        if self._seen is not None and before is not None and before._seen is not None:
            self._seen = before._seen
        self._desk = desk
        self._lent: dict[int, Lent] = {}
        self._owed = Owed[SettleMoney | SetBudgets | ReplaceBudgets](ledger)
        self._uncovered: set[int] = set()

    @property
    def outstanding(self) -> int:
        """How many attempts have money set aside for them."""
        return len(self._lent)

    def reserve(
        self, flight: Flight, candidate: Candidate, attempt: int, *, copy: bool = False
    ) -> Refusal | None:
        """Set money aside for an attempt; None if there was enough, or nothing is to be kept.

        It is to be sent at once: one that is not after all must be settled with 0.

        `copy` says that it is the second copy of a request.
        """
        payer = payers(self._kinds, flight.request, candidate.spec.provider, copy=copy)
        scopes = tuple(s for s in payer if s in self._named or s.kind in self._each)
        if not scopes:
            return None
        bound = self._bound(flight, candidate)
        if isinstance(bound, str):
            return Refusal(None, bound)
        if self._desk is not None and self._desk.failing is not None:
            return Refusal(None, f"{NO_STORE}{self._desk.failing}")
        amount, least = bound.amount, bound.least
        message = Reserve(scopes, amount, self._strict, flight.id, attempt, least)
        self._owed.tell()
        try:
            answer: Reserved | TooDear = self._ledger.ask_now(message)
        except ActorError as error:  # no ledger, no spending
            return Refusal(error.retry_at, f"{NO_LEDGER}{error.why}")
        if isinstance(answer, TooDear):
            return self._refusal(answer, amount if least is None else least)
        limit = None if answer.amount >= amount else _payable(flight, candidate, answer.amount)
        self._lent[attempt] = Lent(answer.number, flight.id, limit)
        if self._desk is not None and not answer.covered:
            self._uncovered.add(attempt)
        return None

    def uncovered(self, attempt: int) -> bool:
        """Must the store learn of this attempt before it is sent?"""
        return attempt in self._uncovered

    def fitted(self, attempt: int, request: Request) -> Request:
        """The request with its answer as long as the attempt's money pays for."""
        lent, body = self._lent.get(attempt), request.input
        if lent is None or lent.max_tokens is None or not isinstance(body, ChatInput):
            return request
        limit = min(body.max_tokens or lent.max_tokens, lent.max_tokens)
        return replace(request, input=replace(body, max_tokens=limit))

    def saw(self, candidate: Candidate, output_tokens: int) -> None:
        """An answer of this endpoint had so many tokens."""
        if self._seen is not None:
            self._seen.setdefault(candidate.name, SeenOutput()).add(output_tokens)

    def settle(self, attempt: int, actual: int | None) -> int | None:
        """The attempt ended, and cost `actual` micro-USD (0 if never sent); None: nobody knows.

        Returns:
            The tokens that its answer was shortened to; None if it was not.
        """
        lent = self._lent.pop(attempt, None)
        if lent is None:
            return None
        if self._uncovered:
            self._uncovered.discard(attempt)
        self._owed.tell(SettleMoney(lent.number, actual, lent.request, attempt))
        return lent.max_tokens

    def standing(self) -> Sequence[Standing]:
        """Every budget as it stands now.

        Raises:
            ActorError: The ledger is down.
        """
        self._owed.tell()
        found: Sequence[Standing] = self._ledger.ask_now(Stand())
        return found

    def forecasts(self) -> Sequence[tuple[Standing, Forecast]]:
        """Every budget as it stands now, and what is to be expected of it.

        Raises:
            ActorError: The ledger is down.
        """
        self._owed.tell()
        found: Sequence[tuple[Standing, Forecast]] = self._ledger.ask_now(Foresee())
        return found

    def set(self, scope: Scope, limits: tuple[Limit, ...]) -> None:
        """From now on these are the budgets of one scope; none takes them out.

        Attempts that run pay as they were told to when they began.
        """
        self._named |= {scope}
        self._kinds = tuple(sorted({*self._kinds, scope.kind}))
        self._owed.tell(SetBudgets(scope, limits))

    def replace(self, limits: tuple[Limit, ...]) -> None:
        """From now on these are all budgets there are."""
        self._owed.tell(ReplaceBudgets(limits))

    def thaw(self, scope: Scope) -> None:
        """Lend again under the budgets of a scope that a breach froze."""
        self._ledger.tell(Thaw(scope), Lane.CONTROL)

    def _bound(self, flight: Flight, candidate: Candidate) -> Bound | str:
        if self._seen is None:
            return worst(flight, candidate, self._least_tokens)
        seen = self._seen.get(candidate.name)
        return expected(flight, candidate, None if seen is None else seen.usual_most())

    def _refusal(self, answer: TooDear, amount: int) -> Refusal:
        left = f"${answer.room / 1e6:,.6f} left, up to ${amount / 1e6:,.6f} needed"
        if answer.frozen:
            left = "stopped, since an attempt cost more than its worst case"
        retry_at = None
        if answer.resets_at is not None:
            retry_at = self._clock.now() + (answer.resets_at - self._clock.wall())
        return Refusal(retry_at, f"{OVER_BUDGET}{answer.limit} ({left})")


def _payable(flight: Flight, candidate: Candidate, amount: int) -> int | None:
    price = candidate.spec.price
    assert price is not None
    return payable_output_tokens(price, amount, flight.input_tokens, pictures(flight.request))
