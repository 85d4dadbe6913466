"""What of a provider outlives the process.

The engine's clock means nothing to another process: times are kept together with both clocks of
the moment of writing, and moved to the new process's clock by the time that the wall says has
passed. A wall clock that was set back says less than nothing, so then no time has passed: a wait
that was due is waited for, and none is longer than it was.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from understudy_actors.provider.account import ProviderSnapshot
from understudy_actors.provider.endpoint import EndpointSnapshot
from understudy_actors.provider.holds import HoldsSnapshot
from understudy_actors.provider.rates import RatesSnapshot
from understudy_actors.provider.transitions import BreakerSnapshot

PREFIX: Final = "provider/"


class Remembered(Struct, frozen=True):
    """A provider as it was at `now` on that process's clock, `wall` in seconds since the epoch."""

    now: float
    wall: float
    endpoints: dict[str, EndpointSnapshot]
    account: HoldsSnapshot
    domain: BreakerSnapshot | None = None
    rates: RatesSnapshot | None = None


def remember(snapshot: ProviderSnapshot, now: float, wall: float) -> Remembered:
    """A snapshot with the clocks that its times are on."""
    rates = snapshot.rates
    return Remembered(
        now,
        wall,
        {name: each.without_gates(now) for name, each in snapshot.endpoints.items()},
        snapshot.account,
        snapshot.domain,
        rates.snapshot(now) if rates is not None else None,
    )


def recall(remembered: Remembered, now: float, wall: float) -> ProviderSnapshot:
    """The same as a snapshot on the clock of this process."""
    by_s = now - remembered.now - max(0.0, wall - remembered.wall)
    return ProviderSnapshot(
        {name: each.moved(by_s) for name, each in remembered.endpoints.items()},
        remembered.account.moved(by_s),
        remembered.domain.moved(by_s) if remembered.domain is not None else None,
        None,
        remembered.rates.moved(by_s) if remembered.rates is not None else None,
        another=True,
    )
