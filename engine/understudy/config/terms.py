"""What one key to this engine is for, and how far it goes: the same for every kind of key."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from understudy.config.faults import BadKey
from understudy.config.money import PeriodName, Usd
from understudy.config.section import Section
from understudy.config.values import Count, ModelName, Text
from understudy_actors.domain.rates import RateRule
from understudy_actors.ledger.account import Limit, Scope
from understudy_actors.ledger.windows import Period
from understudy_actors.limits.gate import RateLimit

ANY_MODEL: Final = "auto"
"""The name of a model by which a request says that any will do."""
_BUDGET: Final = re.compile(r"\s*\$?([0-9]+(?:\.[0-9]+)?)\s*/\s*([a-z]+)\s*")
_MICRO: Final = 1_000_000


class KeyBudget(Section, frozen=True, kw_only=True):
    """What one key may spend in each calendar window, or "10/day" for short.

    Attributes:
        usd: The limit in USD, exact to a micro-dollar.
        per: The window: hour, day, week (from Monday), month, or total.
    """

    title: ClassVar[str] = "a key's budget"
    should: ClassVar[str] = (
        'an amount in USD and its window (hour, day, week, month or total), such as "10/day", '
        "or a table"
    )

    usd: Usd
    per: PeriodName

    @classmethod
    def expand(cls, value: object) -> Mapping[Any, object] | None:
        """Read "10/day"."""
        if not isinstance(value, str):
            return super().expand(value)
        found = _BUDGET.fullmatch(value)
        return None if found is None else {"usd": float(found[1]), "per": found[2]}

    def __str__(self) -> str:
        return f"{self.usd:g}/{self.per}"


class KeyTerms(Section, frozen=True, kw_only=True):
    """What a key is for, and how far it goes.

    Attributes:
        models: The only models and groups that it may ask for, also with `*` for any letters
            (`openai/*`); left out, all. Who asks for `auto` needs `auto` or `*` here.
        requests_per_minute: Requests in any minute, however many attempts each takes.
        tokens_per_minute: Tokens in any minute, prompt and answer together.
        parallel: Requests at once.
        budgets: What it may spend, each as "10/day"; all must have room.
        user: Whom its requests are accounted to, whatever they say themselves.
        team: Whose team that is, whatever they say.
        tenant: Whose share they count in, whatever they say.
        tags: Words that its requests are accounted to, beside their own.
    """

    title: ClassVar[str] = "a key"

    models: tuple[ModelName, ...] | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    parallel: Count | None = None
    budgets: tuple[KeyBudget, ...] = ()
    user: Text | None = None
    team: Text | None = None
    tenant: Text | None = None
    tags: tuple[Text, ...] = ()

    def check(self) -> None:
        """One budget for each window."""
        periods = [each.per for each in self.budgets]
        if len(set(periods)) < len(periods):
            raise BadKey("names a window twice: give one budget for each", "budgets")

    def allows(self, model: str | None) -> bool:
        """May it ask for this model? None is any model."""
        if self.models is None:
            return True
        return _pattern(self.models).fullmatch(ANY_MODEL if model is None else model) is not None

    def spending(self, name: str) -> tuple[Limit, ...]:
        """Its budgets, as the ledger keeps those of a key of that name."""
        scope = Scope("key", name)
        return tuple(Limit(scope, Period(b.per), round(b.usd * _MICRO)) for b in self.budgets)

    def rate(self, name: str) -> RateLimit | None:
        """Its limits, as their gate keeps those of a key of that name."""
        rule = RateRule(requests=self.requests_per_minute, tokens=self.tokens_per_minute)
        if not rule.any and self.parallel is None:
            return None
        return RateLimit(Scope("key", name), rule, self.parallel)


@functools.lru_cache(maxsize=1024)
def _pattern(models: tuple[str, ...]) -> re.Pattern[str]:
    parts = (".*".join(map(re.escape, each.split("*"))) for each in models)
    return re.compile("|".join(f"(?:{each})" for each in parts), re.DOTALL)


def moment(text: str) -> float:
    """A date or a time in Unix seconds; without a zone it is UTC's.

    Raises:
        BadKey: It is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadKey(
            'must be a date or a time such as "2027-01-31" or "2027-01-31T18:00+01:00"'
        ) from None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
