"""Everybody outside who is told of an engine's events: its log, webhooks and collectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import trio

from understudy.alerts.post import tellers
from understudy.telemetry.log import log_to_stderr
from understudy_actors.domain.errors import ConfigError

if TYPE_CHECKING:
    from understudy.assembly import Parts
    from understudy.telemetry.otel import Otel

LAST_WORD_S: Final = 2.0
"""How long a closing engine waits for messages to webhooks."""


def prepare(parts: Parts, environ: Mapping[str, str]) -> None:
    """Make ready whoever is told of troubles and of traces; without monitoring that is nobody.

    Raises:
        ConfigError: An address or a header cannot be read, or what it needs is not installed.
    """
    config, clock = parts.config, parts.ports.clock
    if not config.monitoring:
        return
    parts.tellers = tellers(
        config.alerts, environ, parts.transport, clock, parts.trace, parts.contained
    )
    parts.otel = _otel(parts, environ)


def start(parts: Parts, nursery: trio.Nursery) -> None:
    """From now on they are told; what takes time is done in tasks of their own."""
    if parts.config.monitoring:
        log_to_stderr(parts.trace, parts.config.log)
    for teller in parts.tellers:
        parts.trace.listen(teller.hear, fine=False)
        nursery.start_soon(teller.run, name=f"alerts {teller.config.name}")
    if parts.otel is not None:
        parts.trace.listen(parts.otel.hear, fine=False)
        nursery.start_soon(parts.otel.run, name="understudy otel")


async def finish(parts: Parts) -> None:
    """Tell what is left, but not for longer than a moment."""
    if parts.otel is not None:
        await parts.otel.close()
    with trio.move_on_after(LAST_WORD_S):
        for teller in parts.tellers:
            await teller.finish()


def _otel(parts: Parts, environ: Mapping[str, str]) -> Otel | None:
    """What makes spans of events, if that is asked for; nothing of it is imported otherwise."""
    if parts.remotes is None:
        return None
    try:
        from understudy.telemetry.otel import over_http
    except ImportError as error:
        raise ConfigError(
            f"`otel` needs {error.name}, which is not installed: pip install 'understudy[otel]'"
        ) from None
    return over_http(parts, parts.remotes, parts.config.otel, environ)
