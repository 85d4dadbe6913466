"""OpenTelemetry: spans and metrics of requests, after the GenAI semantic conventions."""

from __future__ import annotations

from typing import ClassVar, Final

from msgspec import field

from understudy.config.faults import at
from understudy.config.key import HeaderSource, check_headers
from understudy.config.provider import check_address
from understudy.config.sections import Switchable
from understudy.config.values import HeaderName, Seconds, Text

LOOPBACK: Final = "http://127.0.0.1:4318"
"""Where a collector listens on the same machine."""


class OtelConfig(Switchable, frozen=True, kw_only=True):
    """Spans and metrics over OTLP by HTTP. Off unless written; needs the extra `otel`.

    Attributes:
        enabled: False sends nothing.
        endpoint: The collector; `/v1/traces` and `/v1/metrics` follow it.
        headers: Further HTTP headers for it.
        service: What this program is called there.
        metrics: False sends spans alone.
        interval: How long spans and metrics are gathered before they are sent.
        propagate: Tells providers the trace too (`traceparent`); off, since it is theirs to keep.
    """

    title: ClassVar[str] = "otel"

    endpoint: Text = LOOPBACK
    headers: dict[HeaderName, HeaderSource] = field(default_factory=dict)
    service: Text = "understudy"
    metrics: bool = True
    interval_s: Seconds = field(default=5.0, name="interval")
    propagate: bool = False

    def check(self) -> None:
        """An address that can be one, and no secret in plain headers."""
        at("endpoint", lambda: check_address(self.endpoint))
        at("headers", lambda: check_headers(self.headers))
