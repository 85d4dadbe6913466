"""How much of one unit (requests, tokens) fits into any minute: a window, settled in place.

    admit   if  held + counted + foreign + amount <= limit, and the last 10 s hold less than limit/3
    hold:   held += amount                                a running call does not age
    settle: held -= amount;  counted += what it used, as of now, for `SPAN_S` seconds
    sight:  the limit becomes what a provider says, if that is less; what somebody else used of it
            counts here until the provider forgets it

A call reaches its provider between its admission and its end: held in between and counted from its
end on, it counts for us at every moment at which it may count there. So no span of a minute holds
more than the limit, wherever the provider's minutes begin. (A bucket that is refilled with what was
not used would let nearly twice the limit through in one minute.)

Seconds are counted in buckets. One leaves when all of it is out of the span, and `LATE_S` later:
the request of a caller who left may still be under way when it is counted here.

Headers only tighten. They tell how things stood when a call arrived, so one that is older than what
was seen already says nothing; and they are late, so what they give back is left to ageing. A limit
that nobody configured ages too: `LEARNED_FOR_S` after its last sighting there is none.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Final

import attrs
from msgspec import Struct

from understudy_actors.domain.rates import Sighting

SPAN_S: Final = 60.0
LATE_S: Final = 1.0
SMOOTH_S: Final = 10
"""So short a span takes no more than `limit / 6 * 2` besides: providers count in seconds, too."""
PUBLISHED_SHARE: Final = 0.95
"""Of a limit that a provider publishes. What is configured is taken at its word: whoever writes a
number means that number, and can write a smaller one."""
LEARNED_FOR_S: Final = 120.0
"""Two minutes without a word: whoever asks again hears it with the first answer."""
_STARTS_MAX: Final = 62  # seconds of which it is remembered how much began in them


class Counted(Struct, frozen=True, gc=False):
    """So much counts until `leaves_at`."""

    leaves_at: float
    amount: int


class MinuteSnapshot(Struct, frozen=True):
    """What survives the process; times are on the engine's clock.

    What was `held` may have been used to the last, by calls of which nobody will ever hear.
    """

    held: int = 0
    counted: tuple[Counted, ...] = ()
    foreign: Counted | None = None
    learned: int | None = None
    learned_at: float = 0.0

    def moved(self, by_s: float) -> MinuteSnapshot:
        """The same on a clock that shows `by_s` more, such as another process's."""
        foreign = self.foreign
        return MinuteSnapshot(
            self.held,
            tuple(Counted(each.leaves_at + by_s, each.amount) for each in self.counted),
            None if foreign is None else Counted(foreign.leaves_at + by_s, foreign.amount),
            self.learned,
            self.learned_at + by_s,
        )


@attrs.define(slots=True, eq=False)
class _Bucket:
    """As `Counted`, but it grows while its second lasts."""

    leaves_at: float
    amount: int


@attrs.define(slots=True, eq=False)
class Minute:
    """One unit's window. Amounts are whole numbers.

    Attributes:
        most: The configured limit, which nothing raises; None: none.
        smooth: Whether the short span counts as well.
        learned, learned_at: The limit that a provider said last, and when that was.
        seen_at: When the call was dispatched whose headers were believed last.
        held: What running calls may use.
        foreign, foreign_until: What somebody else used with the same key, and until when it counts.
    """

    most: int | None = None
    smooth: bool = True
    learned: int | None = None
    learned_at: float = -math.inf
    seen_at: float = -math.inf
    held: int = 0
    foreign: int = 0
    foreign_until: float = -math.inf
    _counted: int = 0
    _buckets: deque[_Bucket] = attrs.field(factory=deque)
    _started: dict[int, int] = attrs.field(factory=dict)  # second: what began in it

    def limit(self, now: float) -> float:
        """What fits into a minute at `now`; infinity: anything."""
        most = math.inf if self.most is None else self.most
        if self.learned is None:
            return most
        if now >= self.learned_at + LEARNED_FOR_S:
            self.learned = None
            return most
        return min(most, self.learned)

    def used(self, now: float) -> int:
        """What is held and what counts at `now`."""
        buckets = self._buckets
        while buckets and now >= buckets[0].leaves_at:
            self._counted -= buckets.popleft().amount
        if now >= self.foreign_until:
            self.foreign = 0
        return self.held + self._counted + self.foreign

    def fits_at(self, now: float, amount: int) -> float | None:
        """When `amount` more fits: `now`, later, or None: only the end of a call can tell.

        An amount beyond the limit needs an empty window: to refuse it for good is the caller's.
        """
        limit = self.limit(now)
        if limit == math.inf:
            return now
        over = self.used(now) + (amount if amount < limit else limit) - limit
        smooth_at = self._smooth_at(now, limit) if self.smooth else now
        if over <= 0:
            return smooth_at
        for counted in self._leaving():
            over -= counted.amount
            if over <= 0:
                return max(counted.leaves_at, smooth_at)
        return None

    def hold(self, now: float, amount: int) -> None:
        """A call that may use `amount` starts."""
        self.held += amount
        second, started = math.floor(now), self._started
        if second in started:
            started[second] += amount
            return
        started[second] = amount
        if len(started) > _STARTS_MAX:
            del started[next(iter(started))]

    def settle(self, now: float, started_at: float, held: int, amount: int) -> None:
        """The call that `held` was for since `started_at` has ended, and used `amount`."""
        self.held -= held
        if amount != held and (second := math.floor(started_at)) in self._started:
            self._started[second] += amount - held
        if amount:
            self._count(now, amount)

    def sight(self, now: float, dispatched_at: float, seen: Sighting) -> bool:
        """Take what the headers of a call say; the call itself is not settled yet.

        Returns:
            Whether they were believed: not if they are older than what was seen, or than a minute.
        """
        if dispatched_at < self.seen_at or now - dispatched_at > SPAN_S:
            return False
        self.seen_at = dispatched_at
        self.learned, self.learned_at = max(1, int(seen.limit * PUBLISHED_SHARE)), now
        used = self.used(now) - self.foreign
        theirs = seen.limit - seen.remaining - (used - self._begun_after(dispatched_at, now))
        if theirs > self.foreign:
            reset_s = math.inf if seen.reset_s is None else seen.reset_s
            self.foreign, self.foreign_until = theirs, min(_leaves_at(now), now + reset_s)
        return True

    def forget(self) -> None:
        """Forget what a provider said; what calls used counts on."""
        self.learned, self.foreign = None, 0
        self.seen_at = self.foreign_until = -math.inf

    def snapshot(self, now: float) -> MinuteSnapshot:
        """What survives the process."""
        self.used(now)
        foreign = Counted(self.foreign_until, self.foreign) if self.foreign else None
        at = self.learned_at if self.learned is not None else 0.0
        counted = tuple(Counted(each.leaves_at, each.amount) for each in self._buckets)
        return MinuteSnapshot(self.held, counted, foreign, self.learned, at)

    def restore(self, snapshot: MinuteSnapshot, now: float) -> None:
        """Go on from what another process left; no time is believed to be further than allowed."""
        latest = _leaves_at(now)
        for each in sorted(snapshot.counted, key=lambda each: each.leaves_at):
            self._buckets.append(_Bucket(min(each.leaves_at, latest), each.amount))
            self._counted += each.amount
        if snapshot.held:
            self._count(now, snapshot.held)
        if snapshot.foreign is not None:
            self.foreign = snapshot.foreign.amount
            self.foreign_until = min(snapshot.foreign.leaves_at, latest)
        self.learned = snapshot.learned
        self.learned_at = min(snapshot.learned_at, now)

    def _count(self, now: float, amount: int) -> None:
        self._counted += amount
        leaves_at, buckets = _leaves_at(now), self._buckets
        if buckets and buckets[-1].leaves_at >= leaves_at:
            buckets[-1].amount += amount
        else:
            buckets.append(_Bucket(leaves_at, amount))

    def _leaving(self) -> Iterator[_Bucket]:
        """What counts, in the order in which it leaves."""
        foreign = _Bucket(self.foreign_until, self.foreign) if self.foreign else None
        for each in self._buckets:
            if foreign is not None and foreign.leaves_at <= each.leaves_at:
                yield foreign
                foreign = None
            yield each
        if foreign is not None:
            yield foreign

    def _smooth_at(self, now: float, limit: float) -> float:
        """When the short span has room: it may be passed by one call, which may be a large one."""
        most = limit / SPAN_S * SMOOTH_S * 2
        if self.held + self._counted < most:
            return now  # it holds no more than the minute does
        last, started = math.floor(now), self._started
        seconds = range(last - SMOOTH_S, last + 1)
        recent = sum(started.get(second, 0) for second in seconds)
        for second in seconds:
            if recent < most:
                return now if second == seconds[0] else second + float(SMOOTH_S)
            recent -= started.get(second, 0)
        return last + 1.0 + SMOOTH_S

    def _begun_after(self, dispatched_at: float, now: float) -> int:
        """What began in later seconds than a call did."""
        started = self._started
        later = range(math.floor(dispatched_at) + 1, math.floor(now) + 1)
        return sum(started.get(second, 0) for second in later)


def _leaves_at(now: float) -> float:
    """When what is counted now counts no more."""
    return math.floor(now) + 1.0 + SPAN_S + LATE_S
