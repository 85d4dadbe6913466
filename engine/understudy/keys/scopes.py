"""Budgets and limits of keys and agents: scopes like any other of the ledger and the limits.

A key that is made while the engine runs gets its scopes while it runs. The first that needs a
ledger starts it: whoever has no budget pays for none.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from understudy.config import Config
from understudy.config.terms import KeyTerms
from understudy.keys.ring import Ring
from understudy.limiting import Doors
from understudy.routing.wiring import Wiring
from understudy.spending import Bank
from understudy_actors.ledger.account import Limit, Scope
from understudy_actors.ledger.windows import Period
from understudy_actors.limits.gate import RateLimit


@attrs.define(eq=False, slots=True)
class Scopes:
    """Sets what keys may spend and ask for."""

    config: Config
    wiring: Wiring
    bank: Bank
    doors: Doors

    def set(self, name: str, terms: KeyTerms) -> None:
        """From now on these are the terms of a key, together with what the configuration says.

        Raises:
            StoreFailed: What was spent before cannot be read.
        """
        scope = Scope("key", name)
        self.bank.set(self.config, scope, spending_of(self.config, name, terms))
        self.doors.set(scope, rate_of(self.config, name, terms))
        self._wire()

    def spend(self, limit: Limit) -> None:
        """From now on this is the budget of a scope that no configuration knows.

        Raises:
            StoreFailed: What was spent before cannot be read.
        """
        self.bank.hold(self.config, limit)
        self._wire()

    def _wire(self) -> None:
        wiring = self.wiring
        wiring.purse, wiring.turnstile = self.bank.purse, self.doors.turnstile
        if wiring.durable is not None:
            wiring.durable.purse = wiring.purse


def spending_of(config: Config, name: str, terms: KeyTerms) -> tuple[Limit, ...]:
    """The budgets of a key: of two for one window the smaller."""
    scope = Scope("key", name)
    found: dict[Period, Limit] = {}
    for limit in (*(each.limit() for each in config.budgets), *terms.spending(name)):
        known = found.get(limit.period)
        if limit.scope == scope and (known is None or limit.micro_usd < known.micro_usd):
            found[limit.period] = limit
    return tuple(found.values())


def rate_of(config: Config, name: str, terms: KeyTerms) -> RateLimit | None:
    """The limits of a key, of two numbers the smaller; None: it has none."""
    scope = Scope("key", name)
    own, found = terms.rate(name), None
    for limit in (*(each.limit() for each in config.limits), *(() if own is None else (own,))):
        if limit.scope == scope:
            found = limit if found is None else found.both(limit)
    return found


def budgets_of(config: Config, ring: Ring) -> list[Limit]:
    """Every budget: those of the configuration, and those of keys."""
    terms = dict(_terms(config, ring))
    own = {Scope("key", name) for name in terms}
    limits = [limit for each in config.budgets if (limit := each.limit()).scope not in own]
    return [*limits, *(x for name, each in terms.items() for x in spending_of(config, name, each))]


def limits_of(config: Config, ring: Ring) -> list[RateLimit]:
    """Every limit: those of the configuration, and those of keys."""
    own = (each.rate(name) for name, each in _terms(config, ring))
    return [*(each.limit() for each in config.limits), *(each for each in own if each is not None)]


def _terms(config: Config, ring: Ring) -> Iterator[tuple[str, KeyTerms]]:
    """Of every key, one that was revoked too: its name may come to life again."""
    yield from config.gateway.keys.items()
    yield from ((each.name, each.terms) for each in ring.records.values() if not each.configured)
