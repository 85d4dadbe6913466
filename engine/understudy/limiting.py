"""The limits of whoever asks, and the actor that keeps them as an engine needs it."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.routing.turnstile import Turnstile
from understudy.store.callers import Callers, take_over
from understudy.store.keeping import Keeping
from understudy_actors.limits.actor import LimitsActor
from understudy_actors.limits.gate import Limits, RateLimit
from understudy_actors.runtime.actor import ChildSpec, Start
from understudy_actors.runtime.ports import Clock
from understudy_actors.runtime.supervisor import Supervisor


def turnstile_of(
    limits: Sequence[RateLimit],
    supervisor: Supervisor,
    clock: Clock,
    keeping: Keeping | None = None,
) -> Turnstile | None:
    """Start the limits' actor if there are any, and make what asks it.

    `keeping` is where its minutes are kept, if they are.
    """
    if not limits:
        return None
    kept = Limits(limits)
    if keeping is not None:
        take_over(kept, keeping, clock)
    keeper = supervisor.spawn(_keeper(kept))
    if keeping is not None:
        keeping.add(Callers(keeper, clock))
    return Turnstile(keeper, clock, {each.scope.kind for each in limits})


def _keeper(limits: Limits) -> ChildSpec:
    def start(begin: Start) -> LimitsActor:
        return LimitsActor(begin.context, limits, begin.poison)

    return ChildSpec("limits", start, max_restarts=5, period_s=30.0)
