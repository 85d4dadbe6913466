"""Metrics for Prometheus: what happened is counted as events tell of it, what is so is read when
somebody looks. `NAMES` lists them all, and nothing else is told.

Labels are names of the configuration (providers, models, budgets) and words of our own (verdicts,
error classes, states), so that their number is bounded. No user, key, prompt or request id is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from understudy_actors.domain.collapse_events import RequestJoined
from understudy_actors.domain.events import (
    AttemptEnded,
    BreakerMoved,
    Event,
    FailedOver,
    RequestOutcome,
    RequestRefused,
    RetryScheduled,
)
from understudy_actors.domain.hedge_events import HedgeLaunched, HedgeWon
from understudy_actors.domain.money_events import BoundBreached, BudgetAlert
from understudy_actors.domain.stream_events import AttemptCommitted, StreamRescue

if TYPE_CHECKING:
    from understudy.engine import Engine

Sample = TypeVar("Sample", Counter, Histogram)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
"""Edges of the histograms' buckets: answers take from a part of a second to minutes."""
STATES: Final = ("closed", "open", "half-open", "isolated", "disabled")
ENDPOINT: Final = ("provider", "model")

COUNTED: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "understudy_requests": ("Requests that ended, by how.", ("status",)),
    "understudy_requests_refused": ("Requests refused before they were accepted.", ()),
    "understudy_attempts": ("Attempts that ended, by verdict.", (*ENDPOINT, "verdict", "error")),
    "understudy_cost_usd": ("Known cost of attempts, in USD.", ENDPOINT),
    "understudy_cost_unknown": ("Attempts whose cost nobody knows.", ENDPOINT),
    "understudy_tokens": ("Tokens of attempts, by type: input or output.", (*ENDPOINT, "type")),
    "understudy_failovers": ("Requests that moved on to another endpoint.", ("target",)),
    "understudy_retries": ("Waits before a next step, by why.", ("why",)),
    "understudy_hedges": ("Second copies that went out, and that won.", ("event",)),
    "understudy_rescues": ("Broken streams that somebody else went on with.", ("how",)),
    "understudy_breaker_transitions": ("Breakers that changed state.", ("scope", "to")),
    "understudy_budget_alerts": ("Budgets that passed a threshold.", ("budget", "percent")),
    "understudy_budget_breaches": ("Attempts dearer than their worst case.", ("budget",)),
}
TIMED: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "understudy_request_duration_seconds": ("From acceptance to the end.", ("status",)),
    "understudy_attempt_duration_seconds": ("Attempts that were answered well.", ENDPOINT),
    "understudy_first_token_seconds": ("From an attempt's start to its first piece.", ENDPOINT),
}
READ: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "understudy_endpoint_healthy": ("1 if it may be asked now.", ENDPOINT),
    "understudy_breaker_state": ("1 for the state that its breaker is in.", (*ENDPOINT, "state")),
    "understudy_in_flight": ("Attempts under way.", ENDPOINT),
    "understudy_concurrency_limit": ("Attempts at most.", ENDPOINT),
    "understudy_requests_running": ("Requests under way.", ()),
    "understudy_requests_waiting": ("Requests that wait for a slot.", ()),
    "understudy_budget_limit_usd": ("A budget.", ("budget",)),
    "understudy_budget_spent_usd": ("Spent in its window.", ("budget",)),
    "understudy_budget_reserved_usd": ("Set aside for attempts under way.", ("budget",)),
    "understudy_cache_entries": ("Answers in the cache.", ()),
    "understudy_cache_bytes": ("What they take.", ()),
}
LOOKUPS: Final = "understudy_cache_lookups"
NAMES: Final = frozenset(
    {f"{name}_total" for name in COUNTED}
    | {f"{name}_{part}" for name in TIMED for part in ("bucket", "sum", "count")}
    | set(READ)
    | {f"{LOOKUPS}_total"}
)
"""Every name under which a sample is told."""


class Metrics:
    """Counts what an engine tells of, from now on."""

    def __init__(self, engine: Engine) -> None:
        """Start to listen; `close` ends it."""
        self._engine = engine
        self._registry = CollectorRegistry()
        registry = self._registry
        self._counted = {
            name: Counter(name, text, labels, registry=registry)
            for name, (text, labels) in COUNTED.items()
        }
        self._timed = {
            name: Histogram(name, text, labels, buckets=SECONDS, registry=registry)
            for name, (text, labels) in TIMED.items()
        }
        self._samples: dict[tuple[str, tuple[str, ...]], Any] = {}
        registry.register(_Reading(engine))
        self._on: dict[type[Event], Callable[[Any], None]] = {
            RequestOutcome: self._outcome,
            RequestJoined: lambda e: self._shared.add(e.shared),
            RequestRefused: lambda _: self._count("requests_refused"),
            AttemptEnded: self._ended,
            AttemptCommitted: self._committed,
            FailedOver: lambda e: self._count("failovers", e.target),
            RetryScheduled: lambda e: self._count("retries", e.why),
            HedgeLaunched: lambda _: self._count("hedges", "launched"),
            HedgeWon: lambda _: self._count("hedges", "won"),
            StreamRescue: lambda e: self._count("rescues", e.how),
            BreakerMoved: lambda e: self._count("breaker_transitions", e.scope, e.target),
            BudgetAlert: lambda e: self._count("budget_alerts", e.budget, str(e.percent)),
            BoundBreached: lambda e: self._count("budget_breaches", e.budget),
        }
        self._shared: set[str] = set()  # calls that several requests wait for: nobody's own
        self._remove = engine.listen(self._hear, fine=False)

    def close(self) -> None:
        """Count no more."""
        self._remove()

    def page(self) -> bytes:
        """Everything, in Prometheus's text format."""
        return generate_latest(self._registry)

    def _hear(self, _seq: int, event: Event) -> None:
        act = self._on.get(type(event))
        if act is not None:
            act(event)

    def _count(self, name: str, *labels: str, by: float = 1.0) -> None:
        self._sample(self._counted, f"understudy_{name}", labels).inc(by)

    def _time(self, name: str, seconds: float, *labels: str) -> None:
        self._sample(self._timed, f"understudy_{name}_seconds", labels).observe(seconds)

    def _sample(self, kept: Mapping[str, Sample], name: str, labels: tuple[str, ...]) -> Sample:
        """One metric with its labels: the registry checks and locks before it finds that."""
        found: Sample | None = self._samples.get((name, labels))
        if found is None:
            metric = kept[name]
            found = metric.labels(*labels) if labels else metric
            self._samples[(name, labels)] = found
        return found

    def _outcome(self, event: RequestOutcome) -> None:
        if event.request in self._shared:
            self._shared.remove(event.request)
            return
        self._count("requests", event.status)
        self._time("request_duration", event.elapsed_s, event.status)

    def _ended(self, event: AttemptEnded) -> None:
        endpoint = _split(event.endpoint)
        self._count("attempts", *endpoint, event.verdict, event.error or "")
        if event.cost_usd is None:
            self._count("cost_unknown", *endpoint)
        else:
            self._count("cost_usd", *endpoint, by=max(0.0, event.cost_usd))
        self._count("tokens", *endpoint, "input", by=event.input_tokens)
        self._count("tokens", *endpoint, "output", by=event.output_tokens)
        if event.error is None:
            self._time("attempt_duration", event.elapsed_s, *endpoint)

    def _committed(self, event: AttemptCommitted) -> None:
        if event.waited_s is not None:
            self._time("first_token", event.waited_s, *_split(event.endpoint))


class _Reading:
    """What is so at the moment in which somebody looks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def describe(self) -> Iterable[Metric]:
        """Nothing: names are checked by our own table."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One family for each name in `READ`, and the cache's own counts."""
        families = {
            name: GaugeMetricFamily(name, text, labels=labels)
            for name, (text, labels) in READ.items()
        }
        for name, labels, value in self._samples():
            families[f"understudy_{name}"].add_metric(labels, value)
        yield from families.values()
        if (cache := self._engine.status().cache) is not None:
            text = "Requests that looked into the cache."
            lookups = CounterMetricFamily(LOOKUPS, text, labels=("result",))
            for result in ("hits", "misses", "stale"):
                lookups.add_metric((result,), getattr(cache, result))
            yield lookups

    def _samples(self) -> Iterator[tuple[str, tuple[str, ...], float]]:
        report = self._engine.status()
        yield "requests_running", (), report.running
        yield "requests_waiting", (), report.waiting
        for each in report.providers:
            endpoint = (each.provider, each.model)
            yield "endpoint_healthy", endpoint, float(each.healthy)
            yield "in_flight", endpoint, each.in_flight
            yield "concurrency_limit", endpoint, each.limit
            for state in STATES:
                yield "breaker_state", (*endpoint, state), float(each.breaker == state)
        for budget in self._engine.budgets():
            yield "budget_limit_usd", (budget.budget,), budget.limit_usd
            yield "budget_spent_usd", (budget.budget,), budget.spent_usd
            yield "budget_reserved_usd", (budget.budget,), budget.reserved_usd
        if report.cache is not None:
            yield "cache_entries", (), report.cache.entries
            yield "cache_bytes", (), report.cache.bytes


def _split(endpoint: str) -> tuple[str, str]:
    provider, _, model = endpoint.partition("/")
    return provider, model
