"""The provider actor: one account with its endpoints. Nobody else writes their state.

An attempt passes all scopes (see `account`) in one turn or none, and its end reaches each of them
in one turn (see `judging`). A restart forgets who the probes were, and at most a second of what
quiet attempts taught; gates, and permits that are out, survive it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from understudy_actors.domain.bulkhead import full
from understudy_actors.domain.candidate import NO_SHARE, NO_SLOT, Candidate
from understudy_actors.domain.outcome import Verdict
from understudy_actors.provider import by_hand, status
from understudy_actors.provider.account import Account, ProviderSnapshot
from understudy_actors.provider.endpoint import Endpoint
from understudy_actors.provider.gate import Refusal
from understudy_actors.provider.judging import judge
from understudy_actors.provider.messages import (
    Admit,
    Adopt,
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
from understudy_actors.runtime.actor import Context

_FULL: Final = Refusal(None, NO_SLOT)
_CROWDED: Final = Refusal(None, NO_SHARE)


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
        poison: object = None,
        elders: Sequence[Candidate] = (),
    ) -> None:
        """Build it fresh, or from what an earlier incarnation saved.

        Args:
            context: Clock, timers, trace and the place for snapshots.
            settings: Policies.
            candidates: The readings to write, one for each endpoint.
            permits: Registry of the permits that are out, kept by the request loops; those of this
                provider are owed to it still, in whatever generation they were taken.
            notify: Called with a candidate when what decides about its admission changed.
            snapshot: What the last incarnation saved, or an earlier process kept.
            poison: The message whose turn took the last incarnation down. A settlement is closed in
                the trace; it counts for nobody, since its turn was not finished.
            elders: See `Adopt`.
        """
        self._now, self._wall = context.now, context.wall
        self._trace = context.trace
        self._notify = notify
        self._account = account = Account(context, settings, candidates, notify, elders)
        self._endpoints = account.endpoints
        self._domain = account.domain
        self._tell = account.tell
        self._owed: dict[int, Permit] = {}
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
            Adopt: self._adopt,
            Describe: self._describe,
        }
        if context.incarnation > 1 or snapshot is not None:
            self._restore(snapshot, permits)
            now = self._now()  # what was saved may have been saved under another configuration
            account.adopt(Adopt(settings, candidates, elders), self._owed.values(), now)
            if isinstance(poison, Settle):
                self._close(poison.permit)
        account.changed(self._now())

    def receive(self, message: Any) -> Any:
        """One turn."""
        self._tell.cause = None
        return self._turns[type(message)](message)

    def _admit(self, message: Admit) -> Permit | Refusal:
        now = self._now()
        self._tell.cause = message.request
        endpoint = self._endpoints[message.endpoint]
        concurrency, breaker, domain = endpoint.concurrency, endpoint.breaker, self._domain
        calm = endpoint.calm
        refusal = None if calm else self._account.check(endpoint, now)
        metered = endpoint.candidate.metered
        if refusal is None and metered:
            refusal = self._account.too_much(endpoint, now, message)
        if refusal is None and concurrency.in_flight >= concurrency.capacity:
            refusal = _FULL
        elif (
            refusal is None
            and (compartments := message.compartments)
            and full(endpoint.candidate.held, compartments, concurrency.capacity)
        ):
            refusal = _CROWDED
        if refusal is not None:
            self._refused(endpoint, now)
            return refusal
        attempt = message.attempt
        proving = not calm and self._account.admit(endpoint, now, message)
        if metered:
            self._account.count(endpoint, now, message)
        load = concurrency.started()
        permit = Permit(
            attempt,
            message.endpoint,
            now,
            load,
            breaker.generation,
            not calm and breaker.is_probe(attempt),
            domain.generation if domain is not None else -1,
            not calm and domain is not None and domain.is_probe(attempt),
            endpoint.free is not None and endpoint.free.take(self._wall()),
            message.request,
            message.compartments,
        )
        self._owed[attempt] = permit
        if message.compartments:
            endpoint.hold_share(message.compartments)
        candidate = endpoint.candidate
        candidate.in_flight = load
        if candidate.elders:
            candidate.tell_elders()
        if permit.probe or permit.domain_probe or proving or permit.free:
            self._account.changed(
                now, endpoint
            )  # a free call at once: a forgotten one would cost money
        if load >= concurrency.capacity:
            self._notify(endpoint.candidate)
        if self._trace.fine:
            self._tell.taken(now, endpoint, permit)
        return permit

    def _refused(self, endpoint: Endpoint, now: float) -> None:
        """Publish what this refusal brought to light, if it did."""
        domain = self._domain
        if (
            endpoint.breaker.moves
            or (domain is not None and domain.moves)
            or endpoint.candidate.refusal(now) is None
        ):
            self._account.changed(now, endpoint)

    def _settle(self, message: Settle) -> None:
        now = self._now()
        permit = message.permit
        self._tell.cause = permit.request
        endpoint = self._endpoints[permit.endpoint]
        if self._owed.pop(permit.attempt, None) is not None:
            endpoint.concurrency.ended()
            if permit.compartments:
                endpoint.give_share_back(permit.compartments)
        elif permit.generation >= endpoint.breaker.generation:
            return  # it is back already; whoever returned while the actor was down is older
        judge(self._account, endpoint, message, now, self._wall())
        self._after(endpoint, now, permit.free and message.verdict is Verdict.VOID)
        if permit.compartments:  # somebody of its own may take the slot, though others had room
            self._notify(endpoint.candidate)

    def _after(self, endpoint: Endpoint, now: float, given_back: bool) -> None:
        """After an attempt: publish, and let a waiter know of the slot."""
        breaker, candidate, domain = endpoint.breaker, endpoint.candidate, self._domain
        if (
            not endpoint.calm
            or breaker.moves
            or given_back
            or (domain is not None and domain.moves)
        ):
            self._account.changed(now, endpoint)
            return
        was_full = candidate.in_flight >= candidate.limit
        candidate.in_flight = endpoint.concurrency.in_flight
        candidate.limit = endpoint.concurrency.capacity
        if candidate.ramp < 1.0:
            candidate.ramp = breaker.ramp(now)
        if candidate.elders:
            candidate.tell_elders()
        if was_full:
            self._notify(candidate)
        if now >= self._account.save_at:
            self._account.save(now)

    def _report(self, message: Report) -> None:
        now = self._now()
        by_hand.report(self._account, message, now, self._wall())
        self._account.changed(now)

    def _hold(self, message: HoldScope) -> None:
        now = self._now()
        by_hand.hold(self._account, message, now)
        self._account.changed(now)

    def _release(self, message: ReleaseScope) -> None:
        now = self._now()
        by_hand.release(self._account, message.endpoint, now)
        self._account.changed(now)

    def _reset(self, message: ResetScope) -> None:
        now = self._now()
        by_hand.reset(self._account, message, now)
        self._account.changed(now)

    def _administer(self, message: SetAdmin) -> None:
        now = self._now()
        by_hand.administer(self._account, message, now)
        self._account.changed(now)

    def _on_checked(self, message: Checked) -> None:
        now = self._now()
        self._check, self._checked_at = message, self._wall()
        by_hand.check(self._account, message, now)
        self._account.changed(now)

    def _on_tick(self, _message: Tick) -> None:
        self._account.changed(self._now())

    def _adopt(self, message: Adopt) -> None:
        now = self._now()
        self._account.adopt(message, self._owed.values(), now)
        self._domain = self._account.domain
        self._account.changed(now)

    def _describe(self, _message: Describe) -> list[EndpointStatus]:
        now = self._now()
        self._account.changed(now)
        return [
            status.describe(endpoint, self._account.holds, now, self._check, self._checked_at)
            for endpoint in self._endpoints.values()
            if not endpoint.gone
        ]

    def _close(self, permit: Permit) -> None:
        """Tell that a permit is back whose settlement was lost to a crash."""
        if self._trace.fine:
            endpoint, nothing = self._endpoints[permit.endpoint], Verdict.NEUTRAL
            self._tell.released(self._now(), endpoint, permit, nothing, nothing)

    def _restore(self, snapshot: ProviderSnapshot | None, permits: Mapping[int, Permit]) -> None:
        own = {n: permit for n, permit in permits.items() if permit.endpoint in self._endpoints}
        self._account.restore(snapshot, own.values(), self._now())
        for attempt, permit in own.items():
            self._owed[attempt] = permit
            self._endpoints[permit.endpoint].concurrency.started()
            self._endpoints[permit.endpoint].hold_share(permit.compartments)
        if snapshot is not None and snapshot.another:
            self._tell.taken_over(self._now(), self._account.name, self._account.holds)
            for endpoint in self._endpoints.values():
                self._tell.limit_taken_over(self._now(), endpoint)
                self._tell.taken_over(self._now(), endpoint.name, endpoint.holds)
