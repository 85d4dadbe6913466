"""Spans and metrics of requests, after OpenTelemetry's semantic conventions for generative AI.

One span for each request, and below it one for each attempt; they are made when the request is
over, from its events, in a task of their own: a request pays for two events and nothing else. None
holds a prompt, an answer, a key or a user.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import attrs
import trio
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from understudy.config.otel import OtelConfig
from understudy.telemetry.tracing import Parent, Remotes, span_id_of, trace_id_of
from understudy_actors.domain.events import AttemptEnded, Event, RequestOutcome

if TYPE_CHECKING:
    from understudy.assembly import Parts

LINE_MAX: Final = 10_000
"""Events that wait to become spans; further ones are lost, and counted."""
RUNNING_MAX: Final = 10_000
"""Requests whose attempts are kept until they end; the oldest is forgotten first."""
CLOSE_S: Final = 2.0
"""How long the last spans have to be sent."""
NAMES: Final[Mapping[str, str]] = {
    "azure": "azure.ai.openai",
    "azure-deployments": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""Kinds whose name in the conventions is another one."""
OPERATIONS: Final[Mapping[str, str]] = {"embedding": "embeddings", "image": "generate_content"}
DURATIONS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)  # fmt: skip  # noqa: E501
TOKENS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)  # fmt: skip  # noqa: E501
"""Edges of the histograms' buckets, as the conventions advise."""


class _Ids(IdGenerator):
    """Gives a request's span the ids that follow from its own, and all others random ones."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self.next: tuple[int, int] | None = None

    def generate_trace_id(self) -> int:
        """Of a span without a parent."""
        return self.next[0] if self.next is not None else self._random.generate_trace_id()

    def generate_span_id(self) -> int:
        """Of any span."""
        return self.next[1] if self.next is not None else self._random.generate_span_id()


@attrs.define(eq=False)
class Otel:
    """Makes spans and metrics out of an engine's events.

    Attributes:
        remotes: Callers' traces, by request.
        lost: Events that found no room.
    """

    parts: Parts
    remotes: Remotes
    tracing: TracerProvider
    metering: MeterProvider | None
    ids: _Ids
    lost: int = 0
    _line: deque[Event] = attrs.field(factory=deque, init=False)
    _woken: trio.Event = attrs.field(factory=trio.Event, init=False)
    _attempts: dict[str, list[AttemptEnded]] = attrs.field(factory=dict, init=False)
    _tracer: Any = attrs.field(init=False)
    _durations: Any = attrs.field(init=False, default=None)
    _tokens: Any = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._tracer = self.tracing.get_tracer("understudy")
        if self.metering is None:
            return
        meter = self.metering.get_meter("understudy")
        self._durations = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="Attempts, from their start to their end.",
            explicit_bucket_boundaries_advisory=DURATIONS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens of attempts, by type.",
            explicit_bucket_boundaries_advisory=TOKENS,
        )

    def hear(self, _seq: int, event: Event) -> None:
        """Keep what spans are made of; they are made later."""
        if type(event) is not RequestOutcome and type(event) is not AttemptEnded:
            return
        if len(self._line) >= LINE_MAX:
            self.lost += 1
            return
        self._line.append(event)
        self._woken.set()

    async def run(self) -> None:
        """Make spans, until cancelled."""
        while True:
            self._woken = trio.Event()
            self.drain()
            await self._woken.wait()

    def drain(self) -> None:
        """Make spans of all that was heard."""
        while self._line:
            event = self._line.popleft()
            try:
                self._take(event)
            except Exception as error:
                self.parts.contained("otel", "spans", error, "this span was lost")

    async def close(self) -> None:
        """Send what is left, but not for longer than a moment."""
        self.drain()
        with trio.move_on_after(CLOSE_S):
            await trio.to_thread.run_sync(self._shutdown, abandon_on_cancel=True)

    def _shutdown(self) -> None:
        self.tracing.shutdown()
        if self.metering is not None:
            self.metering.shutdown()

    def _take(self, event: Event) -> None:
        if isinstance(event, AttemptEnded):
            self._attempts.setdefault(event.request, []).append(event)
            if len(self._attempts) > RUNNING_MAX:
                self._attempts.pop(next(iter(self._attempts)))
        elif isinstance(event, RequestOutcome):
            self._request(event, self._attempts.pop(event.request, []))

    def _request(self, event: RequestOutcome, attempts: list[AttemptEnded]) -> None:
        operation, asked = self.parts.records.asked(event.request) or ("chat", None)
        operation = OPERATIONS.get(operation, operation)
        parent = self.remotes.take(event.request)
        trace_id = parent.trace_id if parent is not None else trace_id_of(event.request)
        self.ids.next = trace_id, span_id_of(event.request)
        try:
            span = self._tracer.start_span(
                f"{operation} {asked or 'auto'}",
                context=_context(parent),
                kind=SpanKind.SERVER,
                start_time=self._ns(event.at_s - event.elapsed_s),
                attributes=_known(_of_request(self.parts, event, operation, asked)),
            )
        finally:
            self.ids.next = None
        inside = set_span_in_context(span)
        for attempt in attempts:
            self._attempt(attempt, operation, inside)
        _end(span, _failure(event), self._ns(event.at_s))

    def _attempt(self, event: AttemptEnded, operation: str, inside: Any) -> None:
        told = _known(_of_attempt(self.parts, event, operation))
        model = told["gen_ai.request.model"]
        span = self._tracer.start_span(
            f"{operation} {model}",
            context=inside,
            kind=SpanKind.CLIENT,
            start_time=self._ns(event.at_s - event.elapsed_s),
            attributes=told,
        )
        _end(span, event.error, self._ns(event.at_s))
        if self._durations is None:
            return
        labels: dict[str, Any] = {name: told[name] for name in _LABELS if name in told}
        self._durations.record(event.elapsed_s, labels)
        for kind in ("input", "output"):
            if tokens := getattr(event, f"{kind}_tokens"):
                self._tokens.record(tokens, {**labels, "gen_ai.token.type": kind})

    def _ns(self, at_s: float) -> int:
        clock = self.parts.ports.clock
        return int((clock.wall() - clock.now() + at_s) * 1e9)


_LABELS: Final = (
    "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.system", "gen_ai.request.model",
    "gen_ai.response.model", "server.address", "server.port", "error.type",
)  # fmt: skip


def _of_request(
    parts: Parts, event: RequestOutcome, operation: str, asked: str | None
) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.request.model": asked,
        "gen_ai.response.model": event.model,
        **_provider(parts, event.provider),
        "error.type": _failure(event),
        "understudy.request_id": event.request,
        "understudy.status": event.status,
        "understudy.attempts": event.attempts,
        "understudy.cost_usd": event.cost_usd,
        "understudy.cached": event.cached or None,
    }


def _of_attempt(parts: Parts, event: AttemptEnded, operation: str) -> dict[str, Any]:
    provider, _, model = event.endpoint.partition("/")
    answered = event.error is None
    return {
        "gen_ai.operation.name": operation,
        **_provider(parts, provider),
        "gen_ai.request.model": model,
        "gen_ai.response.model": model if answered else None,
        "gen_ai.usage.input_tokens": event.input_tokens or None,
        "gen_ai.usage.output_tokens": event.output_tokens or None,
        **_server(parts, event.endpoint),
        "error.type": event.error,
        "http.response.status_code": event.status,
        "understudy.provider": provider,
        "understudy.verdict": event.verdict,
        "understudy.cost_usd": event.cost_usd,
    }


def _provider(parts: Parts, name: str | None) -> dict[str, Any]:
    """Its kind, as the conventions call it; `system` is the name they had for it before."""
    section = parts.config.providers.get(name or "")
    if section is None:
        return {}
    kind = section.kind or name or ""
    said = NAMES.get(kind, kind)
    return {"gen_ai.provider.name": said, "gen_ai.system": said}


def _server(parts: Parts, endpoint: str) -> dict[str, Any]:
    """Where an endpoint lives; nothing for what is in this process."""
    target = parts.targets.get(endpoint)
    found: dict[str, Any] = {} if target is None else _address(target.base_url)
    return found


@functools.lru_cache(maxsize=1024)
def _address(url: str) -> dict[str, Any]:
    found = urlsplit(url)
    usual = 443 if found.scheme == "https" else 80
    return {"server.address": found.hostname, "server.port": found.port or usual}


def _failure(event: RequestOutcome) -> str | None:
    return None if event.status in ("ok", "degraded") else event.status


def _known(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value is not None}


def _context(parent: Parent | None) -> Any:
    if parent is None:
        return None
    flags = TraceFlags(parent.flags)
    return set_span_in_context(
        NonRecordingSpan(
            SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=flags)
        )
    )


def _end(span: Span, error: str | None, at_ns: int) -> None:
    if error is not None:
        span.set_status(Status(StatusCode.ERROR, error))
    span.end(at_ns)


def make(
    parts: Parts,
    remotes: Remotes,
    config: OtelConfig,
    processor: SpanProcessor,
    reader: MetricReader | None,
) -> Otel:
    """Build it around what sends spans, and what sends metrics."""
    resource = Resource.create({"service.name": config.service})
    ids = _Ids()
    # Nothing of ours becomes the process's own provider: two engines do not meet.
    tracing = TracerProvider(resource=resource, id_generator=ids, shutdown_on_exit=False)
    tracing.add_span_processor(processor)
    metering = None
    if reader is not None:
        metering = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    return Otel(parts, remotes, tracing, metering, ids)


def over_http(
    parts: Parts, remotes: Remotes, config: OtelConfig, environ: Mapping[str, str]
) -> Otel:
    """Send spans and metrics to the configured collector, from threads of the SDK's own.

    Raises:
        ConfigError: A header's value cannot be read.
    """
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    headers = {
        name: source.resolve(environ, f"otel.headers.{name}").reveal()
        for name, source in config.headers.items()
    }
    where, every_ms = config.endpoint.rstrip("/"), config.interval_s * 1e3
    spans = OTLPSpanExporter(f"{where}/v1/traces", headers=headers, timeout=10.0)
    processor = BatchSpanProcessor(spans, schedule_delay_millis=every_ms)
    reader = None
    if config.metrics:
        points = OTLPMetricExporter(f"{where}/v1/metrics", headers=headers, timeout=10.0)
        reader = PeriodicExportingMetricReader(points, export_interval_millis=every_ms)
    return make(parts, remotes, config, processor, reader)
