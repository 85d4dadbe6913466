"""The request loop: from the first decision to exactly one outcome, in the caller's own task.

It decides nothing itself: the dispatcher says whom to ask and what follows a failure, the provider
says whether it may be asked now.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import trio

from understudy.routing.asking import ask, ask_now
from understudy.routing.bounds import output_to_reserve
from understudy.routing.endings import exhausted, nobody, shutting_down
from understudy.routing.hedging import Attempting, Seat, T, hedged
from understudy.routing.purse import UNPAID
from understudy.routing.wiring import Call, Wiring
from understudy_actors.dispatcher.flight import Decision, Flight
from understudy_actors.dispatcher.messages import Failed, Left, Rank, Step, WaitForSlot
from understudy_actors.dispatcher.retry import Failure, Move
from understudy_actors.dispatcher.select import too_big, too_dear
from understudy_actors.domain.candidate import ONLY_BUSY, Candidate
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.events import (
    AttemptAdmitted,
    AttemptRefused,
    Decided,
    FailedOver,
    RetryScheduled,
)
from understudy_actors.provider.gate import Refusal
from understudy_actors.provider.messages import Admit, Permit
from understudy_actors.runtime.actor import State
from understudy_actors.runtime.errors import (
    ActorDied,
    ActorError,
    ActorStopped,
    DeadlineExceeded,
)

SHARE_LEFT: Final = 0.5
"""While somebody else could still be asked, one attempt may use this share of the time left, so
that one silent provider cannot eat the whole of it."""
MIN_USEFUL_S: Final = 1.0
LATE_S: Final = 0.05
"""A hold that did not end when it should have was made longer: then it is time to decide anew."""
NO_SLOT_IN_TIME: Final = "no slot became free before the deadline"
USUAL: Final = 4.0
"""But it always gets this multiple of its usual time, to tell silence from slowness."""

Broken: TypeAlias = tuple[Candidate, ProviderError]


async def serve(
    wiring: Wiring,
    flight: Flight,
    attempt: Attempting[T],
    call: Call | None = None,
    broken: Broken | None = None,
) -> tuple[T, Candidate]:
    """Ask candidates until one answers; returns its answer.

    Args:
        wiring: The engine's.
        flight: The request, accepted and stamped.
        attempt: How one candidate is asked: for a whole answer, or for the beginning of a stream.
        call: Makes each attempt instead of the endpoint's own adapter.
        broken: Who had answered already, and how that answer broke off: ask those who come next.

    Raises:
        UnderstudyError: Nobody answered; see `endings`.
    """
    if broken is None:
        decision = ask_now(wiring, Rank(flight)) or await _rank(wiring, flight)
    else:
        decision = await _go_on(wiring, flight, *broken)
    try:
        while True:
            if wiring.trace.fine:
                _tell_decided(wiring, flight, decision)
            if (seat := _seat(wiring, flight, decision)) is None:
                decision = await _wait_in_line(wiring, flight, decision)
                continue
            candidate, permit, timeout_s = seat
            made_by = call or wiring.calls[candidate.index]
            if flight.hedge is not False and call is None:
                candidate, answer = await hedged(wiring, flight, attempt, Seat(*seat), _seat)
            else:
                answer = await attempt(wiring, flight, candidate, permit, made_by, timeout_s)
            if not isinstance(answer, ProviderError):
                return answer, candidate
            decision = await _go_on(wiring, flight, candidate, answer)
    finally:
        if flight.ticket:
            wiring.dispatcher.tell(Left(flight))


async def _go_on(
    wiring: Wiring, flight: Flight, candidate: Candidate, error: ProviderError
) -> Decision:
    """What to do after a failure: waits if it must, raises if this is the end."""
    flight.last_error = error
    failure = Failure(
        error=error.kind,
        retry_after_s=error.retry_after_s,
        ready_at=candidate.shut_until,
        min_useful_s=candidate.health.min_useful_s,
    )
    step: Step = await ask(wiring, flight, Failed(flight, candidate, failure))
    if step.move is Move.END:
        last = flight.decisions[-1] if flight.decisions[-1].left_out else step.decision
        raise exhausted(flight, error, last, step.why, wiring.clock.now())
    if step.move is Move.ELSEWHERE:
        assert step.decision is not None
        flight.retries_here = 0
        if wiring.trace.on and step.decision.ranked:
            wiring.trace.emit(
                FailedOver(
                    at_s=step.decision.at_s,
                    request=flight.id,
                    source=candidate.name,
                    target=step.decision.ranked[0].name,
                    why=error.kind.value,
                )
            )
        return step.decision
    await _pause(wiring, flight, candidate, step)
    flight.retries_here += 1
    now = wiring.clock.now()
    if now >= flight.deadline:  # the process stood still meanwhile
        why = "the deadline passed before the retry"
        raise exhausted(flight, error, flight.decisions[-1], why, now)
    return _again(flight.decisions[-1], candidate, now)


async def _pause(wiring: Wiring, flight: Flight, candidate: Candidate, step: Step) -> None:
    now = wiring.clock.now()
    if wiring.trace.on:
        wiring.trace.emit(
            RetryScheduled(
                at_s=now,
                request=flight.id,
                endpoint=candidate.name,
                wait_s=step.wait_s,
                why="retry",
            )
        )
    scopes = wiring.flights.scopes
    with trio.CancelScope() as scope:
        scopes[scope] = None
        try:
            await trio.sleep_until(now + step.wait_s)
        finally:
            del scopes[scope]
    flight.wait_s += wiring.clock.now() - now


def _seat(
    wiring: Wiring, flight: Flight, decision: Decision
) -> tuple[Candidate, Permit, float] | None:
    """Take a permit from the first candidate that gives one; note the refusals of the others."""
    if wiring.flights.over:
        raise shutting_down()
    ranked = decision.ranked
    now = decision.at_s
    for position, candidate in enumerate(ranked):
        timeout_s = _attempt_timeout_s(flight, candidate, now, position + 1 < len(ranked))
        number = wiring.flights.next_attempt()
        answer = _admit(wiring, flight, candidate, number, timeout_s, copy=decision.copy)
        if isinstance(answer, Permit):
            wiring.flights.permits[number] = answer
            if candidate not in flight.tried:
                flight.tried += (candidate,)
            if flight.ticket:
                wiring.dispatcher.tell(Left(flight))
                flight.ticket = 0
            if wiring.trace.fine:
                _tell_admitted(wiring, flight, candidate, answer, timeout_s)
            return candidate, answer, timeout_s
        wiring.flights.attempts -= 1  # there was none
        _note_refusal(wiring, flight, decision, candidate, answer, now)
    return None


def _admit(
    wiring: Wiring,
    flight: Flight,
    candidate: Candidate,
    number: int,
    timeout_s: float,
    *,
    copy: bool,
) -> Permit | Refusal:
    """Set the money aside, if there are budgets, and ask the provider for a permit."""
    purse = wiring.purse
    if purse is not None and (broke := purse.reserve(flight, candidate, number, copy=copy)):
        return broke
    most = output_to_reserve(flight, candidate.spec) if candidate.metered else flight.output_tokens
    try:
        answer: Permit | Refusal = wiring.providers[candidate.index].ask_now(
            Admit(
                number,
                candidate.name,
                timeout_s,
                flight.id,
                flight.input_tokens,
                most,
                flight.compartments,
            )
        )
    except ActorError as error:
        # A restart that is overdue, since the process stood still, may come at any moment.
        back_at = None if error.retry_at is None else max(wiring.clock.now(), error.retry_at)
        answer = Refusal(back_at, f"its actor is {error.why}")
    if purse is not None and isinstance(answer, Refusal):
        purse.settle(number, 0)  # it is not sent
    return answer


def _attempt_timeout_s(flight: Flight, candidate: Candidate, now: float, others: bool) -> float:
    left_s = flight.deadline - now
    limit_s = candidate.spec.timeout_s
    if limit_s > left_s:
        limit_s = left_s
    share_s = left_s * SHARE_LEFT
    if (
        limit_s <= share_s
        or not others
        or flight.streams  # its silence has limits of its own
        or len(flight.attempts) + 1 >= flight.max_attempts
    ):
        return limit_s
    usual_s = candidate.health.latency_s(now, flight.output_tokens, MIN_USEFUL_S) * USUAL
    allowed_s = max(share_s, usual_s, MIN_USEFUL_S)
    return allowed_s if allowed_s < limit_s else limit_s


def _note_refusal(
    wiring: Wiring,
    flight: Flight,
    decision: Decision,
    candidate: Candidate,
    refusal: Refusal,
    now: float,
) -> None:
    decision.leave_out({candidate.name: refusal.why})
    if refusal.why in ONLY_BUSY:
        decision.can_wait, decision.wait_until = True, math.inf
    elif refusal.retry_at is not None and refusal.retry_at < math.inf:
        decision.retry_at = min(refusal.retry_at, decision.retry_at or refusal.retry_at)
    if wiring.trace.fine:
        wiring.trace.emit_fine(
            AttemptRefused(
                at_s=now,
                request=flight.id,
                endpoint=candidate.name,
                reason=refusal.why,
                retry_at=refusal.retry_at,
            )
        )


async def _wait_in_line(wiring: Wiring, flight: Flight, decision: Decision) -> Decision:
    """Everybody who could serve is busy: wait for a slot, then decide anew."""
    now = wiring.clock.now()
    retry = decision is not flight.decisions[-1]
    if not decision.can_wait:
        if retry and flight.fallback:  # refused while it waited: somebody else may be free
            return await _rank_anew(wiring, flight)
        raise _unserved(flight, decision, now, None)
    if wiring.trace.on:
        wiring.trace.emit(
            RetryScheduled(at_s=now, request=flight.id, endpoint="", wait_s=0.0, why="slot")
        )
    until = min(flight.deadline, decision.wait_until + LATE_S)
    try:
        await wiring.dispatcher.ask(WaitForSlot(flight), until)
    except ActorStopped:
        raise shutting_down() from None
    except DeadlineExceeded:
        wiring.dispatcher.tell(Left(flight))
    except ActorDied:
        flight.ticket = 0  # the queue went with the dispatcher: stand in line anew
    began, now = now, wiring.clock.now()
    flight.wait_s += now - began
    if now == began:
        await trio.lowlevel.checkpoint()  # woken at once: whoever goes round must not spin
    if now >= flight.deadline:
        _look_again(wiring, flight, decision, now)
        raise _unserved(flight, decision, now, NO_SLOT_IN_TIME)
    if retry and not flight.fallback:
        return _again(decision, decision.ranked[0], now)
    again = await _rank_anew(wiring, flight)
    if again.ranked or again.can_wait or not retry:
        return again
    return _again(decision, decision.ranked[0], again.at_s)


def _look_again(wiring: Wiring, flight: Flight, decision: Decision, now: float) -> None:
    """What a decision says about the ends of gates is as old as the wait that followed it.

    Whom nobody could pay for has no such end, nor has who is too small or too dear: its gates are
    not what stands in the way.
    """
    left_out = decision.left_out
    waits = (
        c
        for c in decision.route.candidates
        if c.name in left_out and not left_out[c.name].startswith(UNPAID) and not _beyond(flight, c)
    )
    ends = (max(c.shut_until, _back_at(wiring, c)) for c in waits if c not in flight.tried)
    decision.retry_at = min((end for end in ends if now < end < math.inf), default=None)


def _beyond(flight: Flight, candidate: Candidate) -> bool:
    """Is the request too large for it, or it too dear? No time changes that."""
    spec, tokens = candidate.spec, (flight.input_tokens, flight.output_tokens)
    window = spec.max_context_tokens
    if window is not None and window <= flight.outgrew:
        return True
    dear = too_dear(spec, flight.request, *tokens, candidate.free_left)
    return dear is not None or too_big(spec, flight.input_tokens) is not None


def _back_at(wiring: Wiring, candidate: Candidate) -> float:
    """When the candidate's actor is up again; 0 if it is up, infinity if a hand must raise it."""
    actor = wiring.providers[candidate.index].status()
    if actor.state is State.RUNNING:
        return 0.0
    return math.inf if actor.retry_at is None else actor.retry_at


def _again(before: Decision, candidate: Candidate, now: float) -> Decision:
    """The decision to ask the same candidate once more."""
    others = (each.name for each in before.route.candidates if each is not candidate)
    left_out = dict.fromkeys(others, f"{candidate.name} is asked again first")
    return Decision(now, before.strategy, before.route, (candidate,), left_out)


def _unserved(flight: Flight, decision: Decision, now: float, why: str | None) -> Exception:
    if not flight.attempts:
        return nobody(flight, decision, now, why)
    last = flight.last_error
    assert last is not None
    return exhausted(flight, last, decision, why or "nobody else can be asked", now)


async def _rank(wiring: Wiring, flight: Flight) -> Decision:
    decision: Decision = await ask(wiring, flight, Rank(flight))
    return decision


async def _rank_anew(wiring: Wiring, flight: Flight) -> Decision:
    """Rank after a wait. Whoever waited for a retry, and may go elsewhere, has left its target."""
    decision = await _rank(wiring, flight)
    if decision.ranked:
        flight.retries_here = 0
    return decision


def _tell_decided(wiring: Wiring, flight: Flight, decision: Decision) -> None:
    wiring.trace.emit_fine(
        Decided(
            at_s=decision.at_s,
            request=flight.id,
            strategy=decision.strategy,
            ranked=tuple(c.name for c in decision.ranked),
            left_out=decision.reasons(),
        )
    )


def _tell_admitted(
    wiring: Wiring, flight: Flight, candidate: Candidate, permit: Permit, timeout_s: float
) -> None:
    wiring.trace.emit_fine(
        AttemptAdmitted(
            at_s=permit.taken_at,
            attempt=permit.attempt,
            request=flight.id,
            endpoint=candidate.name,
            generation=permit.generation,
            probe=permit.probe or permit.domain_probe,
            wait_s=flight.wait_s,
            timeout_s=timeout_s,
        )
    )
