"""Sees that a run makes progress, and ends one that makes none.

What is stuck is ended in three stages, each entered when the one before did not help:

    RUNNING ──trouble──▶ CANCELLED ──trouble──▶ UNSHIELDED ──trouble──▶ Unstoppable is raised

Trouble is a deadlock (nothing is ready and nothing ever will be), a livelock (tasks step and step
while virtual time stands still) or the horizon (virtual time is up).
"""

from __future__ import annotations

import contextlib
import enum
import gc
import math
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import trio

Progress: TypeAlias = Literal["done", "deadlock", "livelock", "horizon"]

STEPS_MAX: Final = 1_000_000
"""Task steps within one virtual second: some 100 000 requests in that second need as many."""
COLLECT_EVERY: Final = 20_000
"""Task steps between two garbage collections. Part of what a seed means: do not tune it."""
GRACE_S: Final = 3600.0
"""Virtual seconds that a cancelled run has to clean up."""


class Unstoppable(RuntimeError):
    """A run made no progress, and went on even after it was cancelled with every shield lifted.

    What it had open was torn down without its clean-up: end this process before the next run.
    """


class _Stage(enum.Enum):
    """How much was done to end the run."""

    RUNNING = "running"
    CANCELLED = "cancelled"
    UNSHIELDED = "unshielded"


class Watch:
    """Counts task steps, and ends the run that gets nowhere.

    Attributes:
        steps: Task steps, jumps of the clock and timers fired so far.
        progress: `done` unless the run had to be ended.
        horizon_s: Virtual time (absolute) at which the run is ended.
    """

    __slots__ = (
        "_attention_at",
        "_collect_at",
        "_livelock_at",
        "_scope",
        "_stage",
        "_steps_max",
        "_window_from_s",
        "horizon_s",
        "progress",
        "steps",
    )

    def __init__(self, *, steps_max: int = STEPS_MAX, horizon_s: float = math.inf) -> None:
        self.steps = 0
        self.progress: Progress = "done"
        self.horizon_s = horizon_s
        self._scope: trio.CancelScope | None = None
        self._stage = _Stage.RUNNING
        self._steps_max = steps_max
        self._window_from_s = 0.0
        self._livelock_at = steps_max
        self._collect_at = COLLECT_EVERY
        self._attention_at = min(self._livelock_at, self._collect_at)

    @contextlib.contextmanager
    def over(self, scope: trio.CancelScope) -> Iterator[None]:
        """Watch what runs in `scope`. Outside the block the clock waits in earnest.

        trio does so while it starts and stops, for its own wake-up calls.
        """
        self._scope = scope
        try:
            yield
        finally:
            self._scope = None
            self.horizon_s = math.inf

    def stepped(self, count: int, now_s: float) -> None:
        """Count task steps; once in a while, collect garbage and look for a livelock."""
        self.steps += count
        if self.steps >= self._attention_at:
            self._attend(now_s)

    def trouble(self, kind: Progress, now_s: float) -> bool:
        """Do the next thing that may end the run; False if nothing is being watched.

        Raises:
            Unstoppable: Everything was tried.
        """
        if self._scope is None:
            return False
        match self._stage:
            case _Stage.RUNNING:
                self.progress = kind
                self._stage = _Stage.CANCELLED
                self._scope.cancel(f"simulation ended: {kind}")
            case _Stage.CANCELLED:
                self._stage = _Stage.UNSHIELDED
                _lift_shields()
            case _Stage.UNSHIELDED:
                raise Unstoppable(
                    f"the run ended in a {self.progress} and does not let itself be cancelled: "
                    f"at {now_s:.6f} s, after {self.steps} task steps, some task catches "
                    "trio.Cancelled and goes on. Let that exception pass, and end this process: "
                    "the run was torn down without its clean-up."
                )
        self.horizon_s = now_s + GRACE_S
        return True

    def _attend(self, now_s: float) -> None:
        if self.steps >= self._collect_at:
            gc.collect(1)  # the young: what was kept so far is not looked at again
            self._collect_at = self.steps + COLLECT_EVERY
        if self.steps >= self._livelock_at:
            if now_s < self._window_from_s + 1.0:
                self.trouble("livelock", now_s)
            self._window_from_s = now_s
            self._livelock_at = self.steps + self._steps_max
        self._attention_at = min(self._livelock_at, self._collect_at)


def _lift_shields() -> None:
    """Let the cancellation reach every task, shielded or not.

    Only this run's scopes are found: what is older is frozen (see `steady_memory`).
    """
    for each in gc.get_objects():
        if type(each) is trio.CancelScope and each.shield:
            each.shield = False


@contextlib.contextmanager
def steady_memory() -> Iterator[None]:
    """Collect no garbage but at fixed steps, and none that is older than the block.

    When objects die decides when their finalizers run, which a run can observe.
    """
    was_enabled, was_frozen = gc.isenabled(), gc.get_freeze_count() > 0
    gc.disable()
    gc.freeze()
    try:
        yield
        gc.collect()  # now, while it is cheap: only what this run left behind is looked at
    finally:
        if not was_frozen:
            gc.unfreeze()
        if was_enabled:
            gc.enable()
