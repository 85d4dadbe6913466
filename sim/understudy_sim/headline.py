"""The few numbers by which runs are compared: availability, times, attempts, shares and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from understudy_actors.domain.events import AttemptDispatched, BreakerMoved, HoldSet
from understudy_sim.run import RequestRecord, Run
from understudy_sim.world_events import FaultBegan, Quiet, Served

_CANCELLED = "cancelled"


class Headline(Struct, frozen=True, kw_only=True):
    """What a run comes down to. Times are seconds; None is never, or not known.

    Attributes:
        requests: All that were made.
        availability: Share of them that a provider answered, those that their clients gave up left
            out; 1 if there were none.
        degraded: Share that a stand-in or fallback content answered.
        p50_s, p95_s, p99_s, max_s: Time to an answer, over those that were answered.
        attempts_per_request: Calls to providers.
        detect_s: From the beginning of the first fault to the first breaker that opened, or the
            first hold.
        recover_s: From the end of the last fault until every breaker was closed for good; 0 if none
            was open then.
        share: Provider to its share of the answers.
        cost_usd: What the engine reckons, where it can.
        billed_usd: What the providers charged, for answers that nobody got too.
    """

    requests: int
    availability: float
    degraded: float
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    max_s: float | None
    attempts_per_request: float
    detect_s: float | None
    recover_s: float | None
    share: dict[str, float]
    cost_usd: float
    billed_usd: float


def headline(run: Run) -> Headline:
    """The numbers of a run."""
    records = run.requests
    answered = [each for each in records if each.ok]
    times = sorted(each.elapsed_s for each in answered)
    shares = Counter(each.provider or "" for each in answered)
    attempts = sum(isinstance(event, AttemptDispatched) for _, event in run.events)
    return Headline(
        requests=len(records),
        availability=availability(records),
        degraded=sum(each.status == "degraded" for each in records) / max(1, len(records)),
        p50_s=quantile(times, 0.5),
        p95_s=quantile(times, 0.95),
        p99_s=quantile(times, 0.99),
        max_s=times[-1] if times else None,
        attempts_per_request=attempts / max(1, len(records)),
        detect_s=_detect_s(run),
        recover_s=_recover_s(run),
        share={name: count / len(answered) for name, count in sorted(shares.items())},
        cost_usd=sum(each.cost_usd or 0.0 for each in records),
        billed_usd=sum(event.billed_usd for _, event in run.events if isinstance(event, Served)),
    )


def availability(records: Sequence[RequestRecord]) -> float:
    """Share of the requests that a provider answered, those that their clients gave up left out."""
    counted = [each for each in records if each.status != _CANCELLED]
    return sum(each.ok for each in counted) / len(counted) if counted else 1.0


def goodput(run: Run, from_s: float, until_s: float) -> float:
    """Answers per second to the requests that arrived in [from_s, until_s)."""
    good = sum(each.ok for each in run.requests if from_s <= each.arrived_at < until_s)
    return good / (until_s - from_s)


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of the values do not exceed; None of nothing."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def _detect_s(run: Run) -> float | None:
    began: float | None = None
    for _, event in run.events:
        if isinstance(event, FaultBegan):
            began = event.at_s if began is None else began
        elif began is not None and (
            isinstance(event, HoldSet) or (isinstance(event, BreakerMoved) and _opens(event))
        ):
            return event.at_s - began
    return None


def _recover_s(run: Run) -> float | None:
    quiet_at: float | None = None
    shut: dict[str, None] = {}
    healed_at = 0.0
    for _, event in run.events:
        if isinstance(event, Quiet):
            quiet_at = event.at_s
            healed_at = event.at_s
        elif isinstance(event, BreakerMoved):
            if event.target == "closed":
                shut.pop(event.scope, None)
                healed_at = event.at_s
            else:
                shut[event.scope] = None
    return None if quiet_at is None or shut else healed_at - quiet_at


def _opens(event: BreakerMoved) -> bool:
    return event.target == "open"
