"""What an engine's state was at some time, as far as its events tell it."""

from __future__ import annotations

import attrs

from understudy_actors.domain.events import (
    AttemptAdmitted,
    AttemptEnded,
    BreakerMoved,
    Event,
    HoldCleared,
    HoldSet,
    LimitSet,
    RequestAccepted,
    RequestOutcome,
    RetryScheduled,
    SlotFreed,
    SlotTaken,
)
from understudy_actors.domain.waiting_events import Queued


@attrs.define(eq=False)
class Snapshot:
    """Breakers, holds, slots and requests after the events taken so far.

    Attributes:
        at_s: Time of the last event.
        moves: Last move of each breaker; one that never moved is closed.
        holds: Holds that were set and not cleared, by scope; they end by themselves at `until`.
        in_flight: Taken slots, by endpoint.
        limits: Concurrency limits, by endpoint, where they were told.
        requests: What each request that is not over yet does.
    """

    at_s: float = 0.0
    moves: dict[str, BreakerMoved] = attrs.Factory(dict)
    holds: dict[str, HoldSet] = attrs.Factory(dict)
    in_flight: dict[str, int] = attrs.Factory(dict)
    limits: dict[str, float] = attrs.Factory(dict)
    requests: dict[str, str] = attrs.Factory(dict)

    def take(self, event: Event) -> None:
        """Take the next event."""
        self.at_s = event.at_s
        match event:
            case BreakerMoved(scope=scope):
                self.moves[scope] = event
            case HoldSet(scope=scope):
                self.holds[scope] = event
            case HoldCleared(scope=scope):
                self.holds.pop(scope, None)
            case SlotTaken(endpoint=endpoint, in_flight=count):
                self.in_flight[endpoint] = count
            case SlotFreed(endpoint=endpoint, in_flight=count):
                self.in_flight[endpoint] = count
            case LimitSet(endpoint=endpoint, limit=limit):
                self.limits[endpoint] = limit
            case _:
                self._take_request(event)

    def _take_request(self, event: Event) -> None:
        match event:
            case RequestAccepted(request=request):
                self.requests[request] = "accepted"
            case AttemptAdmitted(request=request, endpoint=endpoint, attempt=attempt, probe=probe):
                self.requests[request] = f"#{attempt} at {endpoint}" + " (probe)" * probe
            case AttemptEnded(request=request, endpoint=endpoint, verdict=verdict, error=error):
                self.requests[request] = f"{endpoint} {error or verdict}"
            case RetryScheduled(request=request, wait_s=wait_s, endpoint=endpoint, why=why):
                until_s = event.at_s + wait_s
                self.requests[request] = f"waits until {until_s:.3f} s for {endpoint} ({why})"
            case Queued(request=request, wanted=wanted):
                self.requests[request] = f"waits for a slot at {' or '.join(wanted)}"
            case RequestOutcome(request=request):
                self.requests.pop(request, None)
            case _:
                pass

    def scopes(self) -> dict[str, str]:
        """One line for each endpoint and account of which anything is known, sorted by name."""
        names = self.moves.keys() | self.in_flight.keys() | self.limits.keys() | self._held()
        return {name: self._scope(name) for name in sorted(names)}

    def _held(self) -> set[str]:
        return {scope for scope, hold in self.holds.items() if hold.until > self.at_s}

    def _scope(self, name: str) -> str:
        move = self.moves.get(name)
        said = "closed"
        if move is not None and move.target != "closed":
            until = "" if move.until is None else f" until {move.until:.3f} s"
            said = f"{move.target}{until} ({move.why})"
        if name in self.in_flight or name in self.limits:
            limit = f" of {self.limits[name]:g}" if name in self.limits else ""
            said += f", slots {self.in_flight.get(name, 0)}{limit}"
        if name in self._held():
            said += f", held until {self.holds[name].until:.3f} s ({self.holds[name].why})"
        return said
