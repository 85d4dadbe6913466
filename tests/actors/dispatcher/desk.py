"""A dispatcher under the real runtime, with a clock moved by hand, and flights to put to it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tests.actors.runtime.world import World
from understudy_actors.dispatcher import actor
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.dispatcher.messages import Failed, Rank, Step
from understudy_actors.dispatcher.retry import Backoff, Failure, RetryRule
from understudy_actors.dispatcher.settings import DispatcherSettings
from understudy_actors.dispatcher.strategies import BUILT_IN
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.runtime.actor import ChildSpec, Start

SURE = RetryRule(backoff=Backoff(jitter=False))
"""Waits exactly 1, 2, 4, 8 s."""


class Desk:
    """A dispatcher over `tier`, and what it reported."""

    def __init__(
        self,
        tier: list[Candidate],
        module: ModuleType = actor,
        world: World | None = None,
        **options: Any,
    ) -> None:
        self.world = world or World()
        self.tier = tier
        self.reports: list[tuple[Any, ...]] = []
        settings = DispatcherSettings(
            options.pop("strategies", BUILT_IN), **{"default_retry": SURE, **options}
        )

        def start(begin: Start) -> Any:
            return module.Dispatcher(begin.context, settings, tier, self.report, begin.snapshot)

        self.ref = self.world.supervisor().spawn(ChildSpec("dispatcher", start, max_restarts=999))

    def report(self, *what: Any) -> None:
        self.reports.append(what)

    def rank(self, flight: Flight) -> list[str]:
        return [c.spec.provider for c in self.ref.ask_now(Rank(flight)).ranked]

    def fail(
        self,
        flight: Flight,
        candidate: Candidate,
        error: ErrorClass,
        hint_s: float | None = None,
        **facts: Any,
    ) -> Step:
        """What follows when `candidate`, just asked, failed like this."""
        if candidate not in flight.tried:
            flight.tried += (candidate,)
        failure = Failure(error=error, retry_after_s=hint_s, **facts)
        step: Step = self.ref.ask_now(Failed(flight, candidate, failure))
        return step

    def crash(self) -> None:
        """Crash it, and wait until it is back."""
        self.ref.tell(object())
        self.world.advance_to(self.world.timers.next_at())
