"""A hedged attempt: while the first copy stays silent, a second one races it at another provider.

The first copy runs in the caller's own task. Nothing else is spawned until the dispatcher lets a
second copy go out: then there is one child task, under a nursery that ends with the race. The first
valid answer wins, an error or a refusal never does: whoever fails leaves the race to the other, and
only when both have failed does the request go on as after any failure. The loser is cancelled,
which settles it, and it is booked in full, since it was sent.

What races is whatever makes one attempt and returns a valid answer or an error. A stream races to
its first valid content: whose comes first is read on, once the race is over and under none of its
scopes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import attrs
import trio

from understudy.routing.wiring import Call, Wiring
from understudy_actors.dispatcher.flight import Decision, Flight
from understudy_actors.dispatcher.hedge import delay_s, first_token_delay_s
from understudy_actors.dispatcher.messages import Hedge, HedgeEnded, HedgeSent
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.hedge_events import HedgeWon
from understudy_actors.domain.outcome import POLICY
from understudy_actors.provider.messages import Permit
from understudy_actors.runtime.errors import ActorError

T = TypeVar("T")
Attempting: TypeAlias = Callable[
    [Wiring, Flight, Candidate, Permit, Call, float], Awaitable[T | ProviderError]
]
"""Asks a candidate once, in so many seconds, and settles the permit unless it hands it on."""


class Seat(NamedTuple):
    """Leave for one attempt: at whom, under which permit, for how many seconds at most."""

    candidate: Candidate
    permit: Permit
    timeout_s: float


Take: TypeAlias = Callable[[Wiring, Flight, Decision], tuple[Candidate, Permit, float] | None]
"""Takes a permit from the first of a decision's candidates that gives one."""


async def hedged(
    wiring: Wiring, flight: Flight, attempt: Attempting[T], seat: Seat, take: Take
) -> tuple[Candidate, T | ProviderError]:
    """Make one attempt, and a second copy of it elsewhere if it stays silent for too long.

    Returns:
        Who answered, and the reply; or who failed last, and how.

    Raises:
        ShuttingDown: The engine was closed meanwhile.
    """
    after_s = _silence_s(wiring, flight, seat)
    if after_s is None:
        return seat.candidate, await _run(wiring, flight, attempt, seat)
    try:
        async with trio.open_nursery() as nursery:
            race = Race(wiring, flight, attempt, nursery, seat)
            launch = partial(copy_context().run, race.launch, take, after_s)
            timer = wiring.timers.at(seat.permit.taken_at + after_s, launch)
            try:
                await race.run(seat)
            finally:
                timer.cancel()
    finally:
        flight.answered = False  # a stream goes on, and may yet be left by its caller
    flight.ended_at = wiring.clock.now()  # the race ends later than the attempt that won it
    return race.result()


def _silence_s(wiring: Wiring, flight: Flight, seat: Seat) -> float | None:
    """How long the attempt may stay silent; None: no copy of it will be sent."""
    if flight.hedged or not flight.fallback or len(flight.attempts) + 2 > flight.max_attempts:
        return None
    if flight.streams:
        after_s = _first_token_s(flight, seat.candidate)
    else:
        after_s = delay_s(wiring.hedge, seat.candidate.health)
    return None if after_s is None or after_s >= seat.timeout_s else after_s


def _first_token_s(flight: Flight, candidate: Candidate) -> float | None:
    rule = candidate.spec.stream.hedge
    if not rule.enabled and flight.hedge is None:
        return None
    return first_token_delay_s(rule, candidate.health)


async def _run(
    wiring: Wiring, flight: Flight, attempt: Attempting[T], seat: Seat
) -> T | ProviderError:
    call = wiring.calls[seat.candidate.index]
    return await attempt(wiring, flight, seat.candidate, seat.permit, call, seat.timeout_s)


@attrs.define(eq=False, slots=True)
class Race(Generic[T]):
    """One request's copies. The first reply decides it."""

    wiring: Wiring
    flight: Flight
    attempt: Attempting[T]
    nursery: trio.Nursery
    first: Seat
    _winner: tuple[Seat, T] | None = None
    _failed: list[tuple[Seat, ProviderError]] = attrs.Factory(list)
    _raised: Exception | None = None

    async def run(self, seat: Seat) -> None:
        """Make one attempt, and note how it ended."""
        try:
            answer = await _run(self.wiring, self.flight, self.attempt, seat)
        except Exception as error:  # the engine closes: the other copy hears it too
            self._raised = error
            return
        if isinstance(answer, ProviderError):
            self._failed.append((seat, answer))
        elif self._winner is None:
            self._winner = seat, answer
            self.flight.answered = True
            self.nursery.cancel_scope.cancel()

    def launch(self, take: Take, after_s: float) -> None:
        """The first copy has been silent for too long: send another one, if that is allowed."""
        wiring, flight = self.wiring, self.flight
        if wiring.flights.over:
            return
        try:
            decision = wiring.dispatcher.ask_now(Hedge(flight, self.first.candidate))
        except ActorError:
            return  # it is down: the first copy goes on alone
        taken = take(wiring, flight, decision) if decision is not None else None
        if taken is None:
            return
        flight.hedged, flight.retries_here = True, 0  # the copy is the last one that was asked
        flight.decisions += (decision,)
        seat = Seat(*taken)
        wiring.dispatcher.tell(HedgeSent(flight, seat.candidate, seat.permit.attempt, after_s))
        self.nursery.start_soon(self._second, seat, name=f"second copy of {flight.id}")

    async def _second(self, seat: Seat) -> None:
        try:
            await self.run(seat)
        finally:
            self.wiring.dispatcher.tell(HedgeEnded())

    def result(self) -> tuple[Candidate, T | ProviderError]:
        """How the race ended."""
        if self._winner is not None:
            seat, reply = self._winner
            self._tell_won(seat)
            return seat.candidate, reply
        if self._raised is not None:
            raise self._raised
        # A failure that asking others cannot help ends the request, whoever failed last.
        final = (each for each in self._failed if not POLICY[each[1].kind].elsewhere)
        last = max(self._failed, key=lambda each: each[0].permit.attempt)
        seat, error = next(final, last)
        return seat.candidate, error

    def _tell_won(self, seat: Seat) -> None:
        wiring, flight = self.wiring, self.flight
        if not flight.hedged:
            return
        attempts, settled = flight.attempts, seat.permit.attempt not in wiring.flights.permits
        if settled and attempts[-1].endpoint != seat.candidate.name:  # the loser settled last
            flight.attempts = (*attempts[:-2], attempts[-1], attempts[-2])
        others = (each for each in flight.tried if each is not seat.candidate)
        flight.tried = (*others, seat.candidate)  # if its stream breaks off, it was asked last
        if wiring.trace.on:
            wiring.trace.emit(
                HedgeWon(
                    at_s=wiring.clock.now(),
                    request=flight.id,
                    attempt=seat.permit.attempt,
                    endpoint=seat.candidate.name,
                )
            )
