"""Prices change: a warning, once, when those that were published are in use and old."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from understudy.prices import bundled_table
from understudy_actors.domain.candidate import EndpointSpec

_DAY_S: Final = 86_400


class OldPrices(Struct, frozen=True):
    """Prices of `as_of` (ISO date), so many days ago, and the endpoints that use them."""

    as_of: str
    days: int
    endpoints: tuple[str, ...]

    def __str__(self) -> str:
        names = ", ".join(self.endpoints[:3]) + (", ..." if len(self.endpoints) > 3 else "")
        return (
            f"the published prices are of {self.as_of}, {self.days} days ago, and {names} "
            f"{'uses' if len(self.endpoints) == 1 else 'use'} them: set `price` for what has "
            "changed, or install a newer understudy"
        )


def old_prices(specs: Iterable[EndpointSpec], wall: float, max_age_s: float) -> OldPrices | None:
    """Whoever is enabled and relies on published prices older than `max_age_s` at `wall`, if any.

    `wall` is the time in Unix seconds.
    """
    table = bundled_table()
    days = table.age_days(wall)
    using = tuple(each.name for each in specs if each.enabled and each.price_as_of is not None)
    return OldPrices(table.as_of, days, using) if using and days * _DAY_S > max_age_s else None
