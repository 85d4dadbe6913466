"""The limits of whoever asks, and the actor that keeps them as an engine needs it."""

from __future__ import annotations

from understudy.config import Config
from understudy.routing.turnstile import Turnstile
from understudy_actors.limits.actor import LimitsActor
from understudy_actors.limits.gate import Limits, RateLimit
from understudy_actors.runtime.actor import ChildSpec, Start
from understudy_actors.runtime.ports import Clock
from understudy_actors.runtime.supervisor import Supervisor


def turnstile_of(config: Config, supervisor: Supervisor, clock: Clock) -> Turnstile | None:
    """Start the limits' actor if there are any, and make what asks it."""
    limits = [each.limit() for each in config.limits]
    if not limits:
        return None
    keeper = supervisor.spawn(_keeper(limits))
    return Turnstile(keeper, clock, {each.scope.kind for each in limits})


def _keeper(limits: list[RateLimit]) -> ChildSpec:
    def start(begin: Start) -> LimitsActor:
        kept = begin.snapshot if begin.snapshot is not None else Limits(limits)
        return LimitsActor(begin.context, kept, begin.poison)

    return ChildSpec("limits", start, max_restarts=5, period_s=30.0)
