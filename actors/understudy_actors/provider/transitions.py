"""What a breaker is, was and becomes: its states, its transitions, its snapshot."""

from __future__ import annotations

import enum

from msgspec import Struct
from msgspec.structs import replace

from understudy_actors.provider.windows import Tally


class State(enum.Enum):
    """What a breaker admits."""

    CLOSED = "closed"  # every attempt
    OPEN = "open"  # none, until the cooldown is over
    HALF_OPEN = "half-open"  # a few probes, each under a lease
    ISOLATED = "isolated"  # none, until a hand enables it
    DISABLED = "disabled"  # every attempt, and nothing is counted


class Move(Struct, frozen=True):
    """One transition. `until`, `exponent` and `retry_after` explain a cooldown.

    `source` equals `target` when a closed breaker was reset or any was restored.
    """

    at_s: float
    source: State
    target: State
    generation: int  # the new one
    why: str
    until: float | None = None
    exponent: int = 0
    retry_after: float | None = None


class BreakerSnapshot(Struct, frozen=True):
    """All that a breaker knows but its probes; times are on the engine's clock."""

    state: State
    generation: int
    exponent: int = 0
    until: float | None = None
    since: float = 0.0
    ramp_end: float | None = None
    run: int = 0
    ok_in_row: int = 0
    inconclusive: int = 0
    short: tuple[Tally, ...] = ()
    long: tuple[Tally, ...] = ()

    def moved(self, by_s: float) -> BreakerSnapshot:
        """The same on a clock that shows `by_s` more, such as another process's."""
        return replace(
            self,
            until=None if self.until is None else self.until + by_s,
            since=self.since + by_s,
            ramp_end=None if self.ramp_end is None else self.ramp_end + by_s,
            short=tuple((at + by_s, n, bad) for at, n, bad in self.short),
            long=tuple((at + by_s, n, bad) for at, n, bad in self.long),
        )
