"""What people see of a running engine: the status document and the health report."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, to_builtins

from understudy.assembly import Parts
from understudy.cache.shelf import CacheStats
from understudy.telemetry.containment import Fault
from understudy_actors.dispatcher.messages import LookOver, Overview
from understudy_actors.domain.candidate import Candidate
from understudy_actors.provider.messages import Describe, EndpointStatus
from understudy_actors.runtime.actor import State, Status as ActorStatus
from understudy_actors.runtime.errors import ActorError


class ProviderHealth(Struct, frozen=True, kw_only=True):
    """One endpoint. Times are ISO 8601 in UTC; None is never.

    Attributes:
        provider, model: Which.
        healthy: May it be asked now?
        breaker: `closed`, `open`, `half-open`, `isolated` or `disabled`.
        hold: Why it waits, apart from its breaker.
        retry_in_s: Seconds until it may be asked again.
        response_ms: Mean response time of its successes.
        success_rate, failure_rate: Recent and fading; over everything.
        consecutive_failures, total_requests, failures: Counts.
        last_success, last_failure, last_check: When.
        last_check_ok: What the last active check said.
        in_flight, limit: Attempts now, and at most.
        free_left: Calls left of its free quota.
        actor: `running`, `suspended` or `unavailable`.
    """

    provider: str
    model: str
    healthy: bool
    breaker: str
    hold: str | None
    retry_in_s: float | None
    response_ms: float | None
    success_rate: float
    failure_rate: float
    consecutive_failures: int
    total_requests: int
    failures: int
    last_success: str | None
    last_failure: str | None
    last_check: str | None
    last_check_ok: bool | None
    in_flight: int
    limit: int
    free_left: int | None
    actor: str

    @property
    def name(self) -> str:
        """Provider and model in one name."""
        return f"{self.provider}/{self.model}"


class StoreStanding(Struct, frozen=True, kw_only=True):
    """How the store is doing.

    Attributes:
        place: Where it is, without its secrets.
        durability: `batched` or `strict`.
        failing: Why it cannot be written; None if it can.
        failing_for_s: Since how many seconds.
        behind_s: What happened within so many seconds may not be written yet.
        batches: Written by this process.
        lost_entries: Entries of the journal that were given up, since it was out of reach too long.
    """

    place: str
    durability: str
    failing: str | None
    failing_for_s: float | None
    behind_s: float
    batches: int
    lost_entries: int


class StatusReport(Struct, frozen=True, kw_only=True):
    """The status document.

    Attributes:
        health: `healthy` (all are), `degraded` (some are) or `unhealthy` (none but stand-ins).
        healthy, total: Endpoints that may be asked now, and all.
        fallback_available: Is there somebody to fail over to?
        strategy: The engine's default.
        running, waiting: Requests under way, and those of them that wait for a slot.
        attempts: Attempts so far.
        providers: One entry for each endpoint.
        contained: Faults of code from outside, once for each kind.
        cache: The response cache in numbers; None without one.
        store: How the store is doing; None without one.
        generation: Of the configuration: how many reloads changed it since the start.
    """

    health: str
    healthy: int
    total: int
    fallback_available: bool
    strategy: str
    running: int
    waiting: int
    attempts: int
    providers: tuple[ProviderHealth, ...]
    contained: tuple[Fault, ...]
    cache: CacheStats | None = None
    store: StoreStanding | None = None
    generation: int = 0


def store_of(parts: Parts) -> StoreStanding | None:
    """How the store is doing."""
    keeping = parts.keeping
    if keeping is None:
        return None
    now, outbox, desk = parts.ports.clock.now(), keeping.outbox, keeping.desk
    since = outbox.failing_since
    oldest = outbox.gathered_at if outbox.batch is not None else keeping.writer.stirred_at
    return StoreStanding(
        place=keeping.place,
        durability=desk.durability,
        failing=outbox.failing,
        failing_for_s=None if since is None else now - since,
        behind_s=0.0 if oldest is None else now - oldest,
        batches=outbox.batches,
        lost_entries=outbox.lost_entries,
    )


def health_of(parts: Parts) -> list[ProviderHealth]:
    """One entry for each endpoint, in configured order."""
    found: dict[str, ProviderHealth] = {}
    for name, ref in parts.providers.items():
        actor = ref.status()
        try:
            entries = [provider_health(each, actor) for each in ref.ask_now(Describe())]
        except ActorError:  # it cannot tell: its readings still can, a little
            entries = [down(c, actor) for c in parts.candidates if c.spec.provider == name]
        found.update((each.name, each) for each in entries)
    return [found[c.name] for c in parts.candidates]


def status_of(parts: Parts) -> StatusReport:
    """The status document."""
    health = health_of(parts)
    stand_ins = {c.name for c in parts.candidates if c.spec.degraded}
    healthy = [each for each in health if each.healthy]
    spare = sum(1 for each in healthy if each.name in stand_ins)
    flights = parts.wiring.flights
    try:
        overview: Overview = parts.wiring.dispatcher.ask_now(LookOver())
    except ActorError:  # it is down for a moment
        overview = Overview(0, parts.settings.strategy, {})
    return StatusReport(
        health=overall(len(healthy), spare, len(health)),
        healthy=len(healthy),
        total=len(health),
        fallback_available=parts.config.fallback and len(healthy) > 1,
        strategy=overview.strategy,
        running=flights.running,
        waiting=overview.waiting,
        attempts=flights.attempts,
        providers=tuple(health),
        contained=tuple(parts.contained.faults()),
        cache=None if parts.cache is None else parts.cache.stats(),
        store=store_of(parts),
        generation=parts.edition.generation,
    )


def provider_health(status: EndpointStatus, actor: ActorStatus) -> ProviderHealth:
    """One endpoint's entry."""
    up = actor.state is State.RUNNING
    return ProviderHealth(
        provider=status.provider,
        model=status.model,
        healthy=status.healthy and up,
        breaker=status.breaker,
        hold=status.hold,
        retry_in_s=status.retry_in_s,
        response_ms=status.response_ms,
        success_rate=status.success_rate,
        failure_rate=status.failure_rate,
        consecutive_failures=status.consecutive_failures,
        total_requests=status.total_requests,
        failures=status.failures,
        last_success=iso(status.last_success_at),
        last_failure=iso(status.last_failure_at),
        last_check=iso(status.last_check_at),
        last_check_ok=status.last_check_ok,
        in_flight=status.in_flight,
        limit=status.limit,
        free_left=status.free_left,
        actor=actor.state.value,
    )


def down(candidate: Candidate, actor: ActorStatus) -> ProviderHealth:
    """The entry of an endpoint whose actor is down and cannot tell."""
    return ProviderHealth(
        provider=candidate.spec.provider,
        model=candidate.spec.model,
        healthy=False,
        breaker="unknown",
        hold=None,
        retry_in_s=None,
        response_ms=None,
        success_rate=0.0,
        failure_rate=0.0,
        consecutive_failures=0,
        total_requests=0,
        failures=0,
        last_success=None,
        last_failure=None,
        last_check=None,
        last_check_ok=None,
        in_flight=candidate.in_flight,
        limit=candidate.limit,
        free_left=candidate.free_left,
        actor=actor.state.value,
    )


def overall(healthy: int, stand_ins: int, total: int) -> str:
    """One word for all: `stand_ins` of the healthy ones only answer when nobody else does."""
    if healthy - stand_ins <= 0:
        return "unhealthy"
    return "healthy" if healthy == total else "degraded"


def iso(wall_s: float | None) -> str | None:
    """A wall-clock time as ISO 8601 in UTC."""
    if wall_s is None:
        return None
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")


def as_json(report: Any) -> Any:
    """A report as plain JSON values."""
    return to_builtins(report)
