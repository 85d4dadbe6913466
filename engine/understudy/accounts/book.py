"""The book of accounts: every attempt counted once, in its day's row. Pure, and bounded.

An attempt belongs to the day in which it began, as its charge does in a budget's window: so a day's
row and a daily budget agree. A day names so many users and no more; whoever comes when it is full
is counted among the others, so that no money is lost, and those who are named are exact.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from operator import sub
from typing import Final, TypeAlias

import attrs

from understudy.accounts.latency import Latencies, bucket_of
from understudy.accounts.tally import ZEROS, Row, Share, Tally, total_of
from understudy_actors.domain.result import Attempt, Usage
from understudy_actors.ledger.windows import Zone, day_of

DAYS_MAX: Final = 35
USERS_MAX: Final = 1000
NAME_MAX: Final = 128
"""Whose name is longer, in characters, is counted among the others."""

Scope: TypeAlias = tuple[str, str]
"""A kind (`key`, `team`, `tag`) and a name."""
_Endpoint: TypeAlias = tuple[str, str]
_Person: TypeAlias = tuple[str | None, str | None]
_NOBODY: Final[_Person] = (None, None)


@attrs.define(slots=True, eq=False)
class _Day:
    """A calendar day from `start` until before `end`, in Unix seconds."""

    number: int
    start: float
    end: float
    rows: dict[tuple[str, str, str | None, str | None], Row] = attrs.Factory(dict)
    others: dict[_Endpoint, Row] = attrs.Factory(dict)
    times: dict[_Endpoint, Latencies] = attrs.Factory(dict)
    people: set[_Person] = attrs.Factory(set)
    shares: dict[Scope, Share] = attrs.Factory(dict)
    named: Counter[str] = attrs.Factory(Counter)


class Book:
    """Rows by day, provider, model and user. It never reads a clock: `wall` comes in."""

    def __init__(self, zone: Zone, *, days_max: int = DAYS_MAX, users_max: int = USERS_MAX) -> None:
        """Open an empty one.

        Args:
            zone: Where days begin.
            days_max: How many days are kept; the oldest goes first.
            users_max: How many users (of a tenant), keys, teams and tags a day names, of each.
        """
        self._zone = zone
        self._days_max = days_max
        self._users_max = users_max
        self._days: dict[int, _Day] = {}
        self._day = _Day(0, math.inf, -math.inf)  # holds no time
        self._stir: Callable[[], None] | None = None
        self._owed: list[Row | Share] = []
        self._forgotten = False
        self._gone = Tally()
        self._restored = Tally()

    def count(
        self,
        attempt: Attempt,
        usage: Usage | None,
        user: str | None,
        tenant: str | None,
        wall: float,
        idle_s: float = 0.0,
        scopes: Sequence[Scope] = (),
    ) -> None:
        """Count an attempt that was sent, and has ended at `wall`.

        `usage` is None if nobody knows; of its time, `idle_s` was its caller's. It counts for each
        of `scopes` (a key, a team, tags) too, none of them twice.
        """
        began = wall - attempt.elapsed_s
        day = self._day
        if not day.start <= began < day.end:
            day = self._day = self._turn_to(began)
        row = day.rows.get((attempt.provider, attempt.model, user, tenant))
        if row is None:
            row = self._open(day, attempt.provider, attempt.model, user, tenant)
        if not row.owed:
            self._owe(row)
        before = row.numbers() if scopes else ZEROS
        row.attempts += 1
        cost = attempt.cost_usd
        if cost is None:
            row.unknown += 1
        else:
            row.micro_usd += round(cost * 1e6)
        if attempt.outcome == "ok":
            micros = int((attempt.elapsed_s - idle_s) * 1e6)
            row.successes += 1
            row.elapsed_us += micros
            row.times.counts[bucket_of(micros)] += 1
        if usage is not None:
            row.input_tokens += usage.input_tokens
            row.output_tokens += usage.output_tokens
            if cost is not None:
                row.priced_tokens += usage.input_tokens + usage.output_tokens
            if usage.cached_tokens:
                row.cached_tokens += usage.cached_tokens
            if usage.reasoning_tokens:
                row.reasoning_tokens += usage.reasoning_tokens
            if usage.estimated:
                row.estimated_tokens += usage.input_tokens + usage.output_tokens
        if scopes:
            self._share(day, scopes, tuple(map(sub, row.numbers(), before)))

    def today(self, wall: float) -> int:
        """The day that holds a time."""
        return day_of(wall, self._zone)

    def rows(self, first: int | None = None, last: int | None = None) -> Iterator[Row]:
        """Every row, by day; from `first` to `last` if they are given, both included."""
        for number in sorted(self._days):
            if (first is None or number >= first) and (last is None or number <= last):
                yield from self._days[number].rows.values()
                yield from self._days[number].others.values()

    def shares(self, kind: str, first: int | None, last: int | None) -> list[Share]:
        """What each key, team or tag (`kind`) came to, by day; days as in `rows`."""
        days = (
            day
            for number, day in sorted(self._days.items())
            if (first is None or number >= first) and (last is None or number <= last)
        )
        return [each for day in days for each in day.shares.values() if each.kind == kind]

    @property
    def restored(self) -> Tally:
        """What earlier processes had counted."""
        return self._restored

    def counted(self) -> Tally:
        """All that was counted here since it was opened, whether or not it is still kept."""
        total, before = total_of((*self.rows(), self._gone)), self._restored
        own = (now - then for now, then in zip(total.numbers(), before.numbers(), strict=True))
        return Tally(*own)

    # What must outlive the process

    def keep(self, stir: Callable[[], None]) -> None:
        """From now on note what grows, to be taken; `stir` is called when there is something."""
        self._stir = stir

    def take(self) -> tuple[list[Row | Share], int | None]:
        """What has grown since; and the first day that is kept, if one went."""
        owed, self._owed = self._owed, []
        first = min(self._days) if self._forgotten else None
        self._forgotten = False
        return owed, first

    def restore(self, row: Row) -> None:
        """Put in a row of an earlier process, in the order of days."""
        self._restored.add(row)
        day = self._days.get(row.day) or self._begin(row.day)
        row.times = day.times.setdefault((row.provider, row.model), row.times)
        if row.others:
            day.others[row.provider, row.model] = row
        else:
            day.rows[row.provider, row.model, row.user, row.tenant] = row
            day.people.add((row.user, row.tenant))

    def restore_share(self, share: Share) -> None:
        """As `restore`, after all rows."""
        day = self._days.get(share.day) or self._begin(share.day)
        day.shares[share.kind, share.name] = share
        if not share.others:
            day.named[share.kind] += 1

    def _share(self, day: _Day, scopes: Sequence[Scope], grown: tuple[int, ...]) -> None:
        for scope in scopes:
            share = day.shares.get(scope)
            if share is None:
                share = self._open_share(day, *scope)
            if not share.owed:
                self._owe(share)
            share.grow(grown)

    def _open_share(self, day: _Day, kind: str, name: str) -> Share:
        """The share of a scope that the day has none for: a new one, or that of the others."""
        plain = _plain(name) or ""
        others = day.named[kind] >= self._users_max or not 0 < len(name) <= NAME_MAX
        place = kind, "" if others else name
        share = day.shares.get(place)
        if share is None:
            share = day.shares[place] = Share(
                day=day.number,
                kind=kind,
                name="" if others else plain,
                others=others,
                owed=self._stir is None,
            )
            day.named[kind] += not others
        return share

    def _owe(self, row: Row | Share) -> None:
        row.owed = True
        self._owed.append(row)
        if self._stir is not None:
            self._stir()

    def _turn_to(self, wall: float) -> _Day:
        """The day to count in. What began before all that is kept counts in the oldest of it."""
        number = day_of(wall, self._zone)
        if len(self._days) >= self._days_max:
            number = max(number, min(self._days))
        return self._days.get(number) or self._begin(number)

    def _begin(self, number: int) -> _Day:
        if len(self._days) >= self._days_max:
            oldest = min(self._days)
            self._gone.add(total_of(self.rows(oldest, oldest)))
            self._forgotten = True
            del self._days[oldest]
        start, end = self._zone.day_start(number), self._zone.day_start(number + 1)
        day = self._days[number] = _Day(number, start, end)
        return day

    def _open(
        self, day: _Day, provider: str, model: str, user: str | None, tenant: str | None
    ) -> Row:
        """The row of a key that the day has none for: a new one, or that of the others."""
        endpoint, person = (provider, model), (user, tenant)
        times = day.times.get(endpoint)
        if times is None:
            times = day.times[endpoint] = Latencies()
        if not self._names(day, person):
            row = day.others.get(endpoint)
            if row is None:
                row = day.others[endpoint] = Row(
                    day=day.number,
                    provider=provider,
                    model=model,
                    others=True,
                    times=times,
                    owed=self._stir is None,  # then nobody ever takes it
                )
            return row
        row = day.rows[provider, model, user, tenant] = Row(
            day=day.number,
            provider=provider,
            model=model,
            user=_plain(user),
            tenant=_plain(tenant),
            times=times,
            owed=self._stir is None,
        )
        return row

    def _names(self, day: _Day, person: _Person) -> bool:
        """Does a day name this user? It does as long as there is room."""
        if person == _NOBODY or person in day.people:
            return True
        if len(day.people) >= self._users_max or max(len(n or "") for n in person) > NAME_MAX:
            return False
        day.people.add(person)
        return True


def _plain(name: str | None) -> str | None:
    """A name that every database takes: without halves of characters, and without zeros."""
    if name is None or name.isprintable():
        return name
    return name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
