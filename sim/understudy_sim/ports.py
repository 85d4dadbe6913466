"""The engine's ports in a simulation: a clock that a fault can put wrong, and ids that count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from understudy_actors.runtime.ports import Randomness
from understudy_sim.clock import EPOCH_S, JumpClock

SEED_MAX: Final = 2**64 - 1


class SimClock:
    """The clock port: monotonic time is trio's, wall time is derived from it.

    Attributes:
        now: Virtual seconds since the start; never jumps back.
        epoch_s: Wall time at the start, in seconds since the Unix epoch.
        skew_s: By how much the wall clock is wrong now. A clock fault sets it, either way.
    """

    __slots__ = ("epoch_s", "now", "skew_s")

    def __init__(self, now: Callable[[], float], *, epoch_s: float = EPOCH_S) -> None:
        self.now = now  # the function itself: it is read several times a request
        self.epoch_s = epoch_s
        self.skew_s = 0.0

    def wall(self) -> float:
        """Seconds since the Unix epoch, as this machine believes."""
        return self.epoch_s + self.now() + self.skew_s


class SerialIds:
    """req-000001, req-000002, ..."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made = 0

    def request_id(self) -> str:
        """The next id of this run."""
        self._made += 1
        return f"req-{self._made:06}"


@attrs.frozen
class Sim:
    """What a simulated program is given.

    Attributes:
        seed: All its chance.
        randomness: Draws keyed by that seed.
        clock: The engine's clock port; set its `skew_s` to put the wall clock wrong.
        ids: The engine's id port.
        time: The virtual clock itself: cheap sleeps, timers, and `freeze_all`.
    """

    seed: int
    randomness: Randomness
    clock: SimClock
    ids: SerialIds
    time: JumpClock


def sim_for(seed: int, time: JumpClock) -> Sim:
    """The ports of one run.

    Raises:
        ValueError: `seed` does not fit into 64 bits.
    """
    if not 0 <= seed <= SEED_MAX:
        raise ValueError(f"seed {seed} does not fit into 64 bits: take one from 0 to 2**64 - 1")
    clock = SimClock(time.current_time)
    return Sim(seed=seed, randomness=Randomness(seed), clock=clock, ids=SerialIds(), time=time)
