"""The accounts as people ask for them: the last so many days of a book, up to today."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, overload

from understudy.accounts.book import Book
from understudy.accounts.keeping import UsageSource, restore
from understudy.accounts.reports import (
    Costs,
    DayUsage,
    TopModel,
    TopSpender,
    TopUser,
    costs_of,
    top_models,
    top_spenders,
    top_users,
    usage_of,
    whole,
)
from understudy.config import Config
from understudy.zones import IanaZone
from understudy_actors.domain.errors import InvalidRequest
from understudy_actors.domain.money_events import AccountsClosed, AccountsTaken

if TYPE_CHECKING:
    from understudy.store.keeping import Keeping

Spenders: TypeAlias = Literal["keys", "teams", "tags"]
TopOf: TypeAlias = Literal["models", "users"] | Spenders
_KINDS: Final = {"keys": "key", "teams": "team", "tags": "tag"}
DAYS_SHOWN_MAX: Final = 3660
TOP_MAX: Final = 100_000


def book_of(config: Config, keeping: Keeping | None = None) -> Book | None:
    """The book that a configuration asks for, which goes on where an earlier process was."""
    own = config.accounts
    if not own.enabled:
        return None
    book = Book(IanaZone(config.time_zone), days_max=own.days, users_max=own.users)
    if keeping is not None:
        restore(book, keeping.take_sums())
        keeping.add(UsageSource(book, keeping.desk.stirred))
    return book


def taken(book: Book, at_s: float) -> AccountsTaken:
    """What was taken over from earlier processes."""
    before = book.restored
    return AccountsTaken(at_s=at_s, attempts=before.attempts, micro_usd=before.micro_usd)


def closed(book: Book, at_s: float) -> AccountsClosed:
    """What all of it comes to that this process has counted, as an engine's last word."""
    total = book.counted()
    return AccountsClosed(
        at_s=at_s,
        attempts=total.attempts,
        successes=total.successes,
        unknown=total.unknown,
        micro_usd=total.micro_usd,
    )


class Accounts:
    """Questions to a book."""

    def __init__(self, book: Book, wall: Callable[[], float], time_zone: str) -> None:
        """Make them.

        Args:
            book: Where attempts are counted.
            wall: Tells the time in Unix seconds.
            time_zone: Whose days the book's are.
        """
        self.book = book
        self._wall = wall
        self._time_zone = time_zone

    def costs(self, days: int | None = None) -> Costs:
        """Everything that is kept, or the last `days` calendar days, today included.

        Raises:
            InvalidRequest: That is no number of days.
        """
        first, today = self._since(days)
        rows = list(self.book.rows(first, None if first is None else today))
        days_used = [today, *(row.day for row in rows)]  # a clock that was set back: later ones too
        since = min(days_used) if first is None else first
        return costs_of(rows, since=since, until=max(days_used), time_zone=self._time_zone)

    @overload
    def top(
        self, what: Literal["models"] = "models", most: int = 10, days: int | None = None
    ) -> tuple[TopModel, ...]: ...

    @overload
    def top(
        self, what: Literal["users"], most: int = 10, days: int | None = None
    ) -> tuple[TopUser, ...]: ...

    @overload
    def top(
        self, what: Spenders, most: int = 10, days: int | None = None
    ) -> tuple[TopSpender, ...]: ...

    def top(
        self, what: TopOf = "models", most: int = 10, days: int | None = None
    ) -> tuple[TopModel, ...] | tuple[TopUser, ...] | tuple[TopSpender, ...]:
        """The most used `models`, or the dearest `users`, `keys`, `teams` or `tags`.

        Raises:
            InvalidRequest: There is no such list, or one of the numbers is none.
        """
        if what not in ("models", "users", *_KINDS):
            raise InvalidRequest(f"top of {what!r}: there is models, users, {', '.join(_KINDS)}")
        first, today = self._since(days)
        last = None if first is None else today
        rows = self.book.rows(first, last)
        most = whole("most", most, TOP_MAX)
        if (kind := _KINDS.get(what)) is not None:
            shares = self.book.shares(kind, first, last)
            return top_spenders(shares, rows, most, rest=kind != "tag")
        return top_models(rows, most) if what == "models" else top_users(rows, most)

    def usage(self, days: int = 30) -> tuple[DayUsage, ...]:
        """Each of the last `days` calendar days, today last.

        Raises:
            InvalidRequest: That is no number of days.
        """
        today = self.book.today(self._wall())
        first = today - whole("days", days, DAYS_SHOWN_MAX) + 1
        return usage_of(self.book.rows(first, today), since=first, until=today)

    def _since(self, days: int | None) -> tuple[int | None, int]:
        """The first of the last `days` days, None for whatever is kept; and today."""
        today = self.book.today(self._wall())
        first = None if days is None else today - whole("days", days, DAYS_SHOWN_MAX) + 1
        return first, today
