"""How much whoever asks (a key, user, team, tenant, tag, ...) may ask for in any minute.

    enter   every limit of every scope has room for the request, or it counts in none
    leave   what it used stays counted for a minute; nobody was asked: as if it had never been

These limits are ours, so they have no provider's clock to fear: bursts are not smoothed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from understudy_actors.domain.rates import RateRule, Unit
from understudy_actors.ledger.account import EACH, Scope
from understudy_actors.provider.minute import SPAN_S
from understudy_actors.provider.rates import AGAIN_S, Rates, RatesSnapshot

EACH_MAX: Final = 50_000
"""Scopes that may have a limit each; beyond, those that used nothing lately make room."""
SWEEP_S: Final = 1.0
"""Looking for those takes a while: so often at most."""


AT_ONCE: Final = "so many run already"
"""Why a request is refused that would run beside too many others of its scope."""


class RateLimit(Struct, frozen=True):
    """What requests of a scope may use in a minute, all together, and how many may run at once."""

    scope: Scope
    rule: RateRule
    parallel: int | None = None

    def __str__(self) -> str:
        amounts = ((unit, self.rule.of(unit)) for unit in Unit)
        told = [f"{n} {u.value.replace('_', ' ')}" for u, n in amounts if n is not None]
        parts = [f"{' and '.join(told)} a minute"] if told else []
        if self.parallel is not None:
            parts.append(f"{self.parallel} at once")
        return f"{self.scope}, {' and '.join(parts)}"

    def both(self, other: RateLimit) -> RateLimit:
        """This one and another one of its scope: of each number the smaller."""
        found = {unit.value: _less(self.rule.of(unit), other.rule.of(unit)) for unit in Unit}
        return RateLimit(self.scope, RateRule(**found), _less(self.parallel, other.parallel))


class TooFast(Struct, frozen=True):
    """A limit has no room.

    Attributes:
        limit: Which one.
        retry_at: When the request fits, as far as can be told; None: it never does.
        why: That it never does, or that nobody can count for this scope.
    """

    limit: RateLimit
    retry_at: float | None
    why: str


class LimitsSnapshot(Struct, frozen=True):
    """What survives the process; times are on the engine's clock."""

    scopes: tuple[tuple[Scope, RatesSnapshot], ...] = ()

    def moved(self, by_s: float) -> LimitsSnapshot:
        """The same on a clock that shows `by_s` more, such as another process's."""
        return LimitsSnapshot(tuple((scope, each.moved(by_s)) for scope, each in self.scopes))


class Limits:
    """All limits, and what is under way below them. It never reads a clock: `now` comes in."""

    def __init__(self, limits: Iterable[RateLimit], *, each_max: int = EACH_MAX) -> None:
        """Make them; two of one scope are one, the smaller number counts."""
        self._each_max = each_max
        self._limits = _by_scope(limits)
        self._rates: dict[Scope, Rates] = {}
        self._lent: dict[int, tuple[Rates, ...]] = {}
        self._last = 0
        self._swept_at = -math.inf

    @property
    def outstanding(self) -> int:
        """How many requests are under way."""
        return len(self._lent)

    def enter(
        self, scopes: Iterable[Scope], now: float, input_tokens: int, output_tokens: int
    ) -> int | TooFast:
        """Let a request in, which may use so many tokens: its number, for `leave`; or why not."""
        found: list[Rates] = []
        for scope in dict.fromkeys(scopes):
            limit = self._limit(scope)
            if limit is None:
                continue
            rates = self._of(limit, now)
            if rates is None:
                return TooFast(limit, now + SPAN_S, "too many others have one of their own")
            if limit.parallel is not None and rates.running >= limit.parallel:
                return TooFast(limit, now + AGAIN_S, AT_ONCE)
            if (refusal := rates.check(now, input_tokens, output_tokens)) is not None:
                return TooFast(limit, refusal.retry_at, refusal.why)
            found.append(rates)
        self._last += 1
        for rates in found:
            rates.admit(now, self._last, input_tokens, output_tokens)
        self._lent[self._last] = tuple(found)
        return self._last

    def leave(
        self, number: int, now: float, used: tuple[int, int, int] | None, *, reached: bool
    ) -> None:
        """A request ended.

        Args:
            number: Which one; a second time changes nothing.
            now: The time.
            used: Its input, output and cached tokens; None: nobody knows, so all that it may have
                used.
            reached: False says that nobody was asked.
        """
        for rates in self._lent.pop(number, ()):
            rates.settle(now, number, used, reached=reached)

    def set(self, scope: Scope, limit: RateLimit | None) -> None:
        """From now on this is the limit of one scope; None takes its own out.

        What was used lately counts on, and so do requests that run, if they were limited when they
        came.
        """
        if limit is None:
            self._limits.pop(scope, None)
        else:
            self._limits[scope] = limit
        now = self._limit(scope)
        if now is not None and (rates := self._rates.get(scope)) is not None:
            rates.change(now.rule)

    def replace(self, limits: Iterable[RateLimit]) -> None:
        """From now on these are all limits there are; as with `set`, what was used counts on."""
        self._limits = _by_scope(limits)
        for scope, rates in self._rates.items():
            if (limit := self._limit(scope)) is not None:
                rates.change(limit.rule)

    def snapshot(self, now: float) -> LimitsSnapshot:
        """What survives the process: the scopes that used anything lately."""
        busy = ((scope, each) for scope, each in self._rates.items() if not each.idle(now))
        return LimitsSnapshot(tuple((scope, each.snapshot(now)) for scope, each in busy))

    def restore(self, snapshot: LimitsSnapshot, now: float) -> None:
        """Go on from what another process left, as far as it is limited still."""
        for scope, each in snapshot.scopes:
            limit = self._limit(scope)
            rates = None if limit is None else self._of(limit, now)
            if rates is not None:
                rates.restore(each, now)

    def _limit(self, scope: Scope) -> RateLimit | None:
        """Its own, else the one that everybody of its kind has."""
        own = self._limits.get(scope)
        if own is None and (each := self._limits.get(Scope(scope.kind, EACH))) is not None:
            own = RateLimit(scope, each.rule, each.parallel)
        return own

    def _of(self, limit: RateLimit, now: float) -> Rates | None:
        rates = self._rates.get(limit.scope)
        if rates is None:
            if len(self._rates) >= self._each_max and not self._sweep(now):
                return None
            rates = self._rates[limit.scope] = Rates(limit.rule, smooth=False)
        return rates

    def _sweep(self, now: float) -> bool:
        """Forget the scopes that used nothing lately; returns whether there is room."""
        if now >= self._swept_at + SWEEP_S:
            self._swept_at = now
            for scope in [s for s, r in self._rates.items() if not r.running and r.idle(now)]:
                del self._rates[scope]
        return len(self._rates) < self._each_max


def _by_scope(limits: Iterable[RateLimit]) -> dict[Scope, RateLimit]:
    found: dict[Scope, RateLimit] = {}
    for limit in limits:
        known = found.get(limit.scope)
        found[limit.scope] = limit if known is None else known.both(limit)
    return found


def _less(one: int | None, other: int | None) -> int | None:
    return min((n for n in (one, other) if n is not None), default=None)
