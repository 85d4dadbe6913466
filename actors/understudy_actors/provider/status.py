"""One endpoint as an operator sees it."""

from __future__ import annotations

from understudy_actors.provider.endpoint import Endpoint
from understudy_actors.provider.holds import Holds
from understudy_actors.provider.messages import Checked, EndpointStatus
from understudy_actors.provider.transitions import State


def describe(
    endpoint: Endpoint,
    account: Holds,
    now: float,
    check: Checked | None,
    checked_at: float | None,
) -> EndpointStatus:
    """Everything about `endpoint` that a person may ask; wall clock times in Unix seconds."""
    candidate, health, breaker = endpoint.candidate, endpoint.health, endpoint.breaker
    hold = account.active(now) or endpoint.holds.active(now)
    spec = candidate.spec
    refused = candidate.shut_until > now
    open_ = breaker.state not in (State.CLOSED, State.DISABLED)
    mean_s = health.mean_s
    retry_in_s = candidate.shut_until - now if refused else None
    return EndpointStatus(
        provider=spec.provider,
        model=spec.model,
        healthy=spec.enabled and not refused and not open_,
        breaker=breaker.state.value,
        hold=hold.why if hold is not None else None,
        retry_in_s=retry_in_s if retry_in_s != float("inf") else None,
        in_flight=endpoint.concurrency.in_flight,
        limit=endpoint.concurrency.capacity,
        success_rate=health.success(now),
        response_ms=None if mean_s is None else mean_s * 1000.0,
        consecutive_failures=health.consecutive_failures,
        total_requests=health.attempts,
        failures=health.failures,
        failure_rate=health.failures / health.attempts if health.attempts else 0.0,
        last_success_at=health.last_ok_at,
        last_failure_at=health.last_fail_at,
        last_check_at=checked_at,
        last_check_ok=check.ok if check is not None else None,
        free_left=candidate.free_left,
    )
