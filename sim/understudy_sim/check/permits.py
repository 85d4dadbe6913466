"""Laws of permits and slots: lent once, given back once, never more probes than allowed."""

from __future__ import annotations

from typing import Final

from understudy_actors.domain.events import (
    ActorCrashed,
    ActorRestarted,
    AttemptEnded,
    BreakerMoved,
    PermitReleased,
    PermitTaken,
    SlotFreed,
    SlotTaken,
)
from understudy_sim.check.gates import ACTOR
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Violation, Watch, Witness

_SLOT: Final = "slot of "


class Probes(Watch):
    """S2."""

    name = "S2"
    claim = "a half-open breaker lends probes only, and never more of them than allowed at once"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._half_open: dict[str, tuple[Witness, dict[int, Witness]]] = {}
        self.hears = {
            BreakerMoved: self._moved,
            PermitTaken: self._taken,
            PermitReleased: self._released,
        }

    def _moved(self, seq: int, event: BreakerMoved) -> None:
        if event.target == "half-open":
            self._half_open[event.scope] = (seq, event), {}
        else:
            self._half_open.pop(event.scope, None)

    def _taken(self, seq: int, event: PermitTaken) -> Violation | None:
        if not self._half_open or (state := self._half_open.get(event.scope)) is None:
            return None
        since, probes = state
        if not event.probe:
            said = f"{event.scope} is half-open and lent permit {event.permit}, which is no probe"
            return self.broken("no probe", said, since, (seq, event))
        probes[event.permit] = seq, event
        most = self.rules.breaker_of(event.scope).max_probes
        if len(probes) <= most:
            return None
        said = f"{event.scope} has {len(probes)} probes out, {most} allowed"
        return self.broken("too many", said, since, *probes.values())

    def _released(self, seq: int, event: PermitReleased) -> None:  # noqa: ARG002
        if self._half_open and (state := self._half_open.get(event.scope)) is not None:
            lent = state[1].get(event.permit)
            if lent is not None and getattr(lent[1], "generation", None) == event.generation:
                del state[1][event.permit]


class Returned(Watch):
    """S5. What a crash of its owner swallowed is back when its attempt is over."""

    name = "S5"
    claim = "every permit and slot that is taken comes back exactly once"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._out: dict[tuple[int, str], Witness] = {}
        self._orphans: dict[tuple[int, str], bool] = {}  # True: its attempt is over
        self._first: int | None = None
        self.hears = {
            PermitTaken: self._permit_taken,
            PermitReleased: self._permit_released,
            SlotTaken: self._slot_taken,
            SlotFreed: self._slot_freed,
            AttemptEnded: self._attempt_ended,
            ActorCrashed: self._crashed,
        }

    def _permit_taken(self, seq: int, event: PermitTaken) -> Violation | None:
        if self._first is None:
            self._first = event.permit
        return self._take((event.permit, event.scope), (seq, event))

    def _slot_taken(self, seq: int, event: SlotTaken) -> Violation | None:
        return self._take((event.permit, _SLOT + event.endpoint), (seq, event))

    def _permit_released(self, seq: int, event: PermitReleased) -> Violation | None:
        return self._give((event.permit, event.scope), (seq, event))

    def _slot_freed(self, seq: int, event: SlotFreed) -> Violation | None:
        return self._give((event.permit, _SLOT + event.endpoint), (seq, event))

    def _take(self, key: tuple[int, str], here: Witness) -> Violation | None:
        before = self._out.get(key)
        self._out[key] = here
        if before is None:
            return None
        return self.broken("taken twice", f"{_what(key)} was taken twice", before, here)

    def _give(self, key: tuple[int, str], here: Witness) -> Violation | None:
        if self._out.pop(key, None) is not None:
            return None
        if self._orphans and self._orphans.pop(key, None) is not None:
            return None
        if self._first is None or key[0] < self._first:
            return None  # taken before we listened
        return self.broken("returned twice", f"{_what(key)} came back, but was not out", here)

    def _attempt_ended(self, seq: int, event: AttemptEnded) -> None:  # noqa: ARG002
        if self._orphans:
            for key in self._orphans:
                if key[0] == event.attempt:
                    self._orphans[key] = True

    def _crashed(self, seq: int, event: ActorCrashed) -> None:  # noqa: ARG002
        if not event.actor.startswith(ACTOR):
            return
        name = event.actor.removeprefix(ACTOR)
        self._orphans = {
            key: over for key, over in self._orphans.items() if not (over and _owner(key) == name)
        }
        for key in [key for key in self._out if _owner(key) == name]:
            del self._out[key]
            self._orphans[key] = False

    def end(self) -> Violation | None:
        """Nothing is out."""
        if self._out:
            key, taken = next(iter(self._out.items()))
            said = f"{_what(key)} and {len(self._out) - 1} others never came back"
            return self.broken("leaked", said, taken)
        for key, over in self._orphans.items():
            if not over:
                said = f"{_what(key)} never came back, and its attempt never ended"
                return self.broken("orphaned", said)
        return None


def _owner(key: tuple[int, str]) -> str:
    return provider_of(key[1].removeprefix(_SLOT))


def _what(key: tuple[int, str]) -> str:
    number, scope = key
    if scope.startswith(_SLOT):
        return f"the slot of attempt {number} at {scope.removeprefix(_SLOT)}"
    return f"permit {number} of {scope}"


class SlotCounts(Watch):
    """Part of S26: what an endpoint says is in flight is what it took and gave back."""

    name = "S26"
    claim = "the number in flight moves by one, and is never negative"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._counts: dict[str, int] = {}
        self._last: dict[str, Witness] = {}
        self.hears = {
            SlotTaken: self._taken,
            SlotFreed: self._freed,
            ActorCrashed: self._forget,
            ActorRestarted: self._forget,
        }

    def _taken(self, seq: int, event: SlotTaken) -> Violation | None:
        return self._step(event.endpoint, self._counts.get(event.endpoint), 1, (seq, event))

    def _freed(self, seq: int, event: SlotFreed) -> Violation | None:
        before = self._counts.get(event.endpoint)
        if before is None:  # nothing was taken since its actor started: no count to go by
            return None
        return self._step(event.endpoint, before, -1, (seq, event))

    def _forget(self, seq: int, event: ActorCrashed | ActorRestarted) -> None:  # noqa: ARG002
        """It counts anew what it still owes, and hears late of what it does not."""
        name = event.actor.removeprefix(ACTOR)
        for endpoint in [each for each in self._counts if provider_of(each) == name]:
            del self._counts[endpoint]

    def _step(
        self, endpoint: str, before: int | None, by: int, here: tuple[int, SlotTaken | SlotFreed]
    ) -> Violation | None:
        said = here[1].in_flight
        self._counts[endpoint] = said
        last, self._last[endpoint] = self._last.get(endpoint), here
        if said >= 0 and (before is None or said == before + by):
            return None
        why = f"{endpoint} says {said} in flight, after {before} it must be {(before or 0) + by}"
        return self.broken("in flight", why, last, here)
