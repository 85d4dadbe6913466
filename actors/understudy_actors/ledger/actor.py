"""The ledger actor: the one owner of all money, between the providers and those who ask them.

Its books outlive it: a restarted ledger goes on with the very books of the one that crashed. That
is safe because the books change only after everything that could raise, so that no turn leaves
them torn; and it is needed, because money that was lent must come home to whoever lent it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from understudy_actors.domain.money_events import (
    BoundBreached,
    BudgetAlert,
    MoneyCharged,
    MoneyRefused,
    MoneyReserved,
    Windows,
)
from understudy_actors.keeper.outbox import Changes
from understudy_actors.ledger.account import Limit, Scope
from understudy_actors.ledger.money import Booked, Charged, Ledger, Reserved, Standing, TooDear
from understudy_actors.ledger.projection import Forecast
from understudy_actors.ledger.windows import Span
from understudy_actors.runtime.actor import Context


class Reserve(Struct, frozen=True, gc=False):
    """Set the worst case of one attempt aside, in micro-USD; answers `Reserved` or `TooDear`.

    From here on it counts as sent: one that is not must be settled with 0.

    If that is too much, whatever there is, but `least` of it; None: then nothing.
    """

    scopes: tuple[Scope, ...]
    amount: int
    strict: bool
    request: str
    attempt: int
    least: int | None = None


class SettleMoney(Struct, frozen=True, gc=False):
    """The attempt ended, or was not sent; it cost `actual` micro-USD, or None: nobody knows."""

    number: int
    actual: int | None
    request: str
    attempt: int


class Thaw(Struct, frozen=True):
    """Lend again under the budgets of a scope that a breach froze."""

    scope: Scope


class SetBudgets(Struct, frozen=True):
    """From now on these are the limits of a scope; none takes them out. See `Ledger.set`."""

    scope: Scope
    limits: tuple[Limit, ...]


class ReplaceBudgets(Struct, frozen=True):
    """From now on these are all limits there are. See `Ledger.replace`."""

    limits: tuple[Limit, ...]


class GatherBooks(Struct, frozen=True):
    """Answers the `Changes` since the last time, or None."""


class BooksKept(Struct, frozen=True):
    """What was gathered last is written."""


class Stand(Struct, frozen=True):
    """Answers the standing of every budget."""


class Foresee(Struct, frozen=True):
    """Answers the standing of every budget, and what is to be expected of it."""


class LedgerActor:
    """Lends, settles, and tells what that brings about."""

    def __init__(self, context: Context, books: Ledger, poison: object = None) -> None:
        """Build it.

        Args:
            context: Clock, trace and the place for snapshots.
            books: New ones, or those of the last incarnation.
            poison: The message whose turn took that one down; what it says of a loan is made good.
        """
        self._context = context
        self._books = books
        self._wall = context.wall
        self._trace = context.trace
        self._turns: dict[type, Callable[[Any], Any]] = {
            Reserve: self._reserve,
            SettleMoney: self._settle,
            Thaw: self._thaw,
            SetBudgets: self._set,
            ReplaceBudgets: self._replace,
            Stand: self._stand,
            Foresee: self._foresee,
            GatherBooks: self._gather,
            BooksKept: self._kept,
        }
        context.save(books)
        if isinstance(poison, SettleMoney):
            charged = books.settle(poison.number, poison.actual)
            if charged is not None and books.keeping is not None:
                books.keeping.note(self._wall(), charged, poison.request, poison.attempt)
        elif isinstance(poison, SetBudgets):
            self._set(poison)
        elif isinstance(poison, ReplaceBudgets):
            self._replace(poison)

    def receive(self, message: Any) -> Any:
        """One turn."""
        return self._turns[type(message)](message)

    def _reserve(self, message: Reserve) -> Reserved | TooDear:
        wall = self._wall()
        answer = self._books.reserve(
            message.scopes, message.amount, wall, strict=message.strict, least=message.least
        )
        if self._trace.fine:
            self._tell_answer(message, answer, wall)
        return answer

    def _settle(self, message: SettleMoney) -> Charged | None:
        charged = self._books.settle(message.number, message.actual)
        if charged is not None and self._books.keeping is not None:
            self._books.keeping.note(self._wall(), charged, message.request, message.attempt)
        if charged is not None and self._trace.on:
            self._tell_charge(message, charged)
        return charged

    def _thaw(self, message: Thaw) -> None:
        self._books.thaw(message.scope)

    def _set(self, message: SetBudgets) -> None:
        self._books.set(message.scope, message.limits, self._wall())

    def _replace(self, message: ReplaceBudgets) -> None:
        self._books.replace(message.limits, self._wall())

    def _stand(self, _message: Stand) -> Sequence[Standing]:
        return self._books.standing(self._wall())

    def _gather(self, _message: GatherBooks) -> Changes | None:
        keeping = self._books.keeping
        return None if keeping is None else keeping.gather()

    def _kept(self, _message: BooksKept) -> None:
        if self._books.keeping is not None:
            self._books.keeping.kept()

    def _foresee(self, _message: Foresee) -> Sequence[tuple[Standing, Forecast]]:
        return self._books.forecasts(self._wall())

    def _tell_answer(self, message: Reserve, answer: Reserved | TooDear, wall: float) -> None:
        at_s, scopes = self._context.now(), tuple(map(str, message.scopes))
        if isinstance(answer, Reserved):
            self._trace.emit_fine(
                MoneyReserved(
                    at_s=at_s,
                    reservation=answer.number,
                    request=message.request,
                    attempt=message.attempt,
                    scopes=scopes,
                    micro_usd=answer.amount,
                    strict=message.strict,
                    wall=wall,
                    windows=_booked(self._books.windows(answer.number)),
                )
            )
        else:
            self._trace.emit_fine(
                MoneyRefused(
                    at_s=at_s,
                    request=message.request,
                    budget=str(answer.limit),
                    micro_usd=message.amount if message.least is None else message.least,
                    room=answer.room,
                    wall=wall,
                )
            )

    def _tell_charge(self, message: SettleMoney, charged: Charged) -> None:
        at_s, emit = self._context.now(), self._trace.emit
        if self._trace.fine:
            self._trace.emit_fine(
                MoneyCharged(
                    at_s=at_s,
                    reservation=charged.number,
                    request=message.request,
                    attempt=message.attempt,
                    micro_usd=charged.amount,
                    known=charged.known,
                    windows=_booked(charged.booked),
                )
            )
        for limit in charged.frozen:
            emit(BoundBreached(at_s=at_s, budget=str(limit), request=message.request))
        for alert in charged.alerts:
            emit(
                BudgetAlert(
                    at_s=at_s,
                    budget=str(alert.limit),
                    percent=alert.percent,
                    spent_micro_usd=alert.spent,
                )
            )


def _booked(where: Booked) -> Windows:
    return {
        str(account.limit): _whole(window.span) if math.isfinite(window.span.end) else ()
        for account, window in where
    }


def _whole(span: Span) -> tuple[int, int]:
    return int(span.start), int(span.end)
