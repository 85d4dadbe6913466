"""How a request ends without an answer: one typed error that says why and what to do next."""

from __future__ import annotations

from typing import Final

from understudy_actors.dispatcher.flight import Decision, Flight
from understudy_actors.domain.errors import (
    AllAttemptsFailed,
    NoCandidate,
    NotCached,
    OverBudget,
    OverMaxCost,
    ProviderError,
    ShuttingDown,
    UnderstudyError,
)
from understudy_actors.domain.outcome import POLICY

OVER_BUDGET: Final = "over budget: "
"""How a candidate's reason begins that only money keeps from serving."""

REASONS_SHOWN = 8
"""Candidates named in a message; all of them stand in `reasons`."""


def nobody(flight: Flight, decision: Decision, now: float, why: str | None = None) -> NoCandidate:
    """The error when nobody was asked at all."""
    reasons = decision.reasons()
    request = flight.request
    what = request.operation if request.model is None else f"{request.operation} by {request.model}"
    dear = [r for r in reasons.values() if "max_cost_usd" in r]
    broke = [r for r in reasons.values() if r.startswith(OVER_BUDGET)]
    kind: type[NoCandidate]
    if broke and len(broke) == len(decision.left_out):
        kind, advice = OverBudget, _until_budget(decision, now)
    elif dear and len(dear) == len(decision.left_out):
        kind, advice = OverMaxCost, "Raise max_cost_usd, shorten the request, or set max_tokens."
    elif decision.retry_at is not None:
        kind, advice = NoCandidate, f"Try again in {max(0.0, decision.retry_at - now):.1f} s."
    else:
        kind, advice = NoCandidate, "Add a provider that can, or relax the request's conditions."
    told = f"{why}: " if why else ""
    return kind(
        f"{told}no provider can take this request for {what} ({listed(reasons)}). {advice}",
        retry_at=decision.retry_at,
        retry_after_s=_after(decision.retry_at, now),
        reasons=reasons,
        request_id=flight.id,
    )


def not_cached(flight: Flight, why: str) -> NotCached:
    """The error when only the response cache may answer, and it cannot."""
    return NotCached(
        f"no answer to this request is in the cache ({why}), and it is to be answered from there "
        'only. Send it with cache="use" to have it answered by a provider.',
        request_id=flight.id,
    )


def exhausted(
    flight: Flight, error: ProviderError, decision: Decision | None, why: str, now: float
) -> UnderstudyError:
    """The error when attempts were made and none is left: the last one's own if that is final."""
    reasons = decision.reasons() if decision is not None else {}
    retry_at = decision.retry_at if decision is not None else None
    if retry_at is None and error.retry_after_s is not None:
        retry_at = now + error.retry_after_s
    if not POLICY[error.kind].elsewhere:
        error.attempts = tuple(flight.attempts)
        error.reasons = reasons
        error.request_id = flight.id
        return error
    tries = "; ".join(f"{a.endpoint}: {a.error}" for a in flight.attempts[-REASONS_SHOWN:])
    left = f" Not asked: {listed(reasons)}." if reasons else ""
    when = "" if retry_at is None else f" Try again in {max(0.0, retry_at - now):.1f} s."
    failed = AllAttemptsFailed(
        f"all {len(flight.attempts)} attempts failed ({tries}) and {why}.{left}{when}",
        retry_at=retry_at,
        retry_after_s=_after(retry_at, now),
        attempts=flight.attempts,
        reasons=reasons,
        request_id=flight.id,
    )
    failed.__cause__ = error
    return failed


def shutting_down() -> ShuttingDown:
    """The error for a request that the engine's end caught."""
    return ShuttingDown(
        "the engine is closing: it takes no new requests, and this one was not answered in time"
    )


def listed(reasons: dict[str, str]) -> str:
    """Names with their reasons, shortened to `REASONS_SHOWN`."""
    if not reasons:
        return "none is configured"
    shown = [f"{name}: {why}" for name, why in list(reasons.items())[:REASONS_SHOWN]]
    if len(reasons) > REASONS_SHOWN:
        shown.append(f"and {len(reasons) - REASONS_SHOWN} more")
    return "; ".join(shown)


def _until_budget(decision: Decision, now: float) -> str:
    raise_it = "raise the budget, or set a smaller max_tokens"
    if decision.retry_at is None:
        return f"It does not start anew by itself: {raise_it}."
    return f"It starts anew in {(decision.retry_at - now) / 3600:.1f} h; or {raise_it}."


def _after(at: float | None, now: float) -> float | None:
    return None if at is None else max(0.0, at - now)
