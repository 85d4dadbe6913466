"""The books of all limits: reserve the worst case over every scope at once, settle exactly once.

    reserve   all scopes have room for the worst case, or nothing is added anywhere;
              from here on the charge is possible
    settle    never sent                               -> 0, as whoever reserved says
              the price is known                       -> that
              nobody knows what came of it             -> the whole reservation
    breach    a charge above a strict reservation is booked whole, and freezes its scopes

A request is sent in the same step in which money is set aside for it, or never: so to have been
sent is no state of its own. What is lost between the two counts as sent, which is the safe side.
Thus spent + reserved <= limit at every moment, unless a breach was told of before.

Sources: the two-phase reservations of payment systems; Gray and Reuter, "Transaction Processing",
on escrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from understudy_actors.ledger.account import EACH, Account, Alert, Limit, Scope, Window
from understudy_actors.ledger.books import AccountBooks, Keeping, take_over
from understudy_actors.ledger.projection import Forecast
from understudy_actors.ledger.windows import Period, Span, Zone

EACH_MAX: Final = 100_000
"""Scopes that may have a limit each; beyond, those that spent nothing in their window make room."""


Booked: TypeAlias = tuple[tuple[Account, Window], ...]
"""Under which limits a reservation is, and in which window of each."""


class Reserved(Struct, frozen=True, gc=False):
    """Money set aside for one attempt, in micro-USD. `number` names it when it is settled.

    `covered` is False if a store must learn of it before it is spent; see `books`.
    """

    number: int
    amount: int
    covered: bool = True


class TooDear(Struct, frozen=True):
    """A limit has not enough left: how much it has, and when it starts anew (Unix seconds).

    `frozen` says that it lends nothing since a charge went over its reservation.
    """

    limit: Limit
    room: int
    resets_at: float | None
    frozen: bool = False


class Charged(Struct, frozen=True, gc=False):
    """How a reservation ended: what was charged, in micro-USD, and what that brought about.

    `known` is False for a charge of the whole reservation because nobody knows better; `frozen`
    are the limits that a breach froze; `booked` says where it is.
    """

    number: int
    amount: int
    known: bool
    alerts: tuple[Alert, ...] = ()
    frozen: tuple[Limit, ...] = ()
    booked: Booked = ()


class Standing(Struct, frozen=True):
    """How one limit stands in its current window; money in micro-USD."""

    limit: Limit
    window: Span
    spent: int
    reserved: int
    charges: int
    frozen: bool

    @property
    def percent(self) -> float:
        """How much of the limit is spent."""
        return 100.0 * self.spent / self.limit.micro_usd if self.limit.micro_usd else 100.0


class _Loan(Struct, frozen=True, gc=False):
    amount: int
    strict: bool
    at: float
    windows: Booked


class Ledger:
    """All limits, and what is reserved under them. It never reads a clock: `wall` comes in."""

    def __init__(self, limits: Iterable[Limit], zone: Zone, *, each_max: int = EACH_MAX) -> None:
        """Open the books.

        Args:
            limits: A limit of a scope of its own goes before one of `EACH` of its kind.
            zone: Where days begin.
            each_max: How many scopes may have one of the latter.
        """
        self._zone = zone
        self._each_max = each_max
        self._accounts: dict[Scope, list[Account]] = {}
        self._each: dict[str, list[Limit]] = {}
        self._made: dict[Scope, None] = {}  # by a limit of `EACH`, in order of their first use
        self._retired: dict[tuple[Scope, Period], Account] = {}  # whose limit was taken out
        self._left: dict[tuple[Scope, Period], AccountBooks] = {}  # of an earlier process
        for limit in limits:
            if limit.scope.name == EACH:
                self._each.setdefault(limit.scope.kind, []).append(limit)
            else:
                self._accounts.setdefault(limit.scope, []).append(Account(limit, zone))
        self._loans: dict[int, _Loan] = {}
        self._last = 0
        self._keeping: Keeping | None = None

    def keep(
        self, keeping: Keeping, saved: Iterable[AccountBooks], wall: float
    ) -> list[tuple[Account, int]]:
        """Go on with what an earlier process kept, and note all changes from now on.

        Books of a limit that there is no more are left where they are, until it is `set` again.

        Returns:
            Whose books were taken over, and how many micro-USD each was charged for what that
            process may have spent.
        """
        self._keeping, taken = keeping, list[tuple[Account, int]]()
        for books in saved:
            limit = books.limit
            own = [a for a in self._of([limit.scope], wall) if a.limit.period is limit.period]
            if not own:
                self._left[limit.scope, limit.period] = books
            for account in own if books.windows else ():
                taken.append((account, self._take_over(account, books, wall)))
        return taken

    def set(self, scope: Scope, limits: Iterable[Limit], wall: float) -> None:
        """From now on these are the limits of one scope, at most one for each period.

        Money is not forgotten by that: whatever was spent and lent in a window stays in it, and a
        limit that is taken out and put back holds as if it had never been away. What a scope spends
        while it has no limit is on no books.
        """
        for account in self._accounts.pop(scope, ()):
            self._retired[scope, account.limit.period] = account
        self._made.pop(scope, None)
        accounts = [self._account(limit, wall) for limit in limits]
        if accounts:
            self._accounts[scope] = accounts

    def replace(self, limits: Iterable[Limit], wall: float) -> None:
        """From now on these are all limits there are; as with `set`, no money is forgotten."""
        known: dict[tuple[Scope, Period], list[Account]] = {}
        for each in [account for accounts in self._accounts.values() for account in accounts]:
            known.setdefault((each.limit.scope, each.limit.period), []).append(each)
        made, self._made, self._accounts, self._each = self._made, {}, {}, {}

        def account_of(limit: Limit) -> Account:
            own = known.get((limit.scope, limit.period))
            if not own:
                return self._account(limit, wall)
            account = own.pop(0)
            account.change(limit, wall)
            return account

        for limit in limits:
            if limit.scope.name == EACH:
                self._each.setdefault(limit.scope.kind, []).append(limit)
            else:
                self._accounts.setdefault(limit.scope, []).append(account_of(limit))
        for scope in made:
            if scope.kind in self._each and scope not in self._accounts:
                self._accounts[scope] = [account_of(each) for each in self._limits_of(scope)]
                self._made[scope] = None
        for key, accounts in known.items():
            for account in accounts:
                if account.busy(wall):
                    self._retired[key] = account

    def _limits_of(self, scope: Scope) -> list[Limit]:
        """Those that everybody of its kind has."""
        return [Limit(scope, each.period, each.micro_usd) for each in self._each[scope.kind]]

    @property
    def keeping(self) -> Keeping | None:
        """What changed, where books are kept."""
        return self._keeping

    @property
    def outstanding(self) -> int:
        """How many reservations are out."""
        return len(self._loans)

    def room(self, scopes: Iterable[Scope], wall: float) -> int | None:
        """The most micro-USD that can be reserved under all of `scopes` now; None: no limit."""
        rooms = [account.room(wall) for account in self._of(scopes, wall)]
        return min(rooms, default=None)

    def reserve(
        self,
        scopes: Iterable[Scope],
        amount: int,
        wall: float,
        *,
        strict: bool = True,
        least: int | None = None,
    ) -> Reserved | TooDear:
        """Set `amount` micro-USD aside under every limit of `scopes`, or under none.

        Args:
            scopes: Who spends; those without a limit are free.
            amount: The worst case, >= 0; under `strict` a charge above it is a breach.
            wall: The time, in Unix seconds.
            strict: False says that `amount` is only what to expect.
            least: With less room than `amount`, but at least this, all of the room is set aside.
        """
        if amount < 0:
            raise ValueError(f"a reservation needs an amount >= 0 micro-USD, got {amount!r}")
        accounts = self._of(scopes, wall)
        enough = amount if least is None else min(amount, least)
        for account in accounts:
            if (room := account.room(wall)) < enough or account.frozen:
                return TooDear(account.limit, room, account.resets_at(wall), account.frozen)
            amount = min(amount, room)
        self._last += 1
        windows = tuple([(account, account.reserve(amount)) for account in accounts])
        self._loans[self._last] = _Loan(amount, strict, wall, windows)
        if self._keeping is None:
            return Reserved(self._last, amount)
        return Reserved(self._last, amount, self._keeping.lent(accounts, amount))

    def windows(self, number: int) -> Booked:
        """Where a reservation is that is not settled yet."""
        return self._loans[number].windows

    def settle(self, number: int, actual: int | None = None) -> Charged | None:
        """End a reservation.

        Args:
            number: Whose.
            actual: The charge in micro-USD, 0 for a request that was never sent; None if nobody
                knows: then it is the whole of it.

        Returns:
            What became of it; None if it was settled before, which changes nothing.
        """
        loan = self._loans.pop(number, None)
        if loan is None:
            return None
        amount = loan.amount if actual is None else actual
        alerts: tuple[Alert, ...] = ()
        for account, window in loan.windows:
            account.settle(window, loan.amount, amount, loan.at)
            if (alert := account.news(window)) is not None:
                alerts += (alert,)
        frozen: tuple[Limit, ...] = ()
        if loan.strict and amount > loan.amount:
            for account, _ in loan.windows:
                account.frozen = True
                frozen += (account.limit,)
        if self._keeping is not None:
            self._keeping.charged([account for account, _ in loan.windows])
        return Charged(number, amount, actual is not None, alerts, frozen, loan.windows)

    def thaw(self, scope: Scope) -> None:
        """Lend again under the limits of `scope` that a breach froze."""
        for account in self._accounts.get(scope, ()):
            account.thaw()
            if self._keeping is not None:
                self._keeping.touch(account)

    def standing(self, wall: float) -> Sequence[Standing]:
        """Every limit, in the order in which they were given."""
        found: list[Standing] = []
        for accounts in self._accounts.values():
            for account in accounts:
                w, limit = account.window(wall), account.limit
                found.append(
                    Standing(limit, w.span, w.spent, w.reserved, w.charges, account.frozen)
                )
        return found

    def forecasts(self, wall: float) -> Sequence[tuple[Standing, Forecast]]:
        """What is to be expected of every limit, in the order of `standing`."""
        every = [account for accounts in self._accounts.values() for account in accounts]
        return list(zip(self.standing(wall), (e.forecast(wall) for e in every), strict=True))

    def _of(self, scopes: Iterable[Scope], wall: float) -> list[Account]:
        found: list[Account] = []
        for scope in dict.fromkeys(scopes):
            accounts = self._accounts.get(scope)
            if accounts is None and scope.kind in self._each:
                accounts = self._make(scope, wall)
            found += accounts or ()
        return found

    def _make(self, scope: Scope, wall: float) -> list[Account]:
        """Accounts for a scope that is new under a limit of `EACH`."""
        if len(self._made) >= self._each_max:
            self._sweep(wall)
        accounts = [self._account(limit, wall) for limit in self._limits_of(scope)]
        if len(self._made) >= self._each_max:
            for account in accounts:
                account.frozen = True  # nobody may spend what nobody can keep the books of
            return accounts
        self._accounts[scope] = accounts
        self._made[scope] = None
        return accounts

    def _account(self, limit: Limit, wall: float) -> Account:
        """The account of a limit: the one that it had before, if there was one."""
        account = self._retired.pop((limit.scope, limit.period), None)
        if account is not None:
            account.change(limit, wall)
            return account
        account = Account(limit, self._zone)
        books = self._left.pop((limit.scope, limit.period), None)
        if books is not None and books.windows:
            self._take_over(account, books, wall)
        return account

    def _take_over(self, account: Account, books: AccountBooks, wall: float) -> int:
        if (unknown := take_over(account, books)) and self._keeping is not None:
            self._keeping.unknown(wall, account, unknown)
        return unknown

    def _sweep(self, wall: float) -> None:
        """Forget the scopes that owe nothing and have spent nothing in their windows."""
        for scope in [s for s in self._made if all(a.blank(wall) for a in self._accounts[s])]:
            accounts = self._accounts.pop(scope)
            del self._made[scope]
            if self._keeping is not None:
                for account in accounts:
                    self._keeping.forget(account)
