"""Log lines, one a decision: made from events, so that none holds a secret or a prompt."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TextIO

import msgspec

from understudy.config import LogConfig
from understudy_actors.domain import events
from understudy_actors.domain.alert_events import AlertLost, AlertRaised
from understudy_actors.domain.events import Event
from understudy_actors.domain.money_events import BoundBreached, BudgetAlert, PricesOld
from understudy_actors.domain.reload_events import ConfigReloaded
from understudy_actors.domain.store_events import StoreFailing, StoreOpened, StoreWorking
from understudy_actors.domain.stream_events import StreamRescue, StreamSkipped
from understudy_actors.runtime.trace import Trace

LEVELS: Final = MappingProxyType({"debug": 10, "info": 20, "warning": 30, "error": 40})

_LEVEL_OF: Final[Mapping[type[Event], str]] = MappingProxyType(
    {
        events.RequestOutcome: "info",
        events.RequestRefused: "warning",
        events.AttemptEnded: "warning",
        events.RetryScheduled: "info",
        events.FailedOver: "info",
        events.BreakerMoved: "warning",
        events.HoldSet: "warning",
        events.HoldCleared: "info",
        events.LimitSet: "info",
        events.StrategyChanged: "info",
        events.HealthChecked: "info",
        events.ActorStarted: "debug",
        events.ActorStopped: "debug",
        events.ActorRestarted: "warning",
        events.DeadLetter: "warning",
        events.SlowTurn: "warning",
        events.ActorCrashed: "error",
        events.ActorGaveUp: "error",
        events.Contained: "error",
        ConfigReloaded: "info",
        StreamRescue: "warning",
        StreamSkipped: "warning",
        BudgetAlert: "warning",
        PricesOld: "warning",
        BoundBreached: "error",
        StoreOpened: "info",
        StoreFailing: "error",
        StoreWorking: "warning",
        AlertRaised: "warning",
        AlertLost: "error",
    }
)
"""Every other event is for debugging."""


def level_of(event: Event) -> str:
    """How important an event is."""
    if isinstance(event, events.AttemptEnded) and event.error is None:
        return "debug"
    if isinstance(event, events.RequestOutcome) and event.status not in ("ok", "cancelled"):
        return "warning"
    return _LEVEL_OF.get(type(event), "debug")


def fields_of(event: Event) -> dict[str, Any]:
    """What a line says: the event's own fields, numbers rounded to what a person reads."""
    plain = msgspec.to_builtins(event)
    plain.pop("at_s", None)
    name = plain.pop("kind")
    told = {
        key: round(value, 4) if isinstance(value, float) else value
        for key, value in plain.items()
        if value is not None and value != {}
    }
    if "request" in told:
        told = {"request_id": told.pop("request"), **told}
    return {"event": name, **told}


def log_to_stderr(trace: Trace, config: LogConfig) -> Callable[[], None]:
    """Write the lines of `config` to standard error; returns what stops it."""
    return log_to(trace, config, sys.stderr)


def log_to(trace: Trace, config: LogConfig, file: TextIO) -> Callable[[], None]:
    """Write the lines that `config` asks for to `file`; returns what stops it."""
    if config.level == "off":
        return lambda: None
    least = LEVELS[config.level]
    write = writer(config, file)

    def listener(seq: int, event: Event) -> None:  # noqa: ARG001
        level = level_of(event)
        if LEVELS[level] >= least:
            write(level, fields_of(event))

    return trace.listen(listener, fine=least <= LEVELS["debug"])


def writer(config: LogConfig, file: TextIO) -> Callable[[str, dict[str, Any]], None]:
    """A function that writes one line through structlog, configured for its caller alone."""
    import structlog

    renderer: Any
    if config.format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=config.format == "console" and file.isatty(), sort_keys=False
        )
    logger = structlog.wrap_logger(
        structlog.WriteLogger(file),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.BoundLogger,
        context_class=dict,
    )

    def write(level: str, fields: dict[str, Any]) -> None:
        getattr(logger, level)(fields.pop("event"), **fields)

    return write
