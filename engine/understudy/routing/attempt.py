"""One attempt: under one cancel scope, in the caller's task, settled exactly once on every path."""

from __future__ import annotations

import trio

from understudy.adapters.base import Reply
from understudy.prices import cost_usd
from understudy.routing.endings import shutting_down
from understudy.routing.failure import silent, typed
from understudy.routing.wiring import Call, Wiring
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.errors import AdapterFailed, ProviderError, ShuttingDown
from understudy_actors.domain.events import AttemptDispatched, AttemptEnded
from understudy_actors.domain.outcome import POLICY, ErrorClass, Verdict
from understudy_actors.domain.result import Attempt, Usage
from understudy_actors.provider.messages import Permit, Settle
from understudy_actors.runtime.mailbox import Lane

_LOCAL = frozenset({ErrorClass.CANCELLED, ErrorClass.INTERNAL})
_NO_RESPONSE = frozenset(
    {ErrorClass.CONNECT, ErrorClass.RESET, ErrorClass.SILENT, *_LOCAL, ErrorClass.ADAPTER}
)


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
    flights = wiring.flights
    started = permit.taken_at
    scope = trio.CancelScope(deadline=started + timeout_s)
    flights.scopes[scope] = None
    answer: Reply | ProviderError | None = None
    ended = False
    try:
        _tell_dispatched(wiring, flight, candidate, permit, started)
        with scope:
            answer = await call(candidate, flight.request)
        ended = True
        if answer is None:
            if flights.closing:
                ended = False
                raise shutting_down()
            answer = silent(candidate.spec, wiring.clock.now() - started)
    except Exception as raised:
        if isinstance(raised, ShuttingDown):
            raise
        ended = True
        answer = typed(raised, candidate.spec)
        if isinstance(answer, AdapterFailed):
            cause = answer.__cause__ or answer
            note = "the attempt counts as failed"
            wiring.contained("adapter", candidate.name, cause, note)
    finally:
        del flights.scopes[scope]
        _settle(wiring, flight, candidate, permit, started, answer if ended else None)
    return answer


def verdict_of(candidate: Candidate, error: ProviderError, elapsed_s: float) -> Verdict:
    """What a failure says about the endpoint. Silence counts only if it lasted long enough."""
    if error.kind is ErrorClass.SILENT:
        fails = candidate.health.timeout_is_failure(elapsed_s, candidate.spec.timeout_s)
        return Verdict.FAIL if fails else Verdict.NEUTRAL
    return POLICY[error.kind].verdict


def _settle(
    wiring: Wiring,
    flight: Flight,
    candidate: Candidate,
    permit: Permit,
    started: float,
    answer: Reply | ProviderError | None,
) -> None:
    now = flight.ended_at = wiring.clock.now()
    elapsed_s = now - started
    spec = candidate.spec
    usage: Usage | None = None
    cost: float | None
    error: ProviderError | None = None
    if isinstance(answer, Reply):
        verdict, kind = Verdict.OK, None
        usage = answer.usage or Usage(flight.input_tokens, flight.output_tokens, estimated=True)
        cost = _cost_usd(candidate, permit, usage)
    else:
        error = answer
        kind = ErrorClass.CANCELLED if error is None else error.kind
        verdict = Verdict.NEUTRAL if error is None else verdict_of(candidate, error, elapsed_s)
        cost = None if POLICY[kind].billed else 0.0
    settle = Settle(
        permit=permit,
        verdict=verdict,
        error=kind,
        retry_after_s=error.retry_after_s if error is not None else None,
        output_tokens=usage.output_tokens if usage is not None else 0,
        responded=kind not in _NO_RESPONSE,
    )
    wiring.flights.permits.pop(permit.attempt, None)
    wiring.providers[candidate.index].tell(settle, Lane.RESULTS)
    flight.attempts.append(
        Attempt(
            provider=spec.provider,
            model=spec.model,
            outcome=verdict.value,
            error=kind.value if kind is not None else None,
            reason=str(error) if error is not None else None,
            status=error.status if error is not None else None,
            started_s=started - flight.accepted_at,
            elapsed_s=elapsed_s,
            wait_s=flight.wait_s,
            cost_usd=cost,
        )
    )
    flight.wait_s = 0.0
    trace = wiring.trace
    if trace.fine or (trace.on and verdict is not Verdict.OK):
        tell = trace.emit_fine if verdict is Verdict.OK else trace.emit
        tell(
            AttemptEnded(
                at_s=now,
                attempt=permit.attempt,
                request=flight.id,
                endpoint=candidate.name,
                verdict=verdict.value,
                error=kind.value if kind is not None else None,
                status=error.status if error is not None else None,
                origin="local" if kind in _LOCAL else "remote",
                elapsed_s=elapsed_s,
                cost_usd=cost,
            )
        )


def _cost_usd(candidate: Candidate, permit: Permit, usage: Usage) -> float | None:
    """What a success cost; None if the price is unknown."""
    price = candidate.spec.price
    if permit.free:
        return 0.0
    return None if price is None else cost_usd(price, usage)


def _tell_dispatched(
    wiring: Wiring, flight: Flight, candidate: Candidate, permit: Permit, now: float
) -> None:
    if wiring.trace.fine:
        wiring.trace.emit_fine(
            AttemptDispatched(
                at_s=now, attempt=permit.attempt, request=flight.id, endpoint=candidate.name
            )
        )
