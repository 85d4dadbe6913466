"""What budgets will have spent, as people see it."""

from __future__ import annotations

from msgspec import Struct

from understudy_actors.ledger.money import Standing
from understudy_actors.ledger.projection import Forecast


class BudgetProjection(Struct, frozen=True, kw_only=True):
    """What one budget will have spent if things go on as they do: advice, which stops nobody.

    Attributes:
        budget: Whose and how much, in words.
        scope, name, per: As in `BudgetStanding`.
        limit_usd, spent_usd, reserved_usd: As it stands now.
        projected_usd: Spent at the end of the current window, what is reserved now included; None
            while nothing can be said, and for `total`.
        projected_percent: The same, of the limit.
        next_30_days_usd: Spent in the 30 days from now; None while nothing can be said.
        why: Why nothing can be said: it is too early in the window (less than 5 % of it), or there
            were too few charges (fewer than 20).
    """

    budget: str
    scope: str
    name: str
    per: str
    limit_usd: float
    spent_usd: float
    reserved_usd: float
    projected_usd: float | None = None
    projected_percent: float | None = None
    next_30_days_usd: float | None = None
    why: str | None = None


def budget_projection(standing: Standing, forecast: Forecast) -> BudgetProjection:
    """The same for people."""
    limit, at_end = standing.limit, forecast.at_end
    percent = None
    if at_end is not None:
        percent = round(100.0 * at_end / limit.micro_usd, 2) if limit.micro_usd else 100.0
    return BudgetProjection(
        budget=str(limit),
        scope=limit.scope.kind,
        name=limit.scope.name,
        per=limit.period.value,
        limit_usd=limit.micro_usd / 1e6,
        spent_usd=standing.spent / 1e6,
        reserved_usd=standing.reserved / 1e6,
        projected_usd=_usd(at_end),
        projected_percent=percent,
        next_30_days_usd=_usd(forecast.next_30_days),
        why=forecast.why,
    )


def _usd(micro_usd: int | None) -> float | None:
    return None if micro_usd is None else micro_usd / 1e6
