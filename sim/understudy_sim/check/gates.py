"""What the trace says about every gate: who is open, held, or down. Monitors share this reading.

An endpoint stands behind its own breaker, that of its provider's failure domain, and the holds of
itself and of its account. Only what the trace told is known: a scope nobody spoke of counts as
open, and `known` tells.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

from understudy_actors.domain.events import (
    ActorCrashed,
    ActorGaveUp,
    ActorRestarted,
    ActorStopped,
    BreakerMoved,
    HoldCleared,
    HoldSet,
)
from understudy_actors.domain.outcome import HoldKind
from understudy_actors.domain.rate_events import RateShut
from understudy_actors.domain.store_events import HoldTaken
from understudy_sim.check.rules import provider_of
from understudy_sim.check.violation import Hears, Witness

ACTOR: Final = "provider/"
_SHUT: Final = frozenset({"open", "isolated"})
_LADDER: Final = frozenset({HoldKind.CREDIT.value, HoldKind.AUTH.value})


@attrs.define(slots=True, eq=False)
class Gates:
    """A fold over the rare events that move gates.

    Attributes:
        breakers: Last transition of each breaker scope.
        holds: What holds each scope, by its reason.
        domains: The failure-domain scope of each provider that has one.
        down: Providers whose actor is down.
        limits: Until when the limits a minute of each scope let nobody pass.
        proving: Scopes that once had a hold whose end must be proven by a lone probe.
    """

    breakers: dict[str, tuple[int, BreakerMoved]] = attrs.Factory(dict)
    holds: dict[str, dict[str, tuple[int, HoldSet]]] = attrs.Factory(dict)
    domains: dict[str, str] = attrs.Factory(dict)
    down: dict[str, Witness] = attrs.Factory(dict)
    limits: dict[str, float] = attrs.Factory(dict)
    proving: set[str] = attrs.Factory(set)
    _moved_at: dict[str, float] = attrs.Factory(dict)

    def hears(self) -> Hears:
        """What it needs to hear; to be merged into its owner's."""
        return {
            BreakerMoved: self.moved,
            HoldSet: self.held,
            HoldCleared: self.cleared,
            RateShut: self.slowed,
            HoldTaken: self.taken,
            ActorCrashed: self.fell,
            ActorGaveUp: self.fell,
            ActorStopped: self.fell,
            ActorRestarted: self.rose,
        }

    def moved(self, seq: int, event: BreakerMoved) -> None:
        """A breaker changed its state."""
        scope = event.scope
        self.breakers[scope] = seq, event
        if scope.startswith("domain "):
            self.domains[provider_of(scope)] = scope
        self._moved_at[scope] = event.at_s

    def held(self, seq: int, event: HoldSet) -> None:
        """A hold was set."""
        self.holds.setdefault(event.scope, {})[event.why] = seq, event
        if event.why in _LADDER:
            self.proving.add(event.scope)

    def taken(self, seq: int, event: HoldTaken) -> None:  # noqa: ARG002
        """A hold was taken over: until when it lasts, and who may try it, is not told."""
        self.proving.add(event.scope)

    def cleared(self, seq: int, event: HoldCleared) -> None:  # noqa: ARG002
        """A hold ended: its reason stands before the colon."""
        held = self.holds.get(event.scope)
        if held is not None:
            held.pop(event.why.rpartition(": ")[0], None)
            self._moved_at[f"hold {event.scope}"] = event.at_s

    def slowed(self, seq: int, event: RateShut) -> None:  # noqa: ARG002
        """The limits a minute of a scope let nobody pass, or somebody again."""
        if event.until is not None:
            self.limits[event.scope] = event.until
        else:
            self.limits.pop(event.scope, None)
            self._moved_at[f"limit {event.scope}"] = event.at_s

    def fell(self, seq: int, event: ActorCrashed | ActorGaveUp | ActorStopped) -> None:
        """An actor went down. It begins anew by telling how its limits stand."""
        if event.actor.startswith(ACTOR):
            provider = event.actor.removeprefix(ACTOR)
            self.down[provider] = seq, event
            for scope in [each for each in self.limits if provider_of(each) == provider]:
                del self.limits[scope]

    def rose(self, seq: int, event: ActorRestarted) -> None:  # noqa: ARG002
        """An actor is up again."""
        if event.actor.startswith(ACTOR):
            provider = event.actor.removeprefix(ACTOR)
            self.down.pop(provider, None)
            self._moved_at[f"actor {provider}"] = event.at_s

    def scopes(self, endpoint: str) -> tuple[str, ...]:
        """The breaker scopes that an endpoint stands behind, as far as they are known."""
        domain = self.domains.get(provider_of(endpoint))
        return (endpoint,) if domain is None else (endpoint, domain)

    def breaker_against(self, endpoint: str) -> tuple[int, BreakerMoved] | None:
        """The transition that shut a breaker before `endpoint`, if one is shut."""
        for scope in self.scopes(endpoint):
            last = self.breakers.get(scope)
            if last is not None and last[1].target in _SHUT:
                return last
        return None

    def hold_against(self, endpoint: str, now: float) -> tuple[int, HoldSet] | None:
        """A hold before `endpoint` that lasts beyond `now`, if there is one."""
        if not self.holds:
            return None
        for scope in (endpoint, provider_of(endpoint)):
            for each in self.holds.get(scope, {}).values():
                if each[1].until > now:
                    return each
        return None

    def ends(self, endpoint: str, now: float) -> float | None:
        """When the last gate before `endpoint` ends; None if none is shut for a known time.

        A breaker whose cooldown is over refuses nobody, whether or not somebody noticed already.
        """
        latest = None
        for scope in self.scopes(endpoint):
            last = self.breakers.get(scope)
            if last is not None and last[1].target in _SHUT:
                until = math.inf if last[1].until is None else last[1].until
                if until > now:
                    latest = until if latest is None else max(latest, until)
        for scope in (endpoint, provider_of(endpoint)):
            for _, hold in self.holds.get(scope, {}).values():
                if hold.until > now:
                    latest = hold.until if latest is None else max(latest, hold.until)
            if (until := self.limits.get(scope, now)) > now:
                latest = until if latest is None else max(latest, until)
        return latest

    def closed_since(self, endpoint: str, now: float) -> float | None:
        """Since when every gate before `endpoint` is plainly open; None if one is not.

        A breaker must be closed: one that is half-open may refuse. A hold must be over and, if
        its end has to be proven, never have been.
        """
        provider = provider_of(endpoint)
        if provider in self.down or not self.proving.isdisjoint((endpoint, provider)):
            return None
        if self.hold_against(endpoint, now) is not None:
            return None
        for scope in self.scopes(endpoint):
            last = self.breakers.get(scope)
            if last is not None and last[1].target != "closed":
                return None
        if self.limits and not self.limits.keys().isdisjoint((endpoint, provider)):
            return None
        marks = [*self.scopes(endpoint)]
        marks += (f"{kind} {scope}" for kind in ("hold", "limit") for scope in (endpoint, provider))
        at = [self._moved_at.get(mark, -math.inf) for mark in [*marks, f"actor {provider}"]]
        for scope in (endpoint, provider):
            at += [hold.until for _, hold in self.holds.get(scope, {}).values()]
        return max(at)


class Down:
    """Which providers' actors are down: they keep no time.

    Attributes:
        names: Of those providers.
    """

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: set[str] = set()

    def fell(self, seq: int, event: ActorCrashed | ActorGaveUp | ActorStopped) -> None:  # noqa: ARG002
        """An actor went down."""
        self.names.add(event.actor.removeprefix(ACTOR))

    def rose(self, seq: int, event: ActorRestarted) -> None:  # noqa: ARG002
        """An actor is up again."""
        self.names.discard(event.actor.removeprefix(ACTOR))
