"""In what order those who wait are served: bands, then tenants, then age.

    strict bands        the higher priority first; `ageing_s` without service lift by one band
      fair shares       inside a band, the tenant that was served least (see `fairness`)
        by age          inside a tenant the oldest first; the newest, while delay stands there

Bands alone would starve: hence the lift, for those of a tenant and priority of whom nobody was
served for so long. Whose tenant is being served is not starved, however long its own line is, and
a lift for mere age would carry a flood over the heads of all who ask for little.

Delay stands when, at each service for `window_s`, the oldest had waited `standing_s` or longer.
Then all of a tenant's requests would be answered too late if the oldest came first; with the newest
first, most are in time (adaptive LIFO, and CoDel's rule for when a queue is a standing one: Maurer,
"Fail at Scale", ACM Queue 2015; Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 2012).
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from types import MappingProxyType
from typing import Final, TypeAlias

import attrs
from msgspec import Struct

from understudy_actors.dispatcher.fairness import FairShares
from understudy_actors.domain.bulkhead import Compartments
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.request import PRIORITY_MAX

_NOBODY: Final[Mapping[str, float]] = MappingProxyType({})
Barred: TypeAlias = Mapping[Compartments, int]
"""Candidates (bits) at which the shares of these compartments are in use."""
NO_BARS: Final[Barred] = MappingProxyType({})


class WaitingRule(Struct, frozen=True, kw_only=True):
    """How those who wait are ordered.

    Attributes:
        ageing_s: Each time so long waited while nobody of the same tenant and priority is served
            lifts a request by one band, in seconds.
        standing_s: From this age of the oldest on, in seconds, its delay may be a standing one.
        window_s: It is one after so many seconds of that.
        shares: Weight of a tenant against the others, > 0; 1 for who is not named.
    """

    ageing_s: float = 10.0
    standing_s: float = 0.5
    window_s: float = 5.0
    shares: Mapping[str, float] = _NOBODY


def mask_of(candidates: Iterable[Candidate]) -> int:
    """A set of candidates as bits, by seat."""
    mask = 0
    for each in candidates:
        mask |= 1 << each.seat
    return mask


@attrs.define(eq=False, slots=True)
class Waiter:
    """One request in the queue; `wake` answers its ask and says whether it was still there.

    Attributes:
        ticket: Its place among those of its band and tenant.
        wanted: The candidates that could serve it as soon as they have a slot; `mask` in bits.
        priority: The band it came with.
        tenant: Who shares with whom.
        tokens: What serving it counts in its tenant's share.
        since, deadline: Absolute, in seconds: when it came, and until when a slot is of use.
        name: Of its request.
        compartments: Whose shares of the slots it counts in.
        band: Where it stands now: its priority, and what its waiting has lifted it by, at
            `lifted_at` last.
    """

    ticket: int
    wanted: Sequence[Candidate]
    wake: Callable[[], bool]
    priority: int = 0
    tenant: str = ""
    tokens: float = 1.0
    since: float = 0.0
    deadline: float = math.inf
    name: str = ""
    compartments: Compartments = ()
    mask: int = attrs.field(init=False)
    band: int = attrs.field(init=False)
    lifted_at: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.mask = mask_of(self.wanted)
        self.band = self.priority
        self.lifted_at = self.since

    @property
    def kin(self) -> tuple[str, int]:
        """With whom it is lifted: those of its tenant and priority."""
        return self.tenant, self.priority


def _ticket(waiter: Waiter) -> int:
    return waiter.ticket


@attrs.define(eq=False, slots=True)
class Line:
    """One tenant's waiters in one band, by ticket; `tag` is where its share stands."""

    tenant: str
    tag: float
    waiters: list[Waiter] = attrs.Factory(list)
    above_since: float | None = None

    def add(self, waiter: Waiter) -> None:
        """Where its ticket belongs."""
        insort(self.waiters, waiter, key=_ticket)

    def remove(self, waiter: Waiter) -> None:
        """It is gone."""
        del self.waiters[bisect_left(self.waiters, waiter.ticket, key=_ticket)]

    def newest_first(self, now: float, rule: WaitingRule) -> bool:
        """Does delay stand?"""
        return self.above_since is not None and now - self.above_since >= rule.window_s

    def first(self, free: int, now: float, rule: WaitingRule, barred: Barred) -> Waiter | None:
        """Who of those whom a free candidate (bits) could serve in time is next."""
        turned = self.newest_first(now, rule)
        for each in reversed(self.waiters) if turned else self.waiters:
            able = each.mask & free
            if barred:
                able &= ~barred.get(each.compartments, 0)
            if able and now < each.deadline:
                return each
        return None

    def sample(self, now: float, rule: WaitingRule) -> None:
        """Somebody of this line is served: how long has the oldest waited?"""
        if now - self.waiters[0].since < rule.standing_s:
            self.above_since = None
        elif self.above_since is None:
            self.above_since = now


@attrs.define(eq=False, slots=True)
class Band:
    """Lines of one band, the next tenant first."""

    shares: FairShares
    lines: dict[str, Line] = attrs.Factory(dict)
    ring: list[Line] = attrs.Factory(list)

    def line(self, tenant: str) -> Line:
        """The line of a tenant; a new one if there is none."""
        line = self.lines.get(tenant)
        if line is None:
            line = self.lines[tenant] = Line(tenant, self.shares.enter(tenant))
            insort(self.ring, line, key=_tag)  # behind those with the same tag
        return line

    def remove(self, waiter: Waiter) -> None:
        """Take a waiter out, and its line with the last one."""
        line = self.lines[waiter.tenant]
        line.remove(waiter)
        if not line.waiters:
            del self.lines[waiter.tenant]
            self.ring.remove(line)
            self.shares.leave(waiter.tenant, line.tag)

    def charge(self, line: Line, tokens: float) -> None:
        """A waiter of this line is served."""
        self.ring.remove(line)
        line.tag = self.shares.serve(line.tenant, line.tag, tokens)
        insort(self.ring, line, key=_tag)


def _tag(line: Line) -> float:
    return line.tag


@attrs.define(eq=False, slots=True)
class Order:
    """All who wait, in the order of service.

    Attributes:
        waiters: Everybody, by ticket; only `add` and `remove` write it.
    """

    rule: WaitingRule
    waiters: dict[int, Waiter] = attrs.Factory(dict)
    _bands: dict[int, Band] = attrs.Factory(dict)
    _lifts: list[tuple[float, int, int]] = attrs.Factory(list)  # when, whom, into which band
    _crowds: dict[tuple[int, int, Compartments], int] = attrs.Factory(dict)
    _kin: Counter[tuple[str, int]] = attrs.Factory(Counter)
    _served_at: dict[tuple[str, int], float] = attrs.Factory(dict)

    def __len__(self) -> int:
        return len(self.waiters)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(self.waiters.values())

    def configure(self, rule: WaitingRule) -> None:
        """Other rules from now on; what was served so far stays counted."""
        self.rule = rule
        for band in self._bands.values():
            band.shares.weights = rule.shares

    def wanted(self, barred: Barred = NO_BARS) -> int:
        """Everybody whom somebody waits for who is not barred there, in bits."""
        mask = 0
        for each, _, compartments in self._crowds:
            mask |= each & ~barred.get(compartments, 0)
        return mask

    def compartments(self) -> set[Compartments]:
        """The compartments that those who wait belong to."""
        return {each for _, _, each in self._crowds if each}

    def ahead(self, mask: int, band: int, barred: Barred = NO_BARS, within: str = "") -> int:
        """How many in this band or a higher one wait for any of these candidates (bits).

        Those who are barred at all of them are not ahead of others; `within` counts all of one
        compartment, and nobody else.
        """
        return sum(
            count
            for (other, where, own), count in self._crowds.items()
            if where >= band
            and (
                any(each.name == within for each in own) and other & mask
                if within
                else other & mask & ~barred.get(own, 0)
            )
        )

    def add(self, waiter: Waiter, now: float) -> None:
        """Let a waiter in, where its ticket, its tenant and the time it has waited put it."""
        self.age(now)
        self.waiters[waiter.ticket] = waiter
        self._kin[waiter.kin] += 1
        self._seat(waiter)
        self._plan_lift(waiter)
        self.age(now)

    def remove(self, ticket: int) -> Waiter | None:
        """Take a waiter out; None if there is no such."""
        waiter = self.waiters.pop(ticket, None)
        if waiter is not None:
            self._unseat(waiter)
            self._kin[waiter.kin] -= 1
            if not self._kin[waiter.kin]:
                del self._kin[waiter.kin]
                self._served_at.pop(waiter.kin, None)
        return waiter

    def next(self, free: int, now: float, barred: Barred = NO_BARS) -> Waiter | None:
        """Take out whoever is served next by one of the free candidates (bits), if anybody is."""
        self.age(now)
        for number in sorted(self._bands, reverse=True):
            band = self._bands[number]
            for line in band.ring:
                waiter = line.first(free, now, self.rule, barred)
                if waiter is not None:
                    line.sample(now, self.rule)
                    if waiter.tokens:
                        band.charge(line, waiter.tokens)
                    self.remove(waiter.ticket)
                    if waiter.kin in self._kin:
                        self._served_at[waiter.kin] = now
                    return waiter
        return None

    def age(self, now: float) -> None:
        """Lift everybody who has waited long enough."""
        lifts = self._lifts
        while lifts and lifts[0][0] <= now:
            at_s, ticket, band = heappop(lifts)
            waiter = self.waiters.get(ticket)
            if waiter is None or waiter.band + 1 != band:
                continue  # it left, and may have come back since
            due_at = self._due_at(waiter)
            if at_s < due_at:  # some of its kin were served meanwhile
                heappush(lifts, (due_at, ticket, band))
                continue
            self._unseat(waiter)
            waiter.band, waiter.lifted_at = band, due_at
            self._seat(waiter)
            self._plan_lift(waiter)

    def _plan_lift(self, waiter: Waiter) -> None:
        if waiter.band < PRIORITY_MAX:
            heappush(self._lifts, (self._due_at(waiter), waiter.ticket, waiter.band + 1))
            if len(self._lifts) > 2 * len(self.waiters) + 16:  # most of them left meanwhile
                self._lifts = sorted({e for e in self._lifts if e[1] in self.waiters})

    def _due_at(self, waiter: Waiter) -> float:
        served_at = self._served_at.get(waiter.kin, -math.inf)
        return max(waiter.lifted_at, served_at) + self.rule.ageing_s

    def _seat(self, waiter: Waiter) -> None:
        band = self._bands.get(waiter.band)
        if band is None:
            band = self._bands[waiter.band] = Band(FairShares(self.rule.shares))
        band.line(waiter.tenant).add(waiter)
        crowd = waiter.mask, waiter.band, waiter.compartments
        self._crowds[crowd] = self._crowds.get(crowd, 0) + 1

    def _unseat(self, waiter: Waiter) -> None:
        band = self._bands[waiter.band]
        band.remove(waiter)
        if not band.lines and band.shares.idle:
            del self._bands[waiter.band]
        crowd = waiter.mask, waiter.band, waiter.compartments
        self._crowds[crowd] -= 1
        if not self._crowds[crowd]:
            del self._crowds[crowd]
