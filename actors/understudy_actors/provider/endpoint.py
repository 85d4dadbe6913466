"""One model of one provider: everything its provider's actor owns about it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import attrs
from msgspec import Struct
from msgspec.structs import replace

from understudy_actors.domain.bulkhead import Compartments
from understudy_actors.domain.candidate import Candidate
from understudy_actors.provider.breaker import Breaker
from understudy_actors.provider.concurrency import Concurrency, ConcurrencySnapshot
from understudy_actors.provider.free import FreeMeter, metered
from understudy_actors.provider.gate import Refusal
from understudy_actors.provider.health import Health, HealthSnapshot
from understudy_actors.provider.holds import Holds, HoldsSnapshot
from understudy_actors.provider.rates import Rates, RatesSnapshot, limited
from understudy_actors.provider.settings import ProviderSettings
from understudy_actors.provider.transitions import BreakerSnapshot, State


class EndpointSnapshot(Struct, frozen=True):
    """What survives a restart; times are on the engine's clock.

    `rates` is the gate itself; in one that comes from another process, `counted` stands in its
    place.
    """

    breaker: BreakerSnapshot
    holds: HoldsSnapshot
    concurrency: ConcurrencySnapshot
    health: HealthSnapshot
    guard_tokens: float
    free_used: int = 0
    free_window: int = -1
    rates: Rates | None = None
    counted: RatesSnapshot | None = None

    def moved(self, by_s: float) -> EndpointSnapshot:
        """The same on a clock that shows `by_s` more, such as another process's."""
        return replace(
            self,
            breaker=self.breaker.moved(by_s),
            holds=self.holds.moved(by_s),
            concurrency=self.concurrency.moved(by_s),
            health=self.health.moved(by_s),
            counted=None if self.counted is None else self.counted.moved(by_s),
        )

    def without_gates(self, now: float) -> EndpointSnapshot:
        """The same as plain data, for another process."""
        if self.rates is None:
            return self
        return replace(self, rates=None, counted=self.rates.snapshot(now))


GONE: Final = Refusal(None, "removed from the configuration")
"""What an endpoint says that a reload left out."""


@attrs.define(eq=False, slots=True)
class Endpoint:
    """The machines of one endpoint, and the reading that they publish.

    `calm` says that no gate, its own or a wider one, stood in anybody's way or had anything to
    learn from the next attempt when it was published last: then attempts just pass. Whatever holds
    a scope or moves a breaker ends the calm until the next publication. Limits a minute are asked
    each time, and disturb the calm only while not even the least of calls fits: `slow` says so.
    One that is `gone` is in no configuration any more: it admits nothing, and ends what runs.
    """

    candidate: Candidate
    breaker: Breaker
    holds: Holds
    concurrency: Concurrency
    health: Health
    free: FreeMeter | None = None
    guard_cap: float = 10.0
    calm: bool = False
    rates: Rates | None = None
    slow: Refusal | None = None
    gone: bool = False

    @property
    def name(self) -> str:
        """The endpoint's name, which is also its breaker's scope."""
        return self.candidate.name

    @classmethod
    def fresh(
        cls, candidate: Candidate, settings: ProviderSettings, draw: Callable[[], float]
    ) -> Endpoint:
        """An endpoint of which nothing is known."""
        health = candidate.health = Health()
        candidate.guard_tokens = settings.guard.cap if settings.guard is not None else math.inf
        candidate.held.clear()
        quota, rates = candidate.spec.free_quota, candidate.spec.rates
        candidate.metered = rates.any or settings.rates.any
        return cls(
            candidate,
            Breaker(settings.breaker, draw),
            Holds(settings.holds),
            Concurrency(
                draw,
                initial=settings.concurrency_initial,
                least=settings.concurrency_least,
                most=settings.concurrency_most,
            ),
            health,
            FreeMeter(quota) if quota is not None else None,
            settings.guard.cap if settings.guard is not None else math.inf,
            rates=Rates(rates, candidate.spec.counting) if rates.any else None,
        )

    def configure(self, candidate: Candidate, settings: ProviderSettings, now: float) -> None:
        """Another description and other policies from now on; what was learned stays."""
        spec, guard = candidate.spec, settings.guard
        cap = math.inf if guard is None else guard.cap
        full = candidate.guard_tokens >= self.guard_cap
        candidate.guard_tokens = cap if full else min(candidate.guard_tokens, cap)
        self.candidate, self.guard_cap, self.gone = candidate, cap, False
        self.breaker.configure(settings.breaker, now)
        self.holds.policy = settings.holds
        self.concurrency.configure(
            settings.concurrency_initial, settings.concurrency_least, settings.concurrency_most
        )
        self.free = metered(self.free, spec.free_quota)
        candidate.free_left = None  # unless it is published anew
        self.rates = limited(self.rates, spec.rates, spec.counting)
        candidate.metered = self.rates is not None or settings.rates.any

    def restore(self, snapshot: EndpointSnapshot | None, now: float) -> None:
        """Go on from a snapshot; None means that it was lost, so that a probe must find out."""
        if snapshot is None:
            self.breaker.restore(None, now)
            return
        self.breaker.restore(snapshot.breaker, now)
        self.holds.restore(snapshot.holds, now)
        self.concurrency.restore(snapshot.concurrency, now)
        self.health.restore(snapshot.health, now)
        self.candidate.guard_tokens = snapshot.guard_tokens
        if self.free is not None:
            self.free.used, self.free.window = snapshot.free_used, snapshot.free_window
        if snapshot.rates is not None:
            self.rates, self.candidate.metered = snapshot.rates, True
        elif snapshot.counted is not None:
            self._go_on_counting(snapshot.counted, now)

    def _go_on_counting(self, counted: RatesSnapshot, now: float) -> None:
        """Another process counted: what limits this one has, or what was learned, goes on."""
        if self.rates is None:
            self.rates = Rates(self.candidate.spec.rates, self.candidate.spec.counting)
        self.rates.restore(counted, now)
        if self.rates.minutes:
            self.candidate.metered = True
        else:
            self.rates = None

    def hold_share(self, compartments: Compartments) -> None:
        """An attempt that has a slot counts in these."""
        held = self.candidate.held
        for each in compartments:
            held[each.name] = held.get(each.name, 0) + 1

    def give_share_back(self, compartments: Compartments) -> None:
        """It gave its slot back. Who holds nothing is not remembered: there may be many tenants."""
        held = self.candidate.held
        for each in compartments:
            held[each.name] -= 1
            if not held[each.name]:
                del held[each.name]

    def forget(self) -> None:
        """Forget what was observed, as at the start."""
        self.health = self.candidate.health = Health()
        self.candidate.guard_tokens = self.guard_cap
        if self.rates is not None:
            self.rates.forget()

    def snapshot(self) -> EndpointSnapshot:
        """What survives a restart."""
        free = self.free
        return EndpointSnapshot(
            self.breaker.snapshot(),
            self.holds.snapshot(),
            self.concurrency.snapshot(),
            self.health.snapshot(),
            self.candidate.guard_tokens,
            free.used if free is not None else 0,
            free.window if free is not None else -1,
            self.rates,
        )

    def publish(
        self, now: float, wall: float, wider: tuple[Refusal | None, ...], wider_calm: bool
    ) -> bool:
        """Write the reading that others see; `wider` is what the wider scopes say.

        Returns:
            Whether anything changed that decides about admission.
        """
        candidate, concurrency = self.candidate, self.concurrency
        before = (candidate.shut_until, candidate.in_flight >= candidate.limit)
        until, why = (math.inf, GONE.why) if self.gone else (0.0, "")
        slow = self.slow = self.rates.least(now) if self.rates is not None else None
        for refusal in (*wider, slow, self.holds.check(now), self.breaker.check(now)):
            if refusal is not None:
                end = math.inf if refusal.retry_at is None else refusal.retry_at
                if end > until:
                    until, why = end, refusal.why
        candidate.shut_until, candidate.shut_why = until, why
        closed = self.breaker.state is State.CLOSED
        self.calm = wider_calm and self.holds.idle and closed and slow is None and not self.gone
        candidate.in_flight = concurrency.in_flight
        candidate.limit = concurrency.capacity
        candidate.ramp = self.breaker.ramp(now)
        if self.free is not None:
            candidate.free_left = self.free.left(wall)
        if candidate.elders:
            candidate.tell_elders()
        return before != (until, candidate.in_flight >= candidate.limit)
