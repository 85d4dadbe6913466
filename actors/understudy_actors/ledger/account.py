"""One limit on what one scope may spend in one kind of calendar window.

    room  = limit - spent - reserved          of the window that holds the time; none while frozen
    a reservation belongs to the window in which it was made, and is settled into that one only

Windows roll over when somebody looks, so no timer can be late. Money is in whole micro-USD.
"""

from __future__ import annotations

from typing import Final

import attrs
from msgspec import Struct

from understudy_actors.ledger.projection import Course, Forecast, forecast, slot_of
from understudy_actors.ledger.windows import Period, Span, Zone, window_of

THRESHOLDS: Final = (50, 80, 100)
"""Percentages of a limit that are told of, once in a window each."""


EACH: Final = "*"
"""The name in a limit that is every scope's of its kind, each on its own."""

_PER: Final = {Period.TOTAL: "in all", Period.HOUR: "an hour"}


class Scope(Struct, frozen=True, order=True, cache_hash=True):
    """Who or what spends: `engine`, all second copies (`hedges`), or somebody of a kind by name.

    Kinds with names: `provider`, `key`, `user`, `team`, `tenant`, `tag`, `route`, `operation`.
    """

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.name else self.kind


class Limit(Struct, frozen=True):
    """A scope may spend `micro_usd` in each window of `period`."""

    scope: Scope
    period: Period
    micro_usd: int

    def __str__(self) -> str:
        per = _PER.get(self.period, f"a {self.period.value}")
        return f"{self.scope}, {dollars(self.micro_usd)} {per}"


def dollars(micro_usd: int) -> str:
    """For people: cents, and as many further digits as a small amount needs."""
    whole_cents = micro_usd % 10_000 == 0
    return f"${micro_usd / 1e6:,.2f}" if whole_cents else f"${micro_usd / 1e6:,.6f}"


class Alert(Struct, frozen=True):
    """Spending passed `percent` of a limit for the first time in a window."""

    limit: Limit
    percent: int
    spent: int
    window: Span


@attrs.define(eq=False, slots=True)
class Window:
    """What happened in one window: micro-USD spent and reserved, and how many charges there were.

    `owed` reservations are still to be settled; `told` is the highest percentage told of. Where
    books are kept, `covered` is how much a store knows that may be spent, `flow` what was reserved
    since it was told last, and `flow_before` in the time before that. `profile` says what was spent
    in which slot, and `first_at` when the first charge was reserved (see `projection`).
    """

    span: Span
    spent: int = 0
    reserved: int = 0
    owed: int = 0
    charges: int = 0
    told: int = 0
    covered: int = 0
    flow: int = 0
    flow_before: int = 0
    profile: dict[int, int] = attrs.Factory(dict)
    first_at: float | None = None

    def book(self, period: Period, actual: int, at: float) -> None:
        """A charge of `actual`, which was reserved at this time (Unix seconds)."""
        self.spent += actual
        self.charges += 1
        if self.first_at is None or at < self.first_at:
            self.first_at = at
        slot = slot_of(period, self.span, at)
        if slot is not None:
            self.profile[slot] = self.profile.get(slot, 0) + actual


@attrs.define(eq=False, slots=True)
class Account:
    """The books of one limit.

    Attributes:
        limit, zone: Which limit, and where its days begin.
        frozen: A charge went over its reservation: nothing more is lent until `thaw`.
        previous: The window before the current one, if anything was spent in it.
    """

    limit: Limit
    zone: Zone
    frozen: bool = False
    previous: Window | None = None
    _current: Window | None = None
    _open: dict[float, Window] = attrs.Factory(dict)  # earlier ones that are owed a settlement

    def window(self, wall: float) -> Window:
        """The window of `wall`. Once it has rolled over, a clock set back does not reopen it."""
        current = self._current
        if current is None or wall >= current.span.end:
            self._current = current = self._roll(current, wall)
        return current

    @property
    def current(self) -> Window:
        """The window of the last look at the time; there has been one."""
        assert self._current is not None, f"{self.limit}: nobody has looked at the time yet"
        return self._current

    def windows(self) -> list[Window]:
        """Every window that may still change, the current one last."""
        earlier = list(self._open.values())
        return earlier if self._current is None else [*earlier, self._current]

    def take_over(self, current: Window | None, previous: Window | None, *, frozen: bool) -> None:
        """Go on with windows of which nothing is owed."""
        self._current, self.previous, self.frozen = current, previous, frozen

    def change(self, limit: Limit, wall: float) -> None:
        """Another amount for the same scope and period: what is spent and reserved stays.

        A threshold is told of once in a window; of the new amount, as far as it is passed already.
        """
        if limit == self.limit:
            return
        self.limit = limit
        window = self.window(wall)
        passed = [p for p in THRESHOLDS if window.spent * 100 >= p * limit.micro_usd]
        window.told = min(window.told, max(passed, default=0))

    def room(self, wall: float) -> int:
        """How many micro-USD may still be reserved now."""
        if self.frozen:
            return 0
        window = self.window(wall)
        return max(0, self.limit.micro_usd - window.spent - window.reserved)

    def resets_at(self, wall: float) -> float | None:
        """When its next window begins, in Unix seconds; None if it never does by itself."""
        if self.frozen or self.limit.period is Period.TOTAL:
            return None
        return self.window(wall).span.end

    def reserve(self, amount: int) -> Window:
        """Set `amount` aside in the window that `room` was just asked of; returns it."""
        window = self.current
        window.reserved += amount
        window.owed += 1
        return window

    def settle(self, window: Window, amount: int, actual: int, at: float) -> None:
        """Turn a reservation of `amount`, made at `at` in `window`, into a charge of `actual`."""
        window.reserved -= amount
        window.owed -= 1
        assert window.reserved >= 0, f"{self.limit}: more came back than was reserved"
        if actual:
            window.book(self.limit.period, actual, at)
        if not window.owed and window is not self._current:
            del self._open[window.span.start]

    def forecast(self, wall: float) -> Forecast:
        """What is to be expected of it."""
        before = None if self.previous is None else _course(self.previous)
        return forecast(self.limit.period, _course(self.window(wall)), before, wall)

    def busy(self, wall: float) -> bool:
        """Is there anything to remember, if nobody asks for it for a while?"""
        return self._current is not None and not self.blank(wall)

    def blank(self, wall: float) -> bool:
        """Would a new account stand as this one does?"""
        window = self.window(wall)
        return not (self.frozen or window.spent or window.owed or self._open)

    def thaw(self) -> None:
        """Lend again, after somebody looked into the breach."""
        self.frozen = False

    def _roll(self, current: Window | None, wall: float) -> Window:
        span = window_of(self.limit.period, wall, self.zone)
        if current is not None:
            if current.owed:
                self._open[current.span.start] = current
            self.previous = current if current.span.end == span.start else None
        return Window(span)

    def news(self, window: Window) -> Alert | None:
        """The news that a window passed a threshold, if it did: told once."""
        if window.spent * 100 < THRESHOLDS[0] * self.limit.micro_usd:
            return None
        passed = [p for p in THRESHOLDS if window.spent * 100 >= p * self.limit.micro_usd]
        if not passed or passed[-1] <= window.told:
            return None
        window.told = passed[-1]
        return Alert(self.limit, window.told, window.spent, window.span)


def _course(window: Window) -> Course:
    return Course(
        window.span,
        window.spent,
        window.reserved,
        window.charges,
        window.profile,
        window.first_at,
    )
