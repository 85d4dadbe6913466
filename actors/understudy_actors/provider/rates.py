"""Requests and tokens a minute, of one account: reserved before a call, counted after it.

    admit   if  held + counted + amount <= limit          more than the limit is refused for good
    admit:  held += amount                                a running call does not age
    settle: held -= amount;  counted += what it used, as of now, for `SPAN_S` seconds

A call reaches its provider between its admission and its end: held in between and counted from its
end on, it counts for us at every moment at which it may count there. So no span of a minute holds
more than the limit, wherever the provider's minutes begin. (A bucket that is refilled with what was
not used would let nearly twice the limit through in one minute.)

Seconds are counted in buckets. One leaves when all of it is out of the span, and `LATE_S` later:
the request of a caller who left may still be under way when it is counted here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection
from typing import Final

from msgspec import Struct

from understudy_actors.domain.outcome import HoldKind
from understudy_actors.provider.gate import Refusal

SPAN_S: Final = 60.0
LATE_S: Final = 1.0
AGAIN_S: Final = 1.0
"""When to ask again if only the end of running calls makes room, which may be at any moment."""
_WHY: Final = HoldKind.RATE.value
_LEAVES_S: Final = 62.0  # a bucket leaves no later than so long after its second began


class RatesSnapshot(Struct, frozen=True):
    """What counts, for another process: when it leaves the span, and how much; and what is held."""

    requests: tuple[tuple[float, int], ...] = ()
    tokens: tuple[tuple[float, int], ...] = ()
    held_requests: int = 0
    held_tokens: int = 0

    def moved(self, by_s: float) -> RatesSnapshot:
        """The same on a clock that shows `by_s` more, such as another process's."""
        return RatesSnapshot(
            tuple((at + by_s, n) for at, n in self.requests),
            tuple((at + by_s, n) for at, n in self.tokens),
            self.held_requests,
            self.held_tokens,
        )


class Minute:
    """How much fits into any minute. Amounts are whole numbers: requests, or tokens."""

    __slots__ = ("_buckets", "_counted", "_held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held = 0
        self._counted = 0
        self._buckets: deque[tuple[float, int]] = deque()  # when it leaves, how much

    def used(self, now: float) -> int:
        """What is held and what counts at `now`."""
        while self._buckets and now >= self._buckets[0][0]:
            self._counted -= self._buckets.popleft()[1]
        return self._held + self._counted

    def fits_at(self, now: float, amount: int) -> float | None:
        """When `amount` more fits: `now`, later, or None: only the end of a call can tell."""
        over = self.used(now) + amount - self.limit
        if over <= 0:
            return now
        for leaves_at, counted in self._buckets:
            over -= counted
            if over <= 0:
                return leaves_at
        return None

    def hold(self, amount: int) -> None:
        """A call that may use `amount` starts."""
        self._held += amount

    def settle(self, now: float, held: int, amount: int) -> None:
        """The call that `held` was for has ended, and used `amount`."""
        self._held -= held
        if not amount:
            return
        self._counted += amount
        leaves_at = math.floor(now) + 1.0 + SPAN_S + LATE_S
        if self._buckets and self._buckets[-1][0] >= leaves_at:
            at, counted = self._buckets[-1]
            self._buckets[-1] = at, counted + amount
        else:
            self._buckets.append((leaves_at, amount))

    def snapshot(self) -> tuple[tuple[tuple[float, int], ...], int]:
        """What counts, and what is held."""
        return tuple(self._buckets), self._held

    def restore(self, buckets: tuple[tuple[float, int], ...], held: int, now: float) -> None:
        """Count what another process counted. What was held there may have been used up to now."""
        latest = now + _LEAVES_S
        self._buckets = deque((min(at, latest), n) for at, n in buckets)
        self._counted = sum(n for _, n in buckets)
        self.settle(now, 0, held)


class Rates:
    """The gate of one account's limits on requests and tokens a minute.

    It outlives its actor: what was lent before a crash is still under way after it.
    """

    __slots__ = ("_lent", "requests", "tokens")

    def __init__(self, requests: int | None, tokens: int | None) -> None:
        self.requests = Minute(requests) if requests is not None else None
        self.tokens = Minute(tokens) if tokens is not None else None
        self._lent: dict[int, int] = {}

    def check(self, now: float, tokens: int) -> Refusal | None:
        """Would a call that may use so many tokens be refused at `now`?"""
        latest: float = now
        for minute, amount in ((self.requests, 1), (self.tokens, tokens)):
            if minute is None:
                continue
            if amount > minute.limit:
                return Refusal(None, f"about {amount} tokens exceed its {minute.limit} a minute")
            at = minute.fits_at(now, amount)
            latest = max(latest, now + AGAIN_S if at is None else at)
        return Refusal(latest, _WHY) if latest > now else None

    def admit(self, attempt: int, tokens: int) -> None:
        """The call that `check` let pass in the same turn starts."""
        self._lent[attempt] = tokens
        for minute, amount in ((self.requests, 1), (self.tokens, tokens)):
            if minute is not None:
                minute.hold(amount)

    def settle(
        self, now: float, attempt: int, tokens: int | None = None, *, reached: bool = True
    ) -> None:
        """It has ended.

        Args:
            now: The time.
            attempt: Which one; settling it again changes nothing.
            tokens: What it used; None: nobody knows, so all that it may have used.
            reached: False says that it never reached the provider.
        """
        held = self._lent.pop(attempt, None)
        if held is None:
            return
        spent = held if tokens is None else tokens
        for minute, amount, used in ((self.requests, 1, 1), (self.tokens, held, spent)):
            if minute is not None:
                minute.settle(now, amount, used if reached else 0)

    def settle_all_but(self, now: float, running: Collection[int]) -> None:
        """Its actor is back: settle the calls whose end it can not have heard of.

        Only those in `running` are still under way. What another has used nobody knows any more, so
        it is all that it may have used; if its end is told later after all, that changes nothing.
        """
        for attempt in [each for each in self._lent if each not in running]:
            self.settle(now, attempt)

    def snapshot(self) -> RatesSnapshot:
        """What counts, as plain data."""
        nothing: tuple[tuple[tuple[float, int], ...], int] = ((), 0)
        requests, held = self.requests.snapshot() if self.requests is not None else nothing
        tokens, held_tokens = self.tokens.snapshot() if self.tokens is not None else nothing
        return RatesSnapshot(requests, tokens, held, held_tokens)

    def restore(self, snapshot: RatesSnapshot, now: float) -> None:
        """Go on from what another process counted, under the limits of this one."""
        if self.requests is not None:
            self.requests.restore(snapshot.requests, snapshot.held_requests, now)
        if self.tokens is not None:
            self.tokens.restore(snapshot.tokens, snapshot.held_tokens, now)

    def next_at(self, now: float) -> float | None:
        """When the least of calls fits again, if it does not now."""
        refusal = self.check(now, 1)
        return None if refusal is None else refusal.retry_at
