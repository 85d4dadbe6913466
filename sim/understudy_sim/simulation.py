"""Run an async program on virtual time, so that its seed decides everything that happens."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import attrs
import trio

from understudy_sim.canary import canary_once
from understudy_sim.clock import JumpClock
from understudy_sim.control import Deviations, Policy, PolicyName, Schedule, policy_for
from understudy_sim.guard import Guard
from understudy_sim.pin import pinned
from understudy_sim.ports import Sim, sim_for
from understudy_sim.progress import STEPS_MAX, Progress, Unstoppable, Watch, steady_memory

T = TypeVar("T")


@attrs.frozen
class Simulation(Generic[T]):
    """What came of one run.

    Attributes:
        result: What `main` returned; None if it was ended instead.
        progress: `done`; or why it was ended: `deadlock` (nothing could ever happen any more),
            `livelock` (too many task steps within a virtual second), `horizon` (time was up).
        schedule_digest: 32 hex digits over the order of tasks wherever there was a choice.
        steps: Task steps, jumps of the clock and timers.
        contests: How often more than one task was ready.
        ended_at_s: Virtual time at the end.
        deviations: Contests not decided by age, if they were recorded: `Replay` takes them.
    """

    result: T | None
    progress: Progress
    schedule_digest: str
    steps: int
    contests: int
    ended_at_s: float
    deviations: Deviations


def simulate(
    main: Callable[[Sim], Awaitable[T]],
    *,
    seed: int,
    policy: PolicyName | Policy = "fifo",
    quantum: float = 0.0,
    replies_first: bool = False,
    horizon_s: float | None = None,
    steps_max: int = STEPS_MAX,
    record: bool = False,
) -> Simulation[T]:
    """Run `await main(sim)` to its end on virtual time, in an order of tasks set by the seed.

    For as long as it lasts this process must not run trio in another thread.

    Args:
        main: The program. Sockets, threads, processes and files to write are forbidden to it.
        seed: 0 to 2**64 - 1.
        policy: The order of tasks that are ready together: `fifo`, `shuffle`, `pct`, `stress`, or a
            policy.
        quantum: Time lands on multiples of this only, in seconds: 0, or a power of two.
        replies_first: On a tie, a reply beats a timeout.
        horizon_s: Virtual seconds after which the program is cancelled; None for no end.
        steps_max: Task steps within one virtual second that make a livelock.
        record: Keep the deviations from `fifo`, for `Replay`.

    Raises:
        PinFailed: This trio cannot be made deterministic.
        Forbidden: The program tried to touch the world, even if it swallowed the error.
        Unstoppable: It made no progress and would not be cancelled.
        ValueError: An argument is out of range.
        RuntimeError: Called from within trio.
        Exception: Whatever `main` raises.
    """
    if trio.lowlevel.in_trio_run():
        raise RuntimeError(
            "simulate() was called from within trio, and runs cannot be nested: call it from "
            "synchronous code"
        )
    canary_once()
    watch = Watch(steps_max=steps_max, horizon_s=math.inf if horizon_s is None else horizon_s)
    clock = JumpClock(quantum_s=quantum, replies_first=replies_first, watch=watch)
    sim = sim_for(seed, clock)
    schedule = Schedule(policy_for(policy, sim.randomness), clock, record=record)
    result = _run(main, sim, schedule)
    return Simulation(
        result=result,
        progress=watch.progress,
        schedule_digest=schedule.digest,
        steps=watch.steps,
        contests=schedule.contests,
        ended_at_s=clock.current_time(),
        deviations=schedule.deviations,
    )


def _run(main: Callable[[Sim], Awaitable[T]], sim: Sim, schedule: Schedule) -> T | None:
    guard, watch = Guard(), sim.time.watch

    async def root() -> T | None:
        with guard.on(), trio.CancelScope() as scope, watch.over(scope):
            return await main(sim)
        return None

    try:
        with steady_memory(), pinned(schedule):
            result = trio.run(root, clock=sim.time)
    except trio.TrioInternalError as error:
        if isinstance(error.__cause__, Unstoppable):
            raise error.__cause__ from None
        raise
    except Exception as error:
        if guard.breach is not None and guard.breach is not error:
            raise guard.breach from error
        if watch.progress != "done":
            error.add_note(f"raised after the simulation had been ended: {watch.progress}")
        raise
    if guard.breach is not None:
        raise guard.breach
    return result
