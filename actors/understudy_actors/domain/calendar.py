"""The civil calendar in whole days, counted from 1970-01-01 (day 0).

Source: Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that the
leap day is the last one.
"""

from __future__ import annotations

from typing import Final, Protocol

_EPOCH: Final = 719_468  # days from 0000-03-01 to 1970-01-01
_ERA_DAYS: Final = 146_097  # of 400 years


class Zone(Protocol):
    """A time zone.

    Law: `day_start` never falls as days go up.
    """

    def day_start(self, day: int) -> float:
        """When a local day begins, in seconds since the Unix epoch.

        `day` counts calendar days; day 0 is 1970-01-01.
        """
        ...


def month_of(day: int) -> int:
    """Months since 0000-03 of a day."""
    era, of_era = divmod(day + _EPOCH, _ERA_DAYS)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    return (era * 400 + year) * 12 + (5 * of_year + 2) // 153


def first_day(month: int) -> int:
    """The first day of a month counted as `month_of` does."""
    years, of_year = divmod(month, 12)
    era, year = divmod(years, 400)
    before = 365 * year + year // 4 - year // 100 + (153 * of_year + 2) // 5
    return era * _ERA_DAYS + before - _EPOCH
