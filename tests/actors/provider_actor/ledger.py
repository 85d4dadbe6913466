"""What a provider's events say about it: who holds what, and what stands in whose way.

It reads events only, so that the actor's own state is judged by what it told.
"""

from __future__ import annotations

import attrs

from understudy_actors.domain.events import (
    BreakerCounted,
    BreakerMoved,
    Event,
    HoldCleared,
    HoldSet,
    PermitReleased,
    PermitTaken,
    SlotFreed,
    SlotTaken,
)


@attrs.define
class Ledger:
    """Follows the events; contradictions raise.

    Attributes:
        state, generation, until: Of each breaker, by scope.
        out: Permits that each scope has lent and not taken back: their generation, whether a probe.
        slots: Permits that occupy a slot, with their endpoint.
        held: (scope, why) to the end of a hold.
        counted: Verdicts that a breaker counted, as (scope, permit, verdict).
    """

    state: dict[str, str] = attrs.Factory(dict)
    generation: dict[str, int] = attrs.Factory(dict)
    until: dict[str, float] = attrs.Factory(dict)
    out: dict[tuple[str, int], tuple[int, bool]] = attrs.Factory(dict)
    slots: dict[int, str] = attrs.Factory(dict)
    held: dict[tuple[str, str], float] = attrs.Factory(dict)
    counted: list[tuple[str, int, str]] = attrs.Factory(list)
    seen: int = 0

    def read(self, events: list[Event]) -> None:
        """Follow what is new."""
        for event in events[self.seen :]:
            self.note(event)
        self.seen = len(events)

    def note(self, event: Event) -> None:
        """Follow one event."""
        match event:
            case BreakerMoved(scope=scope):
                assert event.source == self.state.get(scope, "closed"), "a transition was not told"
                assert event.generation == self.generation.get(scope, 0) + 1, "generations skip"
                self.state[scope], self.generation[scope] = event.target, event.generation
                self.until[scope] = event.until or 0.0
            case PermitTaken(scope=scope):
                assert (scope, event.permit) not in self.out, "taken twice"
                assert self.state.get(scope, "closed") not in ("open", "isolated"), "it was shut"
                assert event.generation == self.generation.get(scope, 0)
                assert event.probe == (self.state.get(scope) == "half-open")
                self.out[scope, event.permit] = event.generation, event.probe
                assert self.probes(scope) <= 1, "two probes at once"
            case PermitReleased(scope=scope):
                taken = self.out.pop((scope, event.permit), None)
                assert taken == (event.generation, event.probe), "released twice, or never taken"
            case SlotTaken():
                assert event.permit not in self.slots
                self.slots[event.permit] = event.endpoint
                for scope in (event.endpoint, "p"):
                    ends = [end for (where, _), end in self.held.items() if where == scope]
                    assert all(end <= event.at_s for end in ends), "admitted through a hold"
            case SlotFreed():
                assert self.slots.pop(event.permit, None) == event.endpoint, "freed twice"
            case HoldSet():
                self.held[event.scope, event.why] = event.until
            case HoldCleared():
                self.held.pop((event.scope, event.why.rsplit(": ", 1)[0]), None)
            case BreakerCounted(scope=scope):
                assert event.generation == self.generation.get(scope, 0), "a stale verdict counted"
                self.counted.append((scope, event.permit, event.verdict))
            case _:
                pass

    def probes(self, scope: str) -> int:
        """Probes of the current generation that this scope has lent."""
        now = self.generation.get(scope, 0)
        return sum(
            probe and generation == now
            for (where, _), (generation, probe) in self.out.items()
            if where == scope
        )
