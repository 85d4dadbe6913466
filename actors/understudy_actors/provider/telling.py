"""Turns what happens inside a provider actor into events."""

from __future__ import annotations

from understudy_actors.domain.events import (
    BreakerCounted,
    BreakerMoved,
    BreakerStale,
    HoldCleared,
    HoldSet,
    LimitSet,
    PermitReleased,
    PermitTaken,
    ScoreSet,
    SlotFreed,
    SlotTaken,
)
from understudy_actors.domain.outcome import Verdict
from understudy_actors.domain.rate_events import RateLearned, RateShut
from understudy_actors.domain.rates import Unit
from understudy_actors.domain.store_events import HoldTaken, LimitTaken
from understudy_actors.provider.breaker import Breaker
from understudy_actors.provider.endpoint import Endpoint
from understudy_actors.provider.gate import Refusal
from understudy_actors.provider.holds import Hold, Holds
from understudy_actors.provider.messages import Permit
from understudy_actors.provider.transitions import Move, State
from understudy_actors.runtime.trace import Trace


class Telling:
    """Emits one provider's events.

    Attributes:
        trace: Where they go.
        cause: The request whose attempt brings about what is told; None for time and by hand.
    """

    __slots__ = ("_domain", "_slowed", "cause", "trace")

    def __init__(self, trace: Trace, provider: str, domain: str | None) -> None:
        self.trace = trace
        self.cause: str | None = None
        self._slowed: dict[str, float | None] = {}
        self.in_domain(provider, domain)

    def in_domain(self, provider: str, domain: str | None) -> None:
        """It shares this failure domain from now on."""
        # Each provider that shares the domain has a view, and a breaker, of its own.
        self._domain = f"domain {domain} of {provider}"

    def taken(self, now: float, endpoint: Endpoint, permit: Permit) -> None:
        """A permit was lent, and a slot with it."""
        emit, attempt = self.trace.emit_fine, permit.attempt
        for scope, generation, probe in self._scopes(endpoint, permit):
            emit(
                PermitTaken(
                    at_s=now,
                    permit=attempt,
                    scope=scope,
                    generation=generation,
                    probe=probe,
                    request=self.cause,
                )
            )
        name, cause = endpoint.name, self.cause
        load = permit.load
        emit(SlotTaken(at_s=now, endpoint=name, permit=attempt, in_flight=load, request=cause))

    def released(
        self, now: float, endpoint: Endpoint, permit: Permit, own: Verdict, wide: Verdict
    ) -> None:
        """A permit came back with a verdict for each scope, and its slot with it."""
        emit, attempt = self.trace.emit_fine, permit.attempt
        scopes = self._scopes(endpoint, permit)
        for verdict, (scope, generation, probe) in zip((own, wide), scopes, strict=False):
            emit(
                PermitReleased(
                    at_s=now,
                    permit=attempt,
                    scope=scope,
                    generation=generation,
                    verdict=verdict.value,
                    probe=probe,
                    request=self.cause,
                )
            )
        name, cause = endpoint.name, self.cause
        load = endpoint.concurrency.in_flight
        emit(SlotFreed(at_s=now, endpoint=name, permit=attempt, in_flight=load, request=cause))

    def _scopes(self, endpoint: Endpoint, permit: Permit) -> list[tuple[str, int, bool]]:
        """The breakers that a permit is from: the endpoint's, and the domain's if there is one."""
        scopes = [(endpoint.name, permit.generation, permit.probe)]
        if permit.domain_generation >= 0:
            scopes.append((self._domain, permit.domain_generation, permit.domain_probe))
        return scopes

    def counted(
        self,
        now: float,
        endpoint: str | None,
        permit: int,
        generation: int,
        verdict: Verdict,
        heard: bool,
    ) -> None:
        """An endpoint's breaker (None: the domain's) heard a verdict, or found it stale."""
        scope = self._domain if endpoint is None else endpoint
        if not heard:
            self.trace.emit_fine(
                BreakerStale(
                    at_s=now,
                    scope=scope,
                    permit=permit,
                    generation=generation,
                    request=self.cause,
                )
            )
        elif verdict is Verdict.OK or verdict is Verdict.FAIL:
            self.trace.emit_fine(
                BreakerCounted(
                    at_s=now,
                    scope=scope,
                    permit=permit,
                    generation=generation,
                    verdict=verdict.value,
                    request=self.cause,
                )
            )

    def scored(
        self, now: float, endpoint: Endpoint, verdict: Verdict, before: tuple[float, float] | None
    ) -> None:
        """An endpoint's score moved; `before` is its success and latency without the verdict."""
        health = endpoint.health
        success_before, latency_before_s = before or (None, None)
        self.trace.emit_fine(
            ScoreSet(
                at_s=now,
                endpoint=endpoint.name,
                cause=verdict.value,
                success=health.success(now),
                latency_s=health.latency_s(now, 0.0, 1.0),
                success_before=success_before,
                latency_before_s=latency_before_s,
                request=self.cause,
            )
        )

    def limited(self, now: float, endpoint: Endpoint) -> None:
        """An endpoint's concurrency limit was cut, or restarted."""
        if self.trace.on:
            limit = endpoint.concurrency.limit
            self.trace.emit(
                LimitSet(at_s=now, endpoint=endpoint.name, limit=limit, request=self.cause)
            )

    def learned(self, now: float, endpoint: Endpoint, unit: Unit) -> None:
        """A provider said another limit a minute than the one that was kept so far."""
        if self.trace.on and endpoint.rates is not None:
            limit = endpoint.rates.minutes[unit].limit(now)
            self.trace.emit(
                RateLearned(
                    at_s=now,
                    endpoint=endpoint.name,
                    unit=unit.value,
                    limit=int(limit),
                    request=self.cause,
                )
            )

    def slowed(self, now: float, scope: str, slow: Refusal | None) -> None:
        """What a scope's limits a minute say to the least of calls; told when that changes."""
        until = None if slow is None else slow.retry_at
        if self._slowed.get(scope) == until:
            return
        self._slowed[scope] = until
        if self.trace.fine:
            shut = RateShut(at_s=now, scope=scope, until=until, request=self.cause)
            self.trace.emit_fine(shut)

    def taken_over(self, now: float, scope: str, holds: Holds) -> None:
        """What held a scope in an earlier process holds it still."""
        if self.trace.on:
            for kind in holds.kinds:
                self.trace.emit(HoldTaken(at_s=now, scope=scope, why=kind.value))

    def limit_taken_over(self, now: float, endpoint: Endpoint) -> None:
        """An endpoint's concurrency limit goes on where an earlier process left it."""
        if self.trace.on:
            known = endpoint.concurrency.snapshot()
            name, threshold = endpoint.name, known.threshold
            event = LimitTaken(at_s=now, endpoint=name, limit=known.limit, threshold=threshold)
            self.trace.emit(event)

    def held(self, now: float, scope: str, hold: Hold, stated: bool) -> None:
        """A hold was set, until a time that its provider `stated` or we chose."""
        if self.trace.on:
            until, why, cause = hold.until, hold.why, self.cause
            self.trace.emit(
                HoldSet(at_s=now, scope=scope, until=until, why=why, stated=stated, request=cause)
            )

    def cleared(self, now: float, scope: str, hold: Hold, how: str) -> None:
        """A hold ended."""
        if self.trace.on:
            self.trace.emit(HoldCleared(at_s=now, scope=scope, why=f"{hold.why}: {how}"))

    def ended(self, now: float, scope: str, holds: Holds) -> None:
        """Tell of the holds that ended by time."""
        while holds.ended:
            self.cleared(now, scope, holds.ended.popleft(), "over")

    def transitions(self, endpoint: Endpoint, now: float) -> None:
        """Make an endpoint's due transitions, and tell of all that happened, in order."""
        endpoint.breaker.tick(now)
        moves = endpoint.breaker.moves
        while moves:
            move = moves.popleft()
            self._moved(endpoint.name, move)
            if move.target is State.CLOSED and move.source is State.HALF_OPEN:
                endpoint.concurrency.restart()
                self.limited(now, endpoint)

    def domain_transitions(self, domain: Breaker | None) -> None:
        """Tell of the domain breaker's transitions."""
        while domain is not None and domain.moves:
            self._moved(self._domain, domain.moves.popleft())

    def _moved(self, scope: str, move: Move) -> None:
        if self.trace.on:
            self.trace.emit(
                BreakerMoved(
                    at_s=move.at_s,
                    scope=scope,
                    source=move.source.value,
                    target=move.target.value,
                    generation=move.generation,
                    why=move.why,
                    until=move.until,
                    exponent=move.exponent,
                    retry_after=move.retry_after,
                    request=self.cause,
                )
            )
