"""Time zones by their IANA names, as the ledger's windows need them."""

from __future__ import annotations

import functools
import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1)
_DAYS_KEPT: Final = 1024


class UnknownZone(ValueError):
    """There is no such time zone on this machine."""


class IanaZone:
    """One time zone; see `understudy_actors.ledger.windows.Zone`.

    A midnight that comes twice counts the first time. One that a zone leaves out begins its day
    with the first moment after the gap.
    """

    def __init__(self, name: str) -> None:
        """Look a zone up.

        Raises:
            UnknownZone: It is not in the time zone database.
        """
        self.name = name
        try:
            self._zone = UTC if name == "UTC" else zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise UnknownZone(
                f"there is no time zone {name!r}: use an IANA name such as Europe/Berlin, or UTC "
                "(where the system has no time zone database, install the package tzdata)"
            ) from error
        self.day_start = functools.lru_cache(_DAYS_KEPT)(self._day_start)

    def __eq__(self, other: object) -> bool:
        """Zones of one name are the same."""
        return isinstance(other, IanaZone) and other.name == self.name

    def __hash__(self) -> int:
        """That of its name."""
        return hash(self.name)

    def _day_start(self, day: int) -> float:
        midnight = (_EPOCH + timedelta(days=day)).replace(tzinfo=self._zone)
        return midnight.timestamp()
