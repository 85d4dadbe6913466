"""The limits of whoever asks, and the actor that keeps them as an engine needs it."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.routing.turnstile import Turnstile
from understudy.store.callers import Callers, take_over
from understudy.store.keeping import Keeping
from understudy_actors.ledger.account import Scope
from understudy_actors.limits.actor import LimitsActor
from understudy_actors.limits.gate import Limits, RateLimit
from understudy_actors.runtime.actor import ChildSpec, Ref, Start
from understudy_actors.runtime.ports import Clock
from understudy_actors.runtime.supervisor import Supervisor


class Doors:
    """The limits' actor, once there are limits, and the turnstile that asks it now.

    Attributes:
        turnstile: Of the newest configuration; None while there are no limits.
    """

    def __init__(self, supervisor: Supervisor, clock: Clock, keeping: Keeping | None) -> None:
        """`keeping` is where its minutes are kept, if they are."""
        self._supervisor = supervisor
        self._clock = clock
        self._keeping = keeping
        self._keeper: Ref | None = None
        self.turnstile: Turnstile | None = None

    def open(self, limits: Sequence[RateLimit]) -> None:
        """From now on these are all limits; what counts goes on counting."""
        before, new = self.turnstile, self._needs_keeper(limits)
        self.turnstile = self._turnstile(limits) if limits else None
        asker = self.turnstile or before
        if asker is not None and not new:
            asker.replace(tuple(limits))

    def set(self, scope: Scope, limit: RateLimit | None) -> None:
        """From now on this is the limit of one scope; None takes it out."""
        limits = [] if limit is None else [limit]
        new = self._needs_keeper(limits)
        if self.turnstile is None and limits:
            self.turnstile = self._turnstile(limits)
        if self.turnstile is not None and not new:
            self.turnstile.set(scope, limit)

    def _turnstile(self, limits: Sequence[RateLimit]) -> Turnstile:
        assert self._keeper is not None
        return Turnstile(self._keeper, self._clock, {each.scope.kind for each in limits})

    def _needs_keeper(self, limits: Sequence[RateLimit]) -> bool:
        """Start the actor with these limits, if it must be and does not run yet."""
        if self._keeper is not None or not limits:
            return False
        kept = Limits(limits)
        if self._keeping is not None:
            take_over(kept, self._keeping, self._clock)
        self._keeper = self._supervisor.spawn(_keeper(kept))
        if self._keeping is not None:
            self._keeping.add(Callers(self._keeper, self._clock))
        return True


def _keeper(limits: Limits) -> ChildSpec:
    def start(begin: Start) -> LimitsActor:
        return LimitsActor(begin.context, limits, begin.poison)

    return ChildSpec("limits", start, max_restarts=5, period_s=30.0)
