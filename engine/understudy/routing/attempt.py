"""One attempt: under one cancel scope, in the caller's task, settled exactly once on every path."""

from __future__ import annotations

import trio

from understudy.adapters.base import Reply
from understudy.routing.endings import shutting_down
from understudy.routing.failure import no_reply, silent, typed
from understudy.routing.settlement import settle
from understudy.routing.wiring import Call, Wiring
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.errors import AdapterFailed, ProviderError
from understudy_actors.domain.events import AttemptDispatched
from understudy_actors.provider.messages import Permit


async def attempt(
    wiring: Wiring,
    flight: Flight,
    candidate: Candidate,
    permit: Permit,
    call: Call,
    timeout_s: float,
) -> Reply | ProviderError:
    """Ask `candidate` once. Returns its reply, or the typed error of its failure.

    The permit is settled in `finally`, synchronously: cancelling the caller anywhere settles it as
    NEUTRAL.

    Raises:
        ShuttingDown: The engine was closed while the attempt ran.
    """
    scopes = wiring.flights.scopes
    scope = trio.CancelScope(deadline=permit.taken_at + timeout_s)
    scopes[scope] = flight
    answer: Reply | ProviderError | None = None  # stays None if the caller or the engine leaves
    try:
        if wiring.trace.fine:
            tell_dispatched(wiring, flight, candidate, permit)
        if wiring.durable is not None:  # not under its limit: no provider is to blame for this
            await wiring.durable.cover(permit.attempt, candidate.spec, flight.deadline)
        with scope:
            request, purse = flight.request, wiring.purse
            if purse is not None:
                request = purse.fitted(permit.attempt, request)
            answer = await call(candidate, request)
        if scope.cancelled_caught:
            if not wiring.flights.over:
                answer = silent(candidate.spec, wiring.clock.now() - permit.taken_at)
        elif not isinstance(answer, Reply):
            answer = _failure(wiring, candidate, no_reply(answer, candidate.spec))
    except Exception as raised:
        answer = _failure(wiring, candidate, raised)
    finally:
        del scopes[scope]
        settle(wiring, flight, candidate, permit, answer)
    if answer is None:
        raise shutting_down()
    return answer


def _failure(wiring: Wiring, candidate: Candidate, raised: Exception) -> ProviderError:
    """The typed error of what an attempt raised; code from outside that broke is reported."""
    error = typed(raised, candidate.spec)
    if isinstance(error, AdapterFailed):
        cause = error.__cause__ or error
        wiring.contained("adapter", candidate.name, cause, "the attempt counts as failed")
    return error


def tell_dispatched(wiring: Wiring, flight: Flight, candidate: Candidate, permit: Permit) -> None:
    """The request is on its way: from here it may cost money."""
    wiring.trace.emit_fine(
        AttemptDispatched(
            at_s=permit.taken_at,
            attempt=permit.attempt,
            request=flight.id,
            endpoint=candidate.name,
        )
    )
