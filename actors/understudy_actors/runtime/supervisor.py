"""Who restarts actors that crash, when, and when no longer.

The decisions are `restart.py`'s arithmetic; a supervisor sets the timers and does what was decided.
Under REST_FOR_ONE an actor depends on those that were started before it: when one of them goes
down, so does it, and it comes back after them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from functools import partial
from typing import Any

from understudy_actors.runtime.actor import ChildSpec, Ref, State
from understudy_actors.runtime.cell import Cell
from understudy_actors.runtime.restart import Backoff, RestartIntensity
from understudy_actors.runtime.system import OnCrash, System


class RestartStrategy(enum.Enum):
    """Who is restarted when one child crashes. The words are OTP's."""

    ONE_FOR_ONE = "one_for_one"  # that child
    REST_FOR_ONE = "rest_for_one"  # that child, then all that were started after it, in order


class Child:
    """A cell with its restart arithmetic. `due`: it may start as soon as those before it run."""

    __slots__ = ("backoff", "cell", "crashes", "due", "intensity", "why")

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.intensity = RestartIntensity(cell.spec.max_restarts, cell.spec.period_s)
        self.backoff = Backoff()
        self.crashes = 0
        self.due = False
        self.why = "first start"

    @property
    def is_down(self) -> bool:
        """Is it waiting to be started?"""
        return self.cell.state in (State.SUSPENDED, State.UNAVAILABLE)


class Supervisor:
    """Starts children and restarts them: each as often as its intensity allows."""

    def __init__(
        self,
        system: System,
        strategy: RestartStrategy = RestartStrategy.ONE_FOR_ONE,
        children: Iterable[ChildSpec] = (),
        escalate: OnCrash | None = None,
    ) -> None:
        """`escalate` hears of children that crash too often and have no `retry_after_s`."""
        self._system = system
        self._strategy = strategy
        self._escalate = escalate
        self._children: dict[str, Child] = {}
        for spec in children:
            self.spawn(spec)

    def spawn(self, spec: ChildSpec) -> Ref:
        """Start a child after all others.

        Raises:
            ValueError: Its name is taken, or nobody would hear of its failure.
            ShuttingDown: The system has been stopped.
            Exception: Whatever its first start raises; it is then no child.
        """
        if spec.retry_after_s is None and self._escalate is None:
            raise ValueError(f"{spec.name}: set retry_after_s, or give its supervisor `escalate`.")
        cell = Cell(self._system, self, spec)
        self._system.enrol(cell)
        self._children[spec.name] = Child(cell)
        try:
            cell.begin("first start")
        except BaseException:
            del self._children[spec.name]
            self._system.dismiss(spec.name)
            cell.go_down(State.STOPPED, None)  # whoever it gave its address to finds nobody
            raise
        self._drain()
        return cell

    def remove(self, name: str) -> None:
        """Stop a child and forget it; its name becomes free. In its own turn: after the turn.

        Raises:
            LookupError: There is no such child.
        """
        if name not in self._children:
            raise LookupError(f"no child named {name!r} to remove; there are {[*self._children]}")
        child = self._children.pop(name)
        self._system.dismiss(name)
        child.cell.retire()
        self._drain()

    def child(self, name: str) -> Ref:
        """The address of a child. Raises `KeyError` if there is none of that name."""
        return self._children[name].cell

    def crashed(self, cell: Cell, message: Any, error: Exception) -> None:
        """A turn of `cell` raised (its cell calls this)."""
        if cell.state is not State.RUNNING:
            # It was taken down in the middle of this turn: what happens to it is decided already.
            cell.crashed(type(message).__name__, error)
            return
        cell.poison = message
        cell.door.crashed(type(message), self._system.clock.now())
        self._fall(self._children[cell.name], type(message).__name__, error)

    def revive(self, cell: Cell) -> None:
        """Start `cell` now, whatever its intensity says (its cell calls this)."""
        child = self._children[cell.name]
        child.due, child.why = True, "revived"
        self._restart()

    def _fall(self, child: Child, kind: str, error: Exception) -> None:
        """Take down a child that crashed, and decide when it comes back."""
        cell, now_s = child.cell, self._system.clock.now()
        retry_s = cell.spec.retry_after_s
        chance = self._system.randomness.uniform(f"restart/{cell.name}", child.crashes)
        child.crashes += 1
        wait_s = child.backoff.wait_s(now_s, chance)
        if child.intensity.allows(now_s):
            child.why = f"crashed on {kind}"
            self._take_down(child, State.SUSPENDED, now_s + wait_s)
            cell.crashed(kind, error)
            return
        child.why = "retry after giving up"
        retry_at = None if retry_s is None else now_s + retry_s
        self._take_down(child, State.UNAVAILABLE, retry_at)
        cell.crashed(kind, error)
        cell.herald.gave_up(child.intensity.recent, retry_at)
        if retry_at is None and self._escalate is not None:
            self._system.guard("escalate", self._escalate, cell, error)

    def _take_down(self, child: Child, state: State, restart_at: float | None) -> None:
        child.due = False
        child.cell.go_down(state, restart_at)
        if restart_at is not None:
            come_due = partial(self._come_due, child)
            child.cell.restart_timer = self._system.timers.at(restart_at, come_due)
        if self._strategy is RestartStrategy.REST_FOR_ONE:
            for other in reversed(self._started_after(child)):
                self._hold_back(other, child, restart_at)

    def _hold_back(self, other: Child, cause: Child, restart_at: float | None) -> None:
        """Keep `other` down until `cause`, which it depends on, runs again."""
        if other.cell.state is State.RUNNING:
            other.due, other.why = True, f"{cause.cell.name} went down"
            other.cell.go_down(State.SUSPENDED, restart_at, healthy=True)
        elif other.due:
            other.cell.restart_at = restart_at

    def _started_after(self, child: Child) -> list[Child]:
        names = [*self._children]
        return [self._children[name] for name in names[names.index(child.cell.name) + 1 :]]

    def _come_due(self, child: Child) -> None:
        child.due = True
        self._restart()

    def _restart(self) -> None:
        """Start every child that is due, in order."""
        if self._system.stack:  # revived in a turn: no incarnation begins inside a turn
            self._system.timers.at(self._system.clock.now(), self._restart)
            return
        blocker: Child | None = None
        for child in [*self._children.values()]:
            if blocker is not None:
                self._hold_back(child, blocker, blocker.cell.restart_at)
            elif child.is_down and child.due:
                self._start(child)
            if child.is_down and self._strategy is RestartStrategy.REST_FOR_ONE:
                blocker = blocker or child
        self._drain()

    def _start(self, child: Child) -> None:
        try:
            child.cell.begin(child.why)
        except Exception as error:
            self._fall(child, "start", error)
        except BaseException:
            self._system.timers.at(self._system.clock.now(), self._restart)
            raise
        else:
            child.due = False

    def _drain(self) -> None:
        if not self._system.stack:
            self._system.drain()
