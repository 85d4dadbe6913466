"""How much is kept of what was used and what it cost."""

from __future__ import annotations

from typing import Annotated, ClassVar, TypeAlias

from msgspec import Meta

from understudy.config.sections import Switchable

Days: TypeAlias = Annotated[
    int, Meta(ge=2, le=3660, extra={"should": "a whole number of days from 2 to 3660"})
]
Users: TypeAlias = Annotated[
    int, Meta(ge=0, le=100_000, extra={"should": "a whole number from 0 to 100000"})
]


class AccountsConfig(Switchable, frozen=True, kw_only=True):
    """Accounts of attempts, tokens and money, by day, provider, model and user.

    Attributes:
        enabled: False counts nothing.
        days: So many calendar days are kept.
        users: So many users (of a tenant) are named each day; further ones are counted together.
    """

    title: ClassVar[str] = "the accounts"

    days: Days = 35
    users: Users = 1000
