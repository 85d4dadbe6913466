"""One account: its endpoints, its holds, its failure domain's breaker, and what others see of it.

Three scopes, from narrow to wide: endpoint (breaker, holds, slots, health), account (holds), and,
where a `failure_domain` is configured, the domain (breaker).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.outcome import HoldKind
from understudy_actors.provider.breaker import Breaker
from understudy_actors.provider.endpoint import GONE, Endpoint, EndpointSnapshot
from understudy_actors.provider.gate import Refusal
from understudy_actors.provider.holds import Holds, HoldsSnapshot
from understudy_actors.provider.messages import Admit, Adopt, Permit, Settle, Tick
from understudy_actors.provider.rates import Rates, RatesSnapshot, limited
from understudy_actors.provider.settings import ProviderSettings
from understudy_actors.provider.telling import Telling
from understudy_actors.provider.transitions import BreakerSnapshot, State
from understudy_actors.runtime.actor import Context
from understudy_actors.runtime.ports import TimerHandle

RAMP_STEP_S: Final = 1.0
"""While an endpoint's weight recovers it is published anew this often, with or without traffic."""
SAVE_EVERY_S: Final = 1.0
"""What is learned from attempts that change no gate is saved this often: a crash loses no more."""


class ProviderSnapshot(Struct, frozen=True):
    """What survives a restart of the actor. `rates` is the gate itself: see there.

    In one that comes from `another` process, `counted` stands in its place.
    """

    endpoints: dict[str, EndpointSnapshot]
    account: HoldsSnapshot
    domain: BreakerSnapshot | None = None
    rates: Rates | None = None
    counted: RatesSnapshot | None = None
    another: bool = False


class Account:
    """All machines that one provider actor owns.

    Attributes:
        name: The provider's.
        endpoints: By name.
        holds: Those of the whole account.
        domain: Breaker of the failure domain; None without one.
        rates: Its requests and tokens a minute; None without limits.
        tell: Emits its events.
        save_at: From when on a quiet attempt should save.
    """

    __slots__ = (
        "_context",
        "_draw",
        "_notify",
        "_saved",
        "_timer",
        "_timer_at",
        "_wide",
        "domain",
        "endpoints",
        "holds",
        "name",
        "rates",
        "save_at",
        "settings",
        "tell",
    )

    def __init__(
        self,
        context: Context,
        settings: ProviderSettings,
        candidates: Sequence[Candidate],
        notify: Callable[[Candidate], None],
        elders: Sequence[Candidate] = (),
    ) -> None:
        draw = self._draw = context.randomness.stream(
            f"provider/{settings.name}/{context.incarnation}"
        ).uniform
        domain = settings.failure_domain
        self._context = context
        self._notify = notify
        self._timer: TimerHandle | None = None
        self._timer_at: float | None = None
        self._wide = False
        self._saved: dict[str, EndpointSnapshot] = {}
        self.name = settings.name
        self.settings = settings
        left = {c.name: c for c in elders}  # whom a reload left out, while calls of theirs run
        everybody = left | {c.name: c for c in candidates}
        self.endpoints = {n: Endpoint.fresh(c, settings, draw) for n, c in everybody.items()}
        self._set_elders(candidates, elders)
        self.holds = Holds(settings.holds)
        self.domain = Breaker(settings.breaker, draw) if domain is not None else None
        limits = settings.rates
        self.rates = (
            Rates(limits, candidates[0].spec.counting) if limits.any and candidates else None
        )
        self.tell = Telling(context.trace, settings.name, domain)
        self.save_at = 0.0

    def adopt(self, message: Adopt, permits: Iterable[Permit], now: float) -> None:
        """Another configuration from now on: what stays keeps all that is known of it."""
        settings, before = message.settings, self.settings
        self.settings = settings
        for candidate in message.candidates:
            endpoint = self.endpoints.get(candidate.name)
            if endpoint is None:
                self.endpoints[candidate.name] = Endpoint.fresh(candidate, settings, self._draw)
            else:
                endpoint.configure(candidate, settings, now)
        self._set_elders(message.candidates, message.elders)
        self.holds.policy = settings.holds
        if message.candidates:
            counting = message.candidates[0].spec.counting
            self.rates = limited(self.rates, settings.rates, counting)
        if settings.failure_domain != before.failure_domain:
            self.domain = None
            if settings.failure_domain is not None:
                known = max((each.domain_generation for each in permits), default=-1)
                self.domain = Breaker(settings.breaker, self._draw, known + 1)
            self.tell.in_domain(self.name, settings.failure_domain)
        elif self.domain is not None:
            self.domain.configure(settings.breaker, now)

    def _set_elders(self, candidates: Sequence[Candidate], elders: Sequence[Candidate]) -> None:
        """Who reads along; and who takes nothing new, until nobody knows of it any more."""
        newest = {c.name: c for c in candidates}
        reading = {c.name for c in elders}
        for name, endpoint in list(self.endpoints.items()):
            endpoint.gone = name not in newest
            idle = not endpoint.concurrency.in_flight and name not in reading
            if endpoint.gone and idle:
                del self.endpoints[name]
            endpoint.candidate.elders = tuple(
                each for each in elders if each.name == name and each is not endpoint.candidate
            )

    def chosen(self, name: str | None) -> list[Endpoint]:
        """The endpoint of that name; None: all."""
        return list(self.endpoints.values()) if name is None else [self.endpoints[name]]

    def hold(
        self,
        endpoint: Endpoint | None,
        now: float,
        kind: HoldKind,
        until: float | None,
        dispatched_at: float | None,
    ) -> None:
        """Hold an endpoint, or None for the account; see `Holds.set`."""
        holds, scope = (
            (self.holds, self.name) if endpoint is None else (endpoint.holds, endpoint.name)
        )
        for each in self.chosen(endpoint.name if endpoint is not None else None):
            each.calm = False
        before = holds.of(kind)
        hold = holds.set(now, kind, until, dispatched_at=dispatched_at)
        stated = until is not None and dispatched_at is not None
        if hold is None and before is not None and before.until > now:
            self.tell.held(now, scope, replace(before, until=now), stated)  # told to come at once
        self.tell.ended(now, scope, holds)  # first: one of the same kind may have ended just now
        if hold is not None and hold is not before:
            self.tell.held(now, scope, hold, stated)

    def check(self, endpoint: Endpoint, now: float) -> Refusal | None:
        """Would an attempt be refused, whatever it asks? The widest scope answers first."""
        return (
            (GONE if endpoint.gone else None)
            or self.holds.check(now)
            or endpoint.holds.check(now)
            or (self.domain.check(now) if self.domain is not None else None)
            or endpoint.breaker.check(now)
        )

    def too_much(self, endpoint: Endpoint, now: float, message: Admit) -> Refusal | None:
        """Would an attempt of so many tokens be refused for its rate?"""
        used = message.input_tokens, message.output_tokens
        for rates in (self.rates, endpoint.rates):
            if rates is not None and (refusal := rates.check(now, *used)) is not None:
                return refusal
        return None

    def count(self, endpoint: Endpoint, now: float, message: Admit) -> None:
        """The attempt that `too_much` let pass in the same turn counts from now on."""
        for rates in (self.rates, endpoint.rates):
            if rates is not None:
                rates.admit(now, message.attempt, message.input_tokens, message.output_tokens)

    def learn(self, endpoint: Endpoint, now: float, message: Settle) -> None:
        """What headers say of limits is about one model; it is heard before the call is settled."""
        first = endpoint.rates is None
        if endpoint.rates is None:
            spec = endpoint.candidate.spec
            endpoint.rates = Rates(spec.rates, spec.counting)
            endpoint.candidate.metered = True
        seen = message.sightings
        for unit in endpoint.rates.sight(now, message.permit.taken_at, seen):
            self.tell.learned(now, endpoint, unit)
        if first:
            self.save(now, endpoint)  # from here on the snapshot holds the gate itself

    def admit(self, endpoint: Endpoint, now: float, message: Admit) -> bool:
        """Let the attempt that `check` let pass in the same turn through every scope.

        Returns:
            True if a hold lent it its lone probe.
        """
        attempt, timeout_s = message.attempt, message.timeout_s
        if self.domain is not None:
            self.domain.admit(now, attempt, timeout_s)
        endpoint.breaker.admit(now, attempt, timeout_s)
        proving = self.holds.admit(now, attempt, timeout_s)
        return endpoint.holds.admit(now, attempt, timeout_s) or proving

    def changed(self, now: float, only: Endpoint | None = None) -> None:
        """Something changed that others see: make what is due happen, publish, save, set the timer.

        A wider scope may stand in the way of every endpoint, so all of them are published, unless
        it is sure that `only` one is concerned.
        """
        wall = self._context.wall()
        if only is not None and self._concerns_no_other(now):
            self._show(only, now, wall, (), True)
            self.save(now, only)
            self._set_timer(now, wall, (only,))
            return
        self.holds.check(now)
        self.tell.ended(now, self.name, self.holds)
        if self.domain is not None:
            self.domain.tick(now)
            self.tell.domain_transitions(self.domain)
        wider = (
            self.holds.check(now),
            self.domain.check(now) if self.domain is not None else None,
            self.rates.least(now) if self.rates is not None else None,
        )
        self._wide = wider != (None, None, None)
        if self.rates is not None:
            self.tell.slowed(now, self.name, wider[2])
        calm = self._concerns_no_other(now)
        for endpoint in self.endpoints.values():
            self._show(endpoint, now, wall, wider, calm)
        self.save(now)
        self._set_timer(now, wall, self.endpoints.values())

    def _concerns_no_other(self, now: float) -> bool:
        """Does no wider scope stand in anybody's way, now or when all were published last?"""
        domain = self.domain
        return (
            not self._wide
            and (self.rates is None or self.rates.least(now) is None)
            and self.holds.idle
            and not self.holds.ended
            and (domain is None or (domain.state is State.CLOSED and not domain.moves))
        )

    def _show(
        self,
        endpoint: Endpoint,
        now: float,
        wall: float,
        wider: tuple[Refusal | None, ...],
        wider_calm: bool,
    ) -> None:
        """Publish one endpoint, and tell of what happened to it."""
        self.tell.transitions(endpoint, now)
        changed = endpoint.publish(now, wall, wider, wider_calm)
        self.tell.ended(now, endpoint.name, endpoint.holds)
        if endpoint.rates is not None:
            self.tell.slowed(now, endpoint.name, endpoint.slow)
        if changed:
            self._notify(endpoint.candidate)

    def save(self, now: float, only: Endpoint | None = None) -> None:
        """Keep everything for the next incarnation; of the endpoints, `only` one anew."""
        if only is None:
            self.save_at = now + SAVE_EVERY_S
            self._saved = {name: each.snapshot() for name, each in self.endpoints.items()}
        else:
            self._saved = {**self._saved, only.name: only.snapshot()}
        self._context.save(
            ProviderSnapshot(
                self._saved,
                self.holds.snapshot(),
                self.domain.snapshot() if self.domain is not None else None,
                self.rates,
            )
        )

    def restore(
        self, snapshot: ProviderSnapshot | None, permits: Iterable[Permit], now: float
    ) -> None:
        """Go on from what an earlier incarnation saved, in a generation that no permit has."""
        domain = self.domain
        permits = list(permits)
        for permit in permits:
            breaker = self.endpoints[permit.endpoint].breaker
            breaker.generation = max(breaker.generation, permit.generation)
            if domain is not None:
                domain.generation = max(domain.generation, permit.domain_generation)
        if snapshot is not None:
            self.holds.restore(snapshot.account, now)
            if not snapshot.another:
                self.rates = snapshot.rates
            elif self.rates is not None and snapshot.counted is not None:
                self.rates.restore(snapshot.counted, now)
        if domain is not None and not (snapshot and snapshot.another and not snapshot.domain):
            domain.restore(snapshot.domain if snapshot is not None else None, now)
        for name, endpoint in self.endpoints.items():
            found = None if snapshot is None else snapshot.endpoints.get(name)
            if found is None and snapshot is not None and snapshot.another:
                continue  # that process did not have it
            endpoint.restore(found, now)
        running = {permit.attempt for permit in permits}
        for rates in (self.rates, *(each.rates for each in self.endpoints.values())):
            if rates is not None:
                rates.settle_all_but(now, running)

    def _set_timer(self, now: float, wall: float, endpoints: Collection[Endpoint]) -> None:
        """Make sure that somebody looks when the next thing is due, traffic or not.

        When only some of the endpoints are looked at, the timer is only ever brought forward.
        """
        due = [self.holds.next_at(), self.domain.next_at() if self.domain is not None else None]
        if self.rates is not None:
            due.append(self.rates.next_at(now))
        for each in endpoints:
            due += (each.breaker.next_at(), each.holds.next_at())
            if each.rates is not None:
                due.append(each.rates.next_at(now))
            if each.candidate.ramp < 1.0:
                due.append(now + RAMP_STEP_S)
            if each.free is not None:
                due.append(each.free.renewed_at(now, wall))
        at = min((at for at in due if at is not None and at > now), default=None)
        if len(endpoints) < len(self.endpoints) and self._timer_at is not None:
            at = self._timer_at if at is None else min(at, self._timer_at)
        if at != self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._context.tell_at(at, Tick()) if at is not None else None
            self._timer_at = at
