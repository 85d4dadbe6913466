"""What happens to money. Amounts are in micro-USD (1e-6 USD)."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import field

from understudy_actors.domain.events import Event

Windows: TypeAlias = dict[str, tuple[int, ...]]
"""Budget to the beginning and the end of one of its windows, in Unix seconds; empty if it has
neither."""


class MoneyReserved(Event, frozen=True, kw_only=True, tag="money.reserved"):
    """The worst case of an attempt was set aside under every budget of `scopes`.

    `wall` is the time in Unix seconds, which decides about the window; under `strict` a charge
    above `micro_usd` is a breach. `windows` are those in which it is reserved.
    """

    reservation: int
    request: str
    attempt: int
    scopes: tuple[str, ...]
    micro_usd: int
    strict: bool
    wall: float
    windows: Windows = field(default_factory=dict)


class MoneyRefused(Event, frozen=True, kw_only=True, tag="money.refused"):
    """A budget has only `room` left, which is less than the attempt's worst case.

    `wall` is the time in Unix seconds.
    """

    request: str
    budget: str
    micro_usd: int
    room: int
    wall: float = 0.0


class MoneyCharged(Event, frozen=True, kw_only=True, tag="money.charged"):
    """A reservation was settled, in these windows.

    `known` is False if the whole was charged for want of a price.
    """

    reservation: int
    request: str
    attempt: int
    micro_usd: int
    known: bool
    windows: Windows = field(default_factory=dict)


class BudgetAlert(Event, frozen=True, kw_only=True, tag="budget.alert"):
    """Spending passed `percent` of a budget for the first time in its window."""

    budget: str
    percent: int
    spent_micro_usd: int


class PricesOld(Event, frozen=True, kw_only=True, tag="prices.old"):
    """Published prices in use are `days` old: they may have changed since `as_of` (an ISO date).

    `endpoints` use them; a configured `price` has no age.
    """

    as_of: str
    days: int
    endpoints: tuple[str, ...]


class BoundBreached(Event, frozen=True, kw_only=True, tag="budget.breach"):
    """An attempt cost more than its worst case: its budget lends nothing until thawed."""

    budget: str
    request: str


class AccountsTaken(Event, frozen=True, kw_only=True, tag="accounts.taken"):
    """An engine with a store begins: what its accounts go on with, of all processes before."""

    attempts: int
    micro_usd: int


class AccountsClosed(Event, frozen=True, kw_only=True, tag="accounts.closed"):
    """The engine has closed: what its accounts say of all attempts since it was opened.

    `micro_usd` leaves out the `unknown` ones, of which nobody knows what they cost.
    """

    attempts: int
    successes: int
    unknown: int
    micro_usd: int
