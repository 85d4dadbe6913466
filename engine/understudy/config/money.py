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
PeriodName: TypeAlias = Literal["hour", "day", "week", "month", "total"]
SpendingMode: TypeAlias = Literal["strict", "fit_max_tokens", "expected"]

_MICRO: Final = 1_000_000


class SpendingConfig(Section, frozen=True, kw_only=True):
    """One budget: what one scope may spend in each calendar window; without a scope, the engine.

    Attributes:
        usd: The limit in USD, exact to a micro-dollar.
        per: The window: hour, day, week (from Monday), month, or total.
        provider: Of this provider. Several API keys of one vendor are several providers.
        key: Of the requests that came with this key to the engine (`Request.key`, its id); `*`
            gives every key such a budget, as it does every user, team, tenant, tag and route.
        user: Of the requests of this user.
        team: Of the requests of this team.
        tenant: Of the requests of this tenant.
        tag: Of the requests with this word among their `tags` or `labels`; each word pays.
        route: Of the requests that asked for this model or group, or, if they named none, for this
            operation.
        operation: Of this operation.
        hedges: Of all second copies of requests (see `hedge` and `stream.hedge`).
    """

    title: ClassVar[str] = "a budget"

    usd: Usd
    per: PeriodName = "day"
    provider: Name | None = None
    key: Text | None = None
    user: Text | None = None
    team: Text | None = None
    tenant: Text | None = None
    tag: Text | None = None
    route: Text | None = None
    operation: Name | None = None
    hedges: bool = False

    def check(self) -> None:
        """A budget has one scope."""
        named = [each for each in _KINDS if getattr(self, each) is not None]
        if self.hedges:
            named.append("hedges")
        if len(named) > 1:
            raise BadKey(
                f"cannot stand beside `{named[0]}`: a budget has one scope, write two budgets",
                named[1],
            )

    def limit(self) -> Limit:
        """The same as the ledger keeps it."""
        return Limit(self._scope(), Period(self.per), round(self.usd * _MICRO))

    def _scope(self) -> Scope:
        if self.hedges:
            return HEDGES
        scopes = (Scope(k, name) for k in _KINDS if (name := getattr(self, k)) is not None)
        return next(scopes, ENGINE)


_KINDS: Final = ("provider", "key", "user", "team", "tenant", "tag", "route", "operation")
ENGINE: Final = Scope("engine")
HEDGES: Final = Scope("hedges")

__all__ = ["EACH", "ENGINE", "HEDGES", "PeriodName", "SpendingConfig", "SpendingMode", "Usd"]
