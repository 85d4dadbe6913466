"""The provider actor: one account with its endpoints. Nobody else writes their state.

Three scopes, from narrow to wide: endpoint (breaker, holds, slots, health), account (holds), and,
where a `failure_domain` is configured, the domain (breaker). An attempt passes all of them in one
turn or none, and its end reaches each with one verdict: the scope that is to blame gets the
attempt's, a wider one OK if any response arrived, a narrower one NEUTRAL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from understudy_actors.domain.candidate import NO_SLOT, Candidate
from understudy_actors.domain.outcome import POLICY, ErrorClass, HoldKind, Scope, Verdict
from understudy_actors.provider import status
from understudy_actors.provider.breaker import Breaker
from understudy_actors.provider.endpoint import Endpoint, EndpointSnapshot
from understudy_actors.provider.gate import Refusal
from understudy_actors.provider.holds import Holds, HoldsSnapshot
from understudy_actors.provider.messages import (
    Admin,
    Admit,
    Checked,
    Describe,
    EndpointStatus,
    HoldScope,
    Permit,
    ReleaseScope,
    Report,
    ResetScope,
    SetAdmin,
    Settle,
    Tick,
)
from understudy_actors.provider.settings import ProviderSettings
from understudy_actors.provider.telling import Telling
from understudy_actors.provider.transitions import BreakerSnapshot, State
from understudy_actors.runtime.actor import Context

_OK, _FAIL, _NEUTRAL, _VOID = Verdict.OK, Verdict.FAIL, Verdict.NEUTRAL, Verdict.VOID


class ProviderSnapshot(Struct, frozen=True):
    """What survives a restart of the actor."""

    endpoints: dict[str, EndpointSnapshot]
    account: HoldsSnapshot
    domain: BreakerSnapshot | None = None


class ProviderActor:
    """Admits attempts, takes their verdicts, and publishes what strategies read."""

    def __init__(
        self,
        context: Context,
        settings: ProviderSettings,
        candidates: Sequence[Candidate],
        permits: Mapping[int, Permit],
        notify: Callable[[Candidate], None],
        snapshot: ProviderSnapshot | None = None,
    ) -> None:
        """Build it fresh, or from what an earlier incarnation saved.

        Args:
            context: Clock, timers, trace and the place for snapshots.
            settings: Policies.
            candidates: The readings to write, one for each endpoint.
            permits: Registry of the permits that are out, kept by the request loops; those of this
                provider are owed to it still, in whatever generation they were taken.
            notify: Called with a candidate when what decides about its admission changed.
            snapshot: What the last incarnation saved.
        """
        self._context = context
        self._now, self._wall = context.now, context.wall
        self._settings = settings
        self._notify = notify
        draw = context.randomness.stream(f"provider/{settings.name}/{context.incarnation}").uniform
        self._endpoints = {c.name: Endpoint.fresh(c, settings, draw) for c in candidates}
        self._account = Holds(settings.holds)
        self._domain = (
            Breaker(settings.breaker, draw) if settings.failure_domain is not None else None
        )
        self._tell = Telling(context.trace, settings.name, settings.failure_domain)
        self._owed: dict[int, Permit] = {}
        self._queue_open = False
        self._timer_at: float | None = None
        self._check: Checked | None = None
        self._checked_at: float | None = None
        self._turns: dict[type, Callable[[Any], Any]] = {
            Admit: self._admit,
            Settle: self._settle,
            Report: self._report,
            HoldScope: self._hold,
            ReleaseScope: self._release,
            ResetScope: self._reset,
            SetAdmin: self._administer,
            Checked: self._on_checked,
            Tick: self._on_tick,
            Describe: self._describe,
        }
        if context.incarnation > 1:
            self._restore(snapshot, permits)
        self._publish_all(self._now())

    def receive(self, message: Any) -> Any:
        """One turn."""
        return self._turns[type(message)](message)

    # Admission

    def _admit(self, message: Admit) -> Permit | Refusal:
        now = self._now()
        endpoint = self._endpoints[message.endpoint]
        candidate, concurrency, breaker = (
            endpoint.candidate,
            endpoint.concurrency,
            endpoint.breaker,
        )
        domain, attempt = self._domain, message.attempt
        refusal = (
            self._account.check(now)
            or endpoint.holds.check(now)
            or (domain.check(now) if domain is not None else None)
            or breaker.check(now)
        )
        if refusal is not None:
            self._publish(endpoint, now)
            return refusal
        if concurrency.in_flight >= concurrency.capacity:
            return Refusal(None, NO_SLOT)
        timeout_s = message.timeout_s
        proving = self._account.admit(now, attempt, timeout_s)
        proving = endpoint.holds.admit(now, attempt, timeout_s) or proving
        domain_generation = domain.admit(now, attempt, timeout_s) if domain is not None else -1
        generation = breaker.admit(now, attempt, timeout_s)
        load = concurrency.started()
        permit = Permit(
            attempt,
            message.endpoint,
            now,
            load,
            generation,
            breaker.state is not State.CLOSED and breaker.is_probe(attempt),
            domain_generation,
            domain is not None and domain.is_probe(attempt),
            endpoint.free is not None and endpoint.free.take(self._wall()),
        )
        self._owed[attempt] = permit
        candidate.in_flight = load
        if (
            permit.probe
            or proving
            or permit.free
            or permit.domain_probe
            or load >= concurrency.capacity
        ):
            self._publish(endpoint, now)
        if self._tell.fine:
            self._tell.taken(now, endpoint, permit)
        return permit

    # Settlement

    def _settle(self, message: Settle) -> None:
        now = self._now()
        permit = message.permit
        endpoint = self._endpoints[permit.endpoint]
        owed = self._owed.pop(permit.attempt, None) is not None
        if owed:
            endpoint.concurrency.ended()
        self._judge(endpoint, message, now)
        if self._tell.fine:
            self._tell.released(now, endpoint, message, owed)
        self._after(endpoint, now, owed)

    def _judge(self, endpoint: Endpoint, message: Settle, now: float) -> None:
        """Give every scope its verdict, health its sample, and set what holds follow."""
        permit, verdict, error = message.permit, message.verdict, message.error
        policy = POLICY[error] if error is not None else None
        domain = self._domain
        blamed_wider = domain is not None and policy is not None and policy.scope is Scope.DOMAIN
        own = _NEUTRAL if blamed_wider and verdict is _FAIL else verdict
        elapsed_s = now - permit.taken_at
        heard = endpoint.breaker.release(
            now, permit.attempt, permit.generation, own, message.retry_after_s, elapsed_s
        )
        if self._tell.fine:
            self._tell.counted(now, endpoint.name, permit.attempt, permit.generation, own, heard)
        if domain is not None:
            wide = verdict if blamed_wider else _wider(message)
            domain.release(now, permit.attempt, permit.domain_generation, wide, None, elapsed_s)
        endpoint.holds.release(now, permit.attempt, verdict)
        self._account.release(now, permit.attempt, verdict)
        if verdict is _VOID:
            return
        self._observe(endpoint, message, elapsed_s, now)
        if policy is not None and policy.hold is not None:
            self._hold_for(endpoint, policy.hold, message, now)

    def _observe(self, endpoint: Endpoint, message: Settle, elapsed_s: float, now: float) -> None:
        verdict, error, health = message.verdict, message.error, endpoint.health
        guard = self._settings.guard
        if guard is not None:
            candidate = endpoint.candidate
            candidate.guard_tokens = guard.after(candidate.guard_tokens, verdict)
        cut = error is ErrorClass.SILENT or error is ErrorClass.CANCELLED
        cut_off_s = elapsed_s if cut else None
        if verdict is _OK:
            health.on_ok(now, self._wall(), elapsed_s, message.first_token_s, message.output_tokens)
            endpoint.concurrency.on_ok(message.permit.load)
        elif verdict is _FAIL:
            health.on_fail(now, self._wall(), cut_off_s)
        else:
            health.on_other(now, cut_off_s)
        if self._tell.fine:
            self._tell.scored(now, endpoint, verdict)

    def _hold_for(self, endpoint: Endpoint, kind: HoldKind, message: Settle, now: float) -> None:
        started = message.permit.taken_at
        stated = None if message.retry_after_s is None else now + message.retry_after_s
        if kind is HoldKind.RATE or kind is HoldKind.BUSY:
            backoff_s = endpoint.concurrency.on_throttle(now, started)
            if backoff_s is not None:
                self._tell.limited(now, endpoint)
            if stated is not None:
                self._set_hold(endpoint.holds, endpoint.name, now, kind, stated, started)
            if backoff_s is not None:
                self._set_hold(endpoint.holds, endpoint.name, now, kind, now + backoff_s, None)
        elif kind is HoldKind.MODEL:
            self._set_hold(endpoint.holds, endpoint.name, now, kind, stated, started)
        else:
            self._set_hold(self._account, self._settings.name, now, kind, stated, started)

    def _set_hold(
        self,
        holds: Holds,
        scope: str,
        now: float,
        kind: HoldKind,
        until: float | None,
        dispatched_at: float | None,
    ) -> None:
        hold = holds.set(now, kind, until, dispatched_at=dispatched_at)
        if hold is not None:
            self._tell.held(now, scope, hold)

    # What others do by hand

    def _report(self, message: Report) -> None:
        """An attempt without a permit: it takes one, as it were, and settles it at once."""
        now = self._now()
        endpoint = self._endpoints[message.endpoint]
        elapsed_s = message.elapsed_s or 0.0
        generation = -1
        if endpoint.breaker.check(now) is None:
            generation = endpoint.breaker.admit(now, 0, elapsed_s)
        permit = Permit(0, message.endpoint, now - elapsed_s, 1, generation, False)
        settle = Settle(permit, message.verdict, message.error, message.retry_after_s)
        self._judge(endpoint, settle, now)
        self._after(endpoint, now, True)

    def _hold(self, message: HoldScope) -> None:
        now = self._now()
        for holds, scope in self._holds_of(message.endpoint):
            self._set_hold(holds, scope, now, message.kind, message.until, None)
        self._changed(now)

    def _release(self, message: ReleaseScope) -> None:
        now = self._now()
        targets = self._holds_of(message.endpoint)
        if message.endpoint is None:
            targets += [(e.holds, e.name) for e in self._endpoints.values()]
        for holds, scope in targets:
            for hold in holds.clear(now):
                self._tell.cleared(now, scope, hold, "by hand")
        self._changed(now)

    def _reset(self, message: ResetScope) -> None:
        now = self._now()
        self._release(ReleaseScope(message.endpoint))
        for endpoint in self._chosen(message.endpoint):
            endpoint.breaker.reset(now)
            endpoint.forget()
        if self._domain is not None and message.endpoint is None:
            self._domain.reset(now)
        self._changed(now)

    def _administer(self, message: SetAdmin) -> None:
        now = self._now()
        for endpoint in self._chosen(message.endpoint):
            breaker = endpoint.breaker
            if message.state is Admin.ISOLATE:
                breaker.isolate(now)
            elif message.state is Admin.DISABLE:
                breaker.disable(now)
            else:
                breaker.enable(now)
        self._changed(now)

    def _on_checked(self, message: Checked) -> None:
        """A free check may stand in for a probe; a failed one is evidence like any other."""
        now = self._now()
        self._check, self._checked_at = message, self._wall()
        for endpoint in self._endpoints.values():
            breaker = endpoint.breaker
            breaker.tick(now)
            probing = breaker.state is State.HALF_OPEN and breaker.check(now) is None
            failed = not message.ok and breaker.state is State.CLOSED
            if probing or failed:
                generation = breaker.admit(now, 0, message.elapsed_s)
                breaker.release(now, 0, generation, _OK if message.ok else _FAIL)
        self._changed(now)

    def _on_tick(self, _message: Tick) -> None:
        self._timer_at = None
        self._changed(self._now())

    def _describe(self, _message: Describe) -> list[EndpointStatus]:
        now = self._now()
        self._publish_all(now)
        return [
            status.describe(endpoint, self._account, now, self._check, self._checked_at)
            for endpoint in self._endpoints.values()
        ]

    # Keeping others informed

    def _after(self, endpoint: Endpoint, now: float, freed: bool) -> None:
        """After an attempt: publish, tell of transitions, and let a waiter know of the slot."""
        breaker = endpoint.breaker
        candidate = endpoint.candidate
        quiet = (
            not breaker.moves
            and candidate.shut_until <= now
            and breaker.state is State.CLOSED
            and (self._domain is None or self._domain.state is State.CLOSED)
            and endpoint.holds.next_at() is None
            and self._account.next_at() is None
        )
        if quiet:
            was_full = candidate.in_flight >= candidate.limit
            candidate.in_flight = endpoint.concurrency.in_flight
            candidate.limit = endpoint.concurrency.capacity
            if candidate.ramp < 1.0:
                candidate.ramp = breaker.ramp(now)
            if freed and was_full:
                self._notify(candidate)
            return
        self._changed(now)

    def _changed(self, now: float) -> None:
        """Something rare happened: publish everything, save, and set the timer anew."""
        self._publish_all(now)
        self._context.save(self._snapshot())

    def _publish_all(self, now: float) -> None:
        for endpoint in self._endpoints.values():
            self._publish(endpoint, now)

    def _publish(self, endpoint: Endpoint, now: float) -> None:
        domain = self._domain
        wider = (self._account.check(now), domain.check(now) if domain is not None else None)
        changed = endpoint.publish(now, self._wall(), wider)
        self._tell.transitions(endpoint, self._on_closed)
        self._tell.domain_transitions(domain)
        self._tell.ended(now, self._settings.name, self._account)
        self._tell.ended(now, endpoint.name, endpoint.holds)
        if changed:
            self._notify(endpoint.candidate)
        self._set_timer(endpoint, now)

    def _on_closed(self, endpoint: Endpoint) -> None:
        endpoint.concurrency.restart()
        endpoint.candidate.limit = endpoint.concurrency.capacity

    def _set_timer(self, endpoint: Endpoint, now: float) -> None:
        """Make sure that somebody looks when the next gate is due, traffic or not."""
        domain = self._domain
        for at in (
            endpoint.breaker.next_at(),
            endpoint.holds.next_at(),
            self._account.next_at(),
            domain.next_at() if domain is not None else None,
        ):
            if at is not None and at > now and (self._timer_at is None or at < self._timer_at):
                self._timer_at = at
                self._context.tell_at(at, Tick())

    # Restart

    def _snapshot(self) -> ProviderSnapshot:
        return ProviderSnapshot(
            {name: each.snapshot() for name, each in self._endpoints.items()},
            self._account.snapshot(),
            self._domain.snapshot() if self._domain is not None else None,
        )

    def _restore(self, snapshot: ProviderSnapshot | None, permits: Mapping[int, Permit]) -> None:
        now = self._now()
        if snapshot is not None:
            self._account.restore(snapshot.account, now)
            if self._domain is not None:
                self._domain.restore(snapshot.domain, now)
            for name, endpoint in self._endpoints.items():
                endpoint.restore(snapshot.endpoints.get(name), now)
        for attempt, permit in permits.items():
            owner = self._endpoints.get(permit.endpoint)
            if owner is not None:
                self._owed[attempt] = permit
                owner.concurrency.started()

    def _holds_of(self, name: str | None) -> list[tuple[Holds, str]]:
        if name is None:
            return [(self._account, self._settings.name)]
        return [(self._endpoints[name].holds, name)]

    def _chosen(self, name: str | None) -> list[Endpoint]:
        return list(self._endpoints.values()) if name is None else [self._endpoints[name]]


def _wider(message: Settle) -> Verdict:
    """What an attempt says about a scope wider than the one to blame."""
    if message.verdict is _VOID:
        return _VOID
    return _OK if message.responded else _NEUTRAL
