"""A world for actors in tests: a clock moved by hand (or trio's), and a log of all that happens.

It takes the runtime's modules as an argument, so that a test of the real ones is a test of faulty
ones too.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import trio

from tests.support.mutants import Mutant
from understudy_actors.domain.events import Event
from understudy_actors.runtime.actor import ChildSpec, Context, Ref, Start
from understudy_actors.runtime.ports import Clock, Randomness
from understudy_actors.runtime.trace import Trace

PACKAGE = "understudy_actors.runtime"
ORDER = ("restart", "timers", "reply", "system", "life", "turn", "cell", "supervisor")
"""Modules of the runtime, each after those it imports."""


@attrs.frozen
class Runtime:
    """Where the classes under test come from."""

    timers: Any
    system: Any
    supervisor: Any


def runtime(mutant: Mutant | None = None) -> Runtime:
    """The real runtime, or copies of its modules that are built upon a faulty one."""
    names = [f"{PACKAGE}.{each}" for each in ORDER]
    real = {name: importlib.import_module(name) for name in names}
    used = dict(real)
    try:
        if mutant is not None:
            at = names.index(mutant.module)
            sys.modules[mutant.module] = used[mutant.module] = mutant.plant()
            for name in names[at + 1 :]:
                sys.modules[name] = used[name] = _copy_of(real[name])
    finally:
        sys.modules.update(real)
    return Runtime(*(used[f"{PACKAGE}.{each}"] for each in ("timers", "system", "supervisor")))


def _copy_of(module: ModuleType) -> ModuleType:
    assert module.__file__ is not None
    copy = ModuleType(module.__name__)
    copy.__file__ = module.__file__
    source = Path(module.__file__).read_text()
    exec(compile(source, module.__file__, "exec"), copy.__dict__)
    return copy


REAL = runtime()


@attrs.define
class HandClock:
    """Stands still until it is set."""

    now_s: float = 0.0

    def now(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return self.now_s


class TrioClock:
    """trio's own time, which is virtual in tests."""

    def now(self) -> float:
        return trio.current_time()

    def wall(self) -> float:
        return trio.current_time()


class World:
    """A system of actors with everything recorded."""

    def __init__(self, runtime: Runtime = REAL, clock: Clock | None = None) -> None:
        self.runtime = runtime
        self.hand = HandClock()
        self.clock: Clock = clock or self.hand
        self.errors: list[Exception] = []
        self.crashes: list[tuple[str, Exception]] = []
        self.events: list[Event] = []
        self.timers = runtime.timers.TimerWheel(self.errors.append)
        self.trace = Trace()
        self.system = runtime.system.System(
            self.clock, self.timers, Randomness(7), self.trace, on_crash=self._crashed
        )

    def listen(self) -> None:
        """Record events from now on."""
        self.trace.listen(lambda _, event: self.events.append(event))

    def supervisor(self, strategy: str = "one_for_one", **options: Any) -> Any:
        module = self.runtime.supervisor
        return module.Supervisor(self.system, module.RestartStrategy(strategy), **options)

    def spawn(self, name: str, receive: Callable[[Context, Any], Any], **options: Any) -> Ref:
        """An actor that is one function, under a supervisor of its own."""
        ref: Ref = self.supervisor().spawn(ChildSpec(name, functional(receive), **options))
        return ref

    def advance_to(self, at_s: float) -> None:
        """Move the clock by hand, from timer to timer."""
        while (due_s := self.timers.next_at()) <= at_s:
            self.hand.now_s = max(self.hand.now_s, due_s)
            self.timers.fire_due(self.hand.now_s)
        self.hand.now_s = max(self.hand.now_s, at_s)

    def _crashed(self, ref: Ref, error: Exception) -> None:
        self.crashes.append((ref.name, error))


def functional(receive: Callable[[Context, Any], Any]) -> Callable[[Start], Any]:
    """Make a `start` out of a function that handles messages."""

    class Functional:
        def __init__(self, start: Start) -> None:
            self._context = start.context

        def receive(self, message: Any) -> Any:
            return receive(self._context, message)

    return Functional
