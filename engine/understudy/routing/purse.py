"""The money of attempts: what each may cost at worst, set aside before it and settled after it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from understudy.config.money import ENGINE, HEDGES
from understudy.prices import cost_micro_usd
from understudy.routing.endings import OVER_BUDGET
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.candidate import Candidate, EndpointSpec
from understudy_actors.domain.request import ChatInput, Request
from understudy_actors.domain.result import Usage
from understudy_actors.keeper.actor import Desk
from understudy_actors.ledger.account import Scope
from understudy_actors.ledger.actor import Dispatched, Reserve, SettleMoney, Stand, Thaw
from understudy_actors.ledger.money import Reserved, Standing, TooDear
from understudy_actors.provider.gate import Refusal
from understudy_actors.runtime.actor import Ref
from understudy_actors.runtime.errors import ActorError, ActorSuspended, AskCycle, Crashed
from understudy_actors.runtime.mailbox import Lane
from understudy_actors.runtime.ports import Clock

UNPRICED: Final = "price unknown: "
UNBOUNDED: Final = "no bound on its answer: "
NO_LEDGER: Final = "the ledger is "
NO_STORE: Final = "the store cannot keep what is spent: "
UNPAID: Final = (OVER_BUDGET, UNPRICED, UNBOUNDED, NO_LEDGER, NO_STORE)
"""How the reason of a candidate begins whom only money keeps from being asked."""


class Purse:
    """Borrows from the ledger for attempts, and pays back.

    What is lent is kept here, so that a crash of the ledger's actor forgets none of it.
    """

    def __init__(
        self,
        ledger: Ref,
        clock: Clock,
        kinds: Iterable[str],
        *,
        strict: bool = True,
        desk: Desk | None = None,
    ) -> None:
        """Make one.

        Args:
            ledger: The ledger's actor.
            clock: The engine's.
            kinds: The kinds of scope that any budget is about; nobody else is named to it.
            strict: Whether the worst case is set aside, or only what is expected.
            desk: Of a store without which nothing may be lent; None if there is none.
        """
        self._ledger = ledger
        self._clock = clock
        self._kinds = tuple(sorted(set(kinds)))
        self._strict = strict
        self._desk = desk
        self._lent: dict[int, tuple[int, str]] = {}
        self._owed: deque[Dispatched | SettleMoney] = deque()  # the ledger has yet to hear of it
        self._uncovered: set[int] = set()

    @property
    def outstanding(self) -> int:
        """How many attempts have money set aside for them."""
        return len(self._lent)

    def reserve(
        self, flight: Flight, candidate: Candidate, attempt: int, *, copy: bool = False
    ) -> Refusal | None:
        """Set money aside for an attempt; None if there was enough, or nothing is to be kept.

        `copy` says that it is the second copy of a request.
        """
        scopes = payers(self._kinds, flight.request, candidate.spec.provider, copy=copy)
        if not scopes:
            return None
        amount = self._amount(flight, candidate)
        if isinstance(amount, str):
            return Refusal(None, amount)
        if self._desk is not None and self._desk.failing is not None:
            return Refusal(None, f"{NO_STORE}{self._desk.failing}")
        message = Reserve(scopes, amount, self._strict, flight.id, attempt)
        self._pay_back()
        try:
            answer: Reserved | TooDear = self._ledger.ask_now(message)
        except ActorError as error:  # no ledger, no spending
            return Refusal(error.retry_at, f"{NO_LEDGER}{error.why}")
        if isinstance(answer, TooDear):
            return self._refusal(answer, amount)
        self._lent[attempt] = answer.number, flight.id
        if self._desk is not None and not answer.covered:
            self._uncovered.add(attempt)
        return None

    def uncovered(self, attempt: int) -> bool:
        """Must the store learn of this attempt before it is sent?"""
        return attempt in self._uncovered

    def dispatched(self, attempt: int) -> None:
        """The attempt is on its way: from here on it may cost money."""
        if (lent := self._lent.get(attempt)) is not None:
            self._owed.append(Dispatched(lent[0]))
            self._pay_back()

    def settle(self, attempt: int, actual: int | None) -> None:
        """The attempt ended, and cost `actual` micro-USD; None: nobody knows."""
        if (lent := self._lent.pop(attempt, None)) is not None:
            number, request = lent
            if self._uncovered:
                self._uncovered.discard(attempt)
            self._owed.append(SettleMoney(number, actual, request, attempt))
            self._pay_back()

    def standing(self) -> Sequence[Standing]:
        """Every budget as it stands now.

        Raises:
            ActorError: The ledger is down.
        """
        self._pay_back()
        found: Sequence[Standing] = self._ledger.ask_now(Stand())
        return found

    def thaw(self, scope: Scope) -> None:
        """Lend again under the budgets of a scope that a breach froze."""
        self._ledger.tell(Thaw(scope), Lane.CONTROL)

    def _pay_back(self) -> None:
        """Tell the ledger what it is owed, in order; what it cannot take now, it hears later.

        A ledger that is about to restart finds it in its mailbox. One that has given up takes
        nothing into it: then this is tried again before anything else is asked of it.
        """
        owed = self._owed
        while owed:
            try:
                self._ledger.ask_now(owed[0])
            except Crashed:
                pass  # its successor makes good what it crashed over
            except (ActorSuspended, AskCycle):
                self._ledger.tell(owed[0], Lane.RESULTS)
            except ActorError:
                return
            owed.popleft()

    def _amount(self, flight: Flight, candidate: Candidate) -> int | str:
        """What the attempt may cost, in micro-USD; or why nobody can tell."""
        spec = candidate.spec
        if candidate.free_left:
            return 0
        if spec.price is None:
            return f"{UNPRICED}set `price` for it to use it under a budget"
        tokens = flight.output_tokens if not self._strict else _most_output(flight.request, spec)
        if tokens is None and not spec.price.output_per_mtok:
            tokens = 0
        if tokens is None:
            return f"{UNBOUNDED}set max_tokens, or `max_output_tokens` for the model"
        return cost_micro_usd(spec.price, Usage(flight.input_tokens, tokens))

    def _refusal(self, answer: TooDear, amount: int) -> Refusal:
        left = f"${answer.room / 1e6:,.6f} left, up to ${amount / 1e6:,.6f} needed"
        if answer.frozen:
            left = "stopped, since an attempt cost more than its worst case"
        retry_at = None
        if answer.resets_at is not None:
            retry_at = self._clock.now() + (answer.resets_at - self._clock.wall())
        return Refusal(retry_at, f"{OVER_BUDGET}{answer.limit} ({left})")


def payers(
    kinds: Iterable[str], request: Request, provider: str, *, copy: bool = False
) -> tuple[Scope, ...]:
    """Who pays for an attempt at `provider`, as far as they are of these kinds."""
    found: list[Scope] = []
    for kind in kinds:
        match kind:
            case "engine":
                found.append(ENGINE)
            case "hedges":
                found += (HEDGES,) if copy else ()
            case "provider":
                found.append(Scope(kind, provider))
            case "route":
                found.append(Scope(kind, request.model or request.operation))
            case "tag":  # each word pays, and none of them twice
                words = dict.fromkeys((*request.tags, *request.labels))
                found += [Scope(kind, each) for each in words]
            case _:
                name = getattr(request, kind)
                found += () if name is None else (Scope(kind, name),)
    return tuple(found)


def _most_output(request: Request, spec: EndpointSpec) -> int | None:
    """The most tokens that an answer can have; None if nothing bounds it."""
    body = request.input
    if not isinstance(body, ChatInput):
        return 0
    bounds = [n for n in (body.max_tokens, spec.max_output_tokens) if n is not None]
    return min(bounds, default=None)
