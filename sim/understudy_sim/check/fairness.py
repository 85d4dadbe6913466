"""Law of fair shares: what tenants who wait side by side are served, over their weights."""

from __future__ import annotations

import math
from collections import Counter
from typing import Final, TypeAlias

import attrs

from understudy_actors.domain.events import ActorCrashed
from understudy_actors.domain.waiting_events import Queued, QueueLeft, Unqueued
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch, Witness

Pair: TypeAlias = tuple[str, str]
Kind: TypeAlias = tuple[int, frozenset[str]]
_ROUNDING: Final = 1e-6


@attrs.define(eq=False, slots=True)
class _Tenant:
    """One tenant's requests in line, by ticket.

    Attributes:
        kinds: How many of them have one priority and want the same endpoints.
        risen: Those of them that may stand in a higher band.
        served_at: When one of them was served last, since the line began.
    """

    waiting: dict[int, Queued] = attrs.Factory(dict)
    kinds: Counter[Kind] = attrs.Factory(Counter)
    risen: set[int] = attrs.Factory(set)
    served_at: float = -math.inf

    def join(self, event: Queued) -> None:
        """One more."""
        self.waiting[event.ticket] = event
        self.kinds[_kind(event)] += 1

    def leave(self, ticket: int) -> None:
        """One less."""
        event = self.waiting.pop(ticket)
        self.risen.discard(ticket)
        self.kinds[_kind(event)] -= 1
        self.kinds = +self.kinds

    def kind(self, now: float, ageing_s: float) -> Kind | None:
        """What all of them are; None if they differ, have risen, or one of them is at its end."""
        oldest = min(each.since for each in self.waiting.values())
        if now - max(oldest, self.served_at) >= ageing_s - _ROUNDING:
            self.risen |= self.waiting.keys()
        if self.risen or len(self.kinds) > 1:
            return None
        late = any(now >= each.deadline for each in self.waiting.values())
        return None if late else next(iter(self.kinds))


@attrs.define(eq=False, slots=True)
class _Side:
    """Two tenants side by side: by how much one was served more, now, at least and at most."""

    apart: float = 0.0
    least: float = 0.0
    most: float = 0.0


class FairShares(Watch):
    """S42. The bound of start-time fair queueing: the largest request of each, over its weight.

    It compares tenants while both wait all the time for the same endpoints, with one priority of
    which nobody was lifted, and nobody is at its deadline. Weaker than the theorem: whoever leaves
    the line unserved may have been called in vain, which counts in its share and is told to nobody,
    so its line is compared anew from there. Nothing is said where there are bulkheads.
    """

    name = "S42"
    claim = "tenants who wait side by side are served alike over their weights, but for a request"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._tenants: dict[str, _Tenant] = {}
        self._largest: dict[str, float] = {}
        self._sides: dict[Pair, _Side] = {}
        self.hears = {}
        if rules.shares is None:
            self.hears = {
                Queued: self._joined,
                Unqueued: self._served,
                QueueLeft: self._left,
                ActorCrashed: self._crashed,
            }

    def _joined(self, seq: int, event: Queued) -> None:  # noqa: ARG002
        name = event.tenant
        tenant = self._tenants.setdefault(name, _Tenant())
        tenant.join(event)
        self._largest[name] = max(self._largest.get(name, 0.0), self._cost(event))

    def _cost(self, event: Queued) -> float:
        return event.tokens / self.rules.waiting.shares.get(event.tenant, 1.0)

    def _served(self, seq: int, event: Unqueued) -> Violation | None:
        found = [name for name, each in self._tenants.items() if event.ticket in each.waiting]
        if not found:
            return None
        name, now = found[0], event.at_s
        tenant = self._tenants[name]
        own = tenant.waiting[event.ticket]
        told = self._count(name, own, (seq, event)) if len(tenant.waiting) > 1 else None
        self._gone(name, event.ticket)
        tenant.served_at = now
        return told

    def _count(self, name: str, own: Queued, here: Witness) -> Violation | None:
        """A request of a tenant that goes on waiting is served: how do the others stand?"""
        found, cost, now = None, self._cost(own), here[1].at_s
        ageing_s = self.rules.waiting.ageing_s
        kind = self._tenants[name].kind(now, ageing_s)
        for other, tenant in self._tenants.items():
            if other == name:
                continue
            pair = min(name, other), max(name, other)
            if kind is None or tenant.kind(now, ageing_s) != kind:
                self._sides.pop(pair, None)
                continue
            side = self._sides.setdefault(pair, _Side())
            side.apart += cost if name == pair[0] else -cost
            side.least, side.most = min(side.least, side.apart), max(side.most, side.apart)
            bound = self._largest[name] + self._largest[other]
            if side.most - side.least > bound * (1 + _ROUNDING) + _ROUNDING:
                ahead = side.most - side.least
                said = (
                    f"{pair[0]!r} and {pair[1]!r} waited side by side, and one of them was served"
                )
                said = f"{said} {ahead:.0f} tokens more: {bound:.0f} are their largest requests"
                found = self.broken("apart", said, here)
                del self._sides[pair]
        return found

    def _left(self, seq: int, event: QueueLeft) -> None:  # noqa: ARG002
        for name, tenant in list(self._tenants.items()):
            if event.ticket in tenant.waiting:
                self._forget(name)
                self._gone(name, event.ticket)

    def _gone(self, name: str, ticket: int) -> None:
        tenant = self._tenants[name]
        tenant.leave(ticket)
        if not tenant.waiting:
            del self._tenants[name]
            self._forget(name)

    def _forget(self, name: str) -> None:
        """Compare a tenant anew."""
        self._sides = {pair: side for pair, side in self._sides.items() if name not in pair}

    def _crashed(self, seq: int, event: ActorCrashed) -> None:  # noqa: ARG002
        if event.actor == "dispatcher":
            self._tenants.clear()
            self._sides.clear()
            self._largest.clear()


def _kind(event: Queued) -> Kind:
    return event.priority, frozenset(event.wanted)
