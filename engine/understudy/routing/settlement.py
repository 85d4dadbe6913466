"""The end of an attempt: one message to its provider, one record for its request, one event."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from understudy.adapters.base import Reply
from understudy.routing.payers import spenders
from understudy.routing.wiring import Wiring
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.events import AttemptEnded
from understudy_actors.domain.outcome import POLICY, ErrorClass, Verdict
from understudy_actors.domain.price import cost_micro_usd
from understudy_actors.domain.rates import Sighting
from understudy_actors.domain.request import pictures
from understudy_actors.domain.result import Attempt, Usage
from understudy_actors.provider.messages import Permit, Settle
from understudy_actors.runtime.mailbox import Lane

_LOCAL: Final = frozenset({ErrorClass.CANCELLED, ErrorClass.INTERNAL})
_NO_RESPONSE: Final = frozenset(
    {ErrorClass.CONNECT, ErrorClass.RESET, ErrorClass.SILENT, ErrorClass.ADAPTER, *_LOCAL}
)
_AT_ONCE_S: Final = 0.001
_OK: Final = Verdict.OK
_RESULTS: Final = Lane.RESULTS


class Pace(Struct, frozen=True):
    """What was seen of a stream.

    Attributes:
        first_token_s: Seconds until its first token; None if there was none.
        gap_s: The longest silence between two tokens, in seconds; None if there was only one.
        idle_s: Seconds in which its caller, not the provider, was waited for.
        usage: The tokens of a stream that did not come to its end, as far as known.
        limits: What its headers said of rate limits.
    """

    first_token_s: float | None = None
    gap_s: float | None = None
    idle_s: float = 0.0
    usage: Usage | None = None
    limits: tuple[Sighting, ...] = ()


def settle(
    wiring: Wiring,
    flight: Flight,
    candidate: Candidate,
    permit: Permit,
    answer: Reply | ProviderError | None,
    pace: Pace | None = None,
) -> None:
    """Settle an attempt: `answer` is what it ended with, None that its caller left.

    `pace` is what was seen of a stream.
    """
    now = flight.ended_at = wiring.clock.now()
    del wiring.flights.permits[permit.attempt]
    usage: Usage | None
    if isinstance(answer, Reply):
        usage = _settle_success(wiring, flight, candidate, permit, answer, now, pace)
    else:
        usage = _settle_failure(wiring, flight, candidate, permit, answer, now, pace)
    if wiring.trace.on:
        stated_s = answer.retry_after_s if isinstance(answer, ProviderError) else None
        wiring.trace.emit(_ended(wiring, flight, candidate, permit, usage, stated_s))
    if wiring.book is not None:
        idle_s, request = 0.0 if pace is None else pace.idle_s, flight.request
        wall = wiring.clock.wall()
        own: tuple[tuple[str, str], ...] = ()
        if request.key or request.team or request.labels or request.tags:
            own = spenders(request)
        user, tenant = request.user, request.tenant
        wiring.book.count(flight.attempts[-1], usage, user, tenant, wall, idle_s, own)
    flight.wait_s = 0.0


def _settle_success(
    wiring: Wiring,
    flight: Flight,
    candidate: Candidate,
    permit: Permit,
    reply: Reply,
    now: float,
    pace: Pace | None,
) -> Usage:
    """Returns the tokens of its answer."""
    spec, price = candidate.spec, candidate.spec.price
    usage = reply.usage
    if usage is None:
        usage = Usage(flight.input_tokens, flight.output_tokens, estimated=True)
        if price is not None and price.image_usd:
            usage = replace(usage, images=pictures(flight.request))
    used = None
    if candidate.metered and not usage.estimated:
        used = usage.input_tokens, usage.output_tokens, usage.cached_tokens
    settled = Settle(
        permit,
        _OK,
        output_tokens=usage.output_tokens,
        used=used,
        sightings=reply.limits or (() if pace is None else pace.limits),
    )
    if pace is not None:
        settled = replace(
            settled,
            first_token_s=pace.first_token_s,
            gap_s=pace.gap_s,
            idle_s=pace.idle_s,
        )
    wiring.providers[candidate.index].tell(settled, _RESULTS)
    cost = _cost(candidate, permit, usage)
    shortened = None
    if wiring.purse is not None:
        exact = not usage.estimated or (price is not None and not price.by_tokens)
        shortened = wiring.purse.settle(permit.attempt, cost if exact else None)
        if not usage.estimated:
            wiring.purse.saw(candidate, usage.output_tokens)
    started = permit.taken_at
    flight.attempts += (
        Attempt(
            spec.provider,
            spec.model,
            "ok",
            started_s=started - flight.accepted_at,
            elapsed_s=now - started,
            wait_s=flight.wait_s,
            cost_usd=None if cost is None else cost / 1e6,
            max_tokens=shortened,
        ),
    )
    return usage


def _settle_failure(
    wiring: Wiring,
    flight: Flight,
    candidate: Candidate,
    permit: Permit,
    error: ProviderError | None,
    now: float,
    pace: Pace | None,
) -> Usage | None:
    """Returns the tokens that came, if any did."""
    elapsed_s = now - permit.taken_at
    cost, shortened = _failed_cost(flight, candidate, permit, error, pace), None
    if wiring.purse is not None:
        # Nobody knows what an answer costs that broke off or was called off.
        partial = error is None or (pace is not None and pace.usage is not None)
        known = None if partial and not permit.free else cost
        shortened = wiring.purse.settle(permit.attempt, known)
    kind = ErrorClass.CANCELLED if error is None else error.kind
    idle_s = 0.0 if pace is None else pace.idle_s
    heard = pace is not None and pace.first_token_s is not None
    verdict = verdict_of(candidate, kind, now, elapsed_s - idle_s, heard=heard)
    wiring.providers[candidate.index].tell(
        Settle(
            permit,
            verdict,
            kind,
            retry_after_s=None if error is None else error.retry_after_s,
            responded=heard or kind not in _NO_RESPONSE,
            idle_s=idle_s,
            sightings=_seen(error, pace),
        ),
        _RESULTS,
    )
    flight.attempts += (
        Attempt(
            candidate.spec.provider,
            candidate.spec.model,
            verdict.value,
            error=kind.value,
            reason=_left(flight) if error is None else str(error),
            status=None if error is None else error.status,
            started_s=permit.taken_at - flight.accepted_at,
            elapsed_s=elapsed_s,
            wait_s=flight.wait_s,
            cost_usd=None if cost is None else cost / 1e6,
            max_tokens=shortened,
        ),
    )
    return None if pace is None else pace.usage


def _seen(error: ProviderError | None, pace: Pace | None) -> tuple[Sighting, ...]:
    """What the headers said of rate limits: those of the error, or of a stream that had begun.

    A refusal that says how long to wait knows better than a reset in whole seconds beside it.
    """
    if error is not None and error.limits:
        after_s = error.retry_after_s
        return error.limits if after_s is None else tuple(_until(s, after_s) for s in error.limits)
    return () if pace is None else pace.limits


def _until(seen: Sighting, after_s: float) -> Sighting:
    sooner = seen.reset_s is not None and after_s < seen.reset_s
    return replace(seen, reset_s=max(after_s, _AT_ONCE_S)) if sooner else seen


def _cost(candidate: Candidate, permit: Permit, usage: Usage) -> int | None:
    """What an attempt cost that used so much, in micro-USD; None if nobody knows its price."""
    if permit.free:
        return 0
    price = candidate.spec.price
    return usage.told_micro_usd if price is None else cost_micro_usd(price, usage)


def _left(flight: Flight) -> str:
    return "another copy answered first" if flight.answered else "the caller left"


def _failed_cost(
    flight: Flight,
    candidate: Candidate,
    permit: Permit,
    error: ProviderError | None,
    pace: Pace | None,
) -> int | None:
    """What a failed attempt cost in micro-USD: by the tokens that came, else as its class says.

    A copy that was called off because the other one answered is booked in full: it was sent.
    """
    if pace is not None and pace.usage is not None:
        return _cost(candidate, permit, pace.usage)
    if permit.free or (error is not None and not POLICY[error.kind].billed):
        return 0
    if error is None and flight.answered:
        usage = Usage(flight.input_tokens, flight.output_tokens, images=pictures(flight.request))
        return _cost(candidate, permit, usage)
    return None


def verdict_of(
    candidate: Candidate, kind: ErrorClass, now: float, elapsed_s: float, *, heard: bool
) -> Verdict:
    """What a failure says about the endpoint. Silence counts only if it lasted long enough."""
    if kind is ErrorClass.SILENT:
        limit_s = candidate.spec.timeout_s
        fails = candidate.health.timeout_is_failure(now, elapsed_s, limit_s, heard=heard)
        return Verdict.FAIL if fails else Verdict.NEUTRAL
    return POLICY[kind].verdict


def _ended(
    wiring: Wiring,
    flight: Flight,
    candidate: Candidate,
    permit: Permit,
    usage: Usage | None,
    retry_after_s: float | None,
) -> AttemptEnded:
    attempt = flight.attempts[-1]
    return AttemptEnded(
        at_s=wiring.clock.now(),  # after what its settlement brought about
        attempt=permit.attempt,
        request=flight.id,
        endpoint=candidate.name,
        verdict=attempt.outcome,
        error=attempt.error,
        status=attempt.status,
        origin="local" if attempt.error in _LOCAL else "remote",
        elapsed_s=attempt.elapsed_s,
        cost_usd=attempt.cost_usd,
        retry_after_s=retry_after_s,
        input_tokens=0 if usage is None else usage.input_tokens,
        output_tokens=0 if usage is None else usage.output_tokens,
    )
