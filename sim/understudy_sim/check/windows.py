"""The law of where money is booked: in the window that held the time of its reservation."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

from understudy_actors.domain.money_events import (
    MoneyCharged,
    MoneyRefused,
    MoneyReserved,
    Windows,
)
from understudy_actors.domain.store_events import BooksTaken
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch, Witness

_HOUR_S: Final = 3_600.0
_DAY_S: Final = 24 * _HOUR_S
_SHIFT_S: Final = 2 * _HOUR_S
_LENGTHS: Final = {
    "hour": (0.0, _HOUR_S),
    "day": (_DAY_S - _SHIFT_S, _DAY_S + _SHIFT_S),
    "week": (7 * _DAY_S - _SHIFT_S, 7 * _DAY_S + _SHIFT_S),
    "month": (28 * _DAY_S - _SHIFT_S, 31 * _DAY_S + _SHIFT_S),
}
"""The shortest and the longest window of each kind, whatever a zone does to its clocks."""
_WINDOWS_MAX: Final = 4096
_Span: TypeAlias = tuple[float, float]


class Bookings(Watch):
    """S15. A clock that was set back opens no window anew: then the latest one holds the time."""

    name = "S15"
    claim = "a charge is in the window that held the time of its reservation; windows tile time"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._latest = -math.inf
        self._last: dict[str, tuple[_Span, Witness]] = {}
        self._loans: dict[int, tuple[Windows, Witness]] = {}
        self.hears = {
            MoneyReserved: self._reserved,
            MoneyRefused: self._refused,
            MoneyCharged: self._charged,
            BooksTaken: self._taken,
        }

    def _refused(self, seq: int, event: MoneyRefused) -> None:  # noqa: ARG002
        self._latest = max(self._latest, event.wall)

    def _taken(self, seq: int, event: BooksTaken) -> None:  # noqa: ARG002
        if math.isfinite(event.since):  # the process before this one has seen that time
            self._latest = max(self._latest, event.since)

    def _reserved(self, seq: int, event: MoneyReserved) -> Violation | None:
        here = seq, event
        self._latest = max(self._latest, event.wall)
        self._loans[event.reservation] = event.windows, here
        found = None
        for budget, window in event.windows.items():
            span = _span(window)
            found = found or self._placed(budget, span, event, here)
            found = found or self._tiled(budget, span, here)
        if len(self._last) > _WINDOWS_MAX:
            del self._last[next(iter(self._last))]
        return found

    def _placed(
        self, budget: str, span: _Span, event: MoneyReserved, here: Witness
    ) -> Violation | None:
        """Does the window hold the time?"""
        start, end = span
        if start <= self._latest and event.wall < end:
            return None
        said = f"{event.wall:.0f} is not in the window of {budget}, {start:.0f} to {end:.0f}"
        return self.broken("elsewhere", said, here)

    def _tiled(self, budget: str, span: _Span, here: Witness) -> Violation | None:
        """Is it as long as its kind, and does it follow the last one without an overlap?"""
        start, end = span
        least_s, most_s = _LENGTHS.get(budget.rpartition(" ")[2], (0.0, math.inf))
        if not least_s <= end - start <= most_s:
            said = f"a window of {budget} is {(end - start) / _HOUR_S:.1f} hours long"
            return self.broken("length", said, here)
        last = self._last.pop(budget, None)
        self._last[budget] = span, here
        if last is None or last[0] == span or start >= last[0][1]:
            return None
        said = f"two windows of {budget} overlap, and are not the same"
        return self.broken("overlap", said, last[1], here)

    def _charged(self, seq: int, event: MoneyCharged) -> Violation | None:
        windows, reserved = self._loans.pop(event.reservation, ({}, None))
        if reserved is None or event.windows == windows:
            return None
        said = f"reservation {event.reservation} was charged in another window than it was made in"
        return self.broken("moved", said, reserved, (seq, event))


def _span(window: tuple[int, ...]) -> _Span:
    return (window[0], window[1]) if window else (-math.inf, math.inf)
