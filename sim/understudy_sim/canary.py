"""Before the first run: does this trio really do what its scheduler is told?"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager

import trio

from understudy_actors.runtime.ports import Randomness
from understudy_sim.clock import JumpClock
from understudy_sim.control import Schedule, Shuffle
from understudy_sim.pin import Order, PinFailed, pinned

_TASKS = 8


def canary(pin: Callable[[Order], AbstractContextManager[None]] = pinned) -> None:
    """Three tiny runs: equal seeds must give equal orders of steps, others another.

    Args:
        pin: What makes trio's order ours.

    Raises:
        PinFailed: They do not, so no simulation would be repeatable.
    """
    first, again, other = _steps(pin, 1), _steps(pin, 1), _steps(pin, 2)
    if first != again:
        raise PinFailed(_complaint("two runs of one seed stepped their tasks in different orders"))
    if first == other:
        raise PinFailed(_complaint("two seeds gave one and the same order of tasks"))


@functools.cache
def canary_once() -> None:
    """Send the canary, the first time only.

    Raises:
        PinFailed: As `canary`.
    """
    canary()


def _steps(pin: Callable[[Order], AbstractContextManager[None]], seed: int) -> list[int]:
    """Who steps when: tasks wake together from a wait, by an event and at one time."""
    steps: list[int] = []
    clock = JumpClock()
    schedule = Schedule(Shuffle(Randomness(seed)), clock)

    async def main() -> None:
        start = trio.Event()

        async def walk(number: int) -> None:
            await start.wait()
            steps.append(number)
            await trio.sleep(1.0)
            steps.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(_TASKS):
                nursery.start_soon(walk, number)
            await trio.lowlevel.checkpoint()
            start.set()

    with pin(schedule):
        trio.run(main, clock=clock)
    if schedule.contests == 0:
        raise PinFailed(_complaint("its scheduler never asked for an order"))
    return steps


def _complaint(what: str) -> str:
    return (
        f"trio {trio.__version__} cannot be made deterministic: {what}. Install a version of trio "
        "that the tests of understudy_sim pass with."
    )
