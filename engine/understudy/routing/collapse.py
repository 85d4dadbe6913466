"""Identical requests share one call; each of them waits for it, and may leave, by itself.

The call runs in a task of the engine's and belongs to nobody: the first caller's leaving harms none
of the others, and only the last one's ends it. It may take as long as the latest deadline among
them, and each is gone at its own. Errors are shared like answers, not tried again for each. What it
costs is booked once: to the call, and in the results to whoever came first.
"""

from __future__ import annotations

import attrs
import trio
from msgspec.structs import replace

from understudy.routing.desk import Desk
from understudy.routing.endings import shutting_down
from understudy.routing.loop import LATE_S
from understudy.routing.wiring import Wiring
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.collapse_events import RequestJoined
from understudy_actors.domain.errors import AllAttemptsFailed, UnderstudyError
from understudy_actors.domain.result import Result


@attrs.define(eq=False, slots=True)
class Shared:
    """One call, and how many wait for it. `result` or `error` is there once it is `done`."""

    key: bytes
    flight: Flight
    first: str
    waiting: int = 0
    scope: trio.CancelScope = attrs.Factory(trio.CancelScope)
    done: trio.Event = attrs.Factory(trio.Event)
    result: Result | None = None
    error: Exception | None = None


def copied(error: UnderstudyError) -> UnderstudyError:
    """The same error for somebody else, whatever its constructor asks for."""
    own = type(error).__new__(type(error), *error.args)
    own.__dict__.update(error.__dict__)
    return own


def extend(wiring: Wiring, flight: Flight, deadline: float) -> None:
    """Let a flight take until a later deadline, and its attempts under way as far as they may."""
    by_s, flight.deadline = deadline - flight.deadline, deadline
    own = [permit for permit in wiring.flights.permits.values() if permit.request == flight.id]
    limits = {each.name: each.spec.timeout_s for each in flight.tried}
    latest = max((p.taken_at + limits.get(p.endpoint, 0.0) for p in own), default=0.0)
    for scope, owner in wiring.flights.scopes.items():
        if owner is flight and isinstance(scope, trio.CancelScope):
            scope.deadline = max(scope.deadline, min(scope.deadline + by_s, latest))


class Collapser:
    """The calls that are shared now, by what they are asked for."""

    def __init__(self, wiring: Wiring, desk: Desk, nursery: trio.Nursery) -> None:
        self._wiring = wiring
        self._desk = desk
        self._nursery = nursery
        self._shared: dict[bytes, Shared] = {}

    async def route(self, flight: Flight, key: bytes) -> Result:
        """Serve an accepted request by the call of all that are identical with it.

        Raises:
            UnderstudyError: As `Engine.route`; `AllAttemptsFailed` if its deadline comes first.
        """
        shared = self._shared.get(key)
        if shared is None:
            shared = self._begin(key, flight)
        self._join(shared, flight)
        status, result, retry_at = "cancelled", None, None
        self._desk.begin()
        try:
            await self._wait(shared, flight.deadline)
            if not shared.done.is_set() and shared.flight.deadline <= flight.deadline + LATE_S:
                # It ends now as well, and knows better why, or what may stand in.
                await self._wait(shared, flight.deadline + LATE_S)
            result = self._outcome(shared, flight)
            status = "degraded" if result.degraded else "ok"
            return result
        except UnderstudyError as error:
            status, retry_at = type(error).__name__, error.retry_at
            raise
        except Exception as error:
            status = type(error).__name__
            raise
        finally:
            self._leave(shared)
            flight.ended_at = self._wiring.clock.now()
            booked = replace(result, cost_usd=0.0) if result is not None else None
            self._desk.end(flight, status, booked, retry_at, shared.flight)

    async def _wait(self, shared: Shared, until: float) -> None:
        """Wait for its end, or until then, or until the engine closes."""
        flights = self._wiring.flights
        if flights.over:
            return
        scope = trio.CancelScope(deadline=until)
        flights.scopes[scope] = None
        try:
            with scope:
                await shared.done.wait()
        finally:
            del flights.scopes[scope]

    def _begin(self, key: bytes, first: Flight) -> Shared:
        """Start the call that identical requests will share, as a request of its own."""
        flight = self._desk.accept(replace(first.request, id=None), counts=False)
        flight.key = first.key
        shared = self._shared[key] = Shared(key, flight, first.id)
        self._nursery.start_soon(self._run, shared, name=f"shared call {flight.id}")
        return shared

    async def _run(self, shared: Shared) -> None:
        try:
            with shared.scope:
                shared.result = await self._desk.see_through(shared.flight, None)
        except Exception as error:  # whoever waits for it hears it
            shared.error = error
        finally:
            self._forget(shared)
            shared.done.set()

    def _join(self, shared: Shared, flight: Flight) -> None:
        shared.waiting += 1
        if flight.deadline > shared.flight.deadline:
            extend(self._wiring, shared.flight, flight.deadline)
        if self._wiring.trace.on:
            self._wiring.trace.emit(
                RequestJoined(
                    at_s=flight.accepted_at,
                    request=flight.id,
                    shared=shared.flight.id,
                    deadline=flight.deadline,
                )
            )

    def _leave(self, shared: Shared) -> None:
        shared.waiting -= 1
        if not shared.waiting:
            self._forget(shared)  # whoever comes now begins anew
            shared.scope.cancel()

    def _forget(self, shared: Shared) -> None:
        if self._shared.get(shared.key) is shared:
            del self._shared[shared.key]

    def _outcome(self, shared: Shared, flight: Flight) -> Result:
        """What one of those who waited gets."""
        elapsed_s = self._wiring.clock.now() - flight.accepted_at
        if shared.result is not None:
            result = replace(shared.result, request_id=flight.id, elapsed_s=elapsed_s)
            if flight.id == shared.first:
                return result
            return replace(result, cost_usd=0.0, attempts=())
        if isinstance(shared.error, UnderstudyError):
            error = copied(shared.error)
            error.request_id, error.__cause__ = flight.id, shared.error.__cause__
            raise error
        if shared.error is not None:
            raise shared.error
        if self._wiring.flights.over or shared.done.is_set():
            raise shutting_down()
        if (stand_in := self._desk.stand_in(flight)) is not None:
            return stand_in
        raise AllAttemptsFailed(
            f"the call that this request shares with others was not answered within "
            f"{elapsed_s:.2f} s, and its deadline has passed. Allow it more time.",
            request_id=flight.id,
        )
