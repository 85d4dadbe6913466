"""What may be spent: budgets by scope and calendar window."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from msgspec import Meta

from understudy.config.faults import BadKey
from understudy.config.section import Section
from understudy.config.values import Name, Text
from understudy_actors.ledger.account import EACH, Limit, Scope
from understudy_actors.ledger.windows import Period

Usd: TypeAlias = Annotated[
    float, Meta(ge=0, le=1e9, extra={"should": "an amount in USD from 0 to 1000000000"})
]
PeriodName: TypeAlias = Literal["day", "week", "month", "total"]
SpendingMode: TypeAlias = Literal["strict", "expected"]

_MICRO: Final = 1_000_000


class SpendingConfig(Section, frozen=True, kw_only=True):
    """One budget: what one scope may spend in each calendar window; without a scope, the engine.

    Attributes:
        usd: The limit in USD, exact to a micro-dollar.
        per: The window: day, week (from Monday), month, or total.
        provider: Of this provider.
        user: Of the requests of this user; `*` gives every user such a budget.
        tenant: Of the requests of this tenant; `*` gives every tenant such a budget.
        operation: Of this operation.
    """

    title: ClassVar[str] = "a budget"

    usd: Usd
    per: PeriodName = "day"
    provider: Name | None = None
    user: Text | None = None
    tenant: Text | None = None
    operation: Name | None = None

    def check(self) -> None:
        """A budget has one scope."""
        if len(named := [k for k in _KINDS if getattr(self, k) is not None]) > 1:
            raise BadKey(
                f"cannot stand beside `{named[0]}`: a budget has one scope, write two budgets",
                named[1],
            )

    def limit(self) -> Limit:
        """The same as the ledger keeps it."""
        scopes = (Scope(k, name) for k in _KINDS if (name := getattr(self, k)) is not None)
        return Limit(next(scopes, ENGINE), Period(self.per), round(self.usd * _MICRO))


_KINDS: Final = ("provider", "user", "tenant", "operation")
ENGINE: Final = Scope("engine")

__all__ = ["EACH", "ENGINE", "PeriodName", "SpendingConfig", "SpendingMode", "Usd"]
