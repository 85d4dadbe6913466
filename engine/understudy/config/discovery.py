"""No configuration at all: whoever can be asked from here becomes a working chain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import trio

from understudy.config.kinds import LOCAL, SERVERS, VENDORS, Kind, address_variables
from understudy.config.reading import parse
from understudy.config.schema import Config

Probe: TypeAlias = Callable[[str], Awaitable[Sequence[str] | None]]
"""Asks a server at this base URL for its models (`GET {url}/models`); None if it is none."""

PROBE_TIMEOUT_S: Final = 0.5
"""A server on this machine answers in milliseconds; all are asked at once."""
MODELS_MAX: Final = 8
"""A server lists everything on its disk; the first ones will do."""
SERVER_PRIORITY: Final = 200
"""After the vendors (100), before the stand-in (1000)."""


async def discover(
    environ: Mapping[str, str],
    probe: Probe,
    *,
    vendors: Sequence[Kind] = VENDORS,
    servers: Sequence[Kind] = SERVERS,
    timeout_s: float = PROBE_TIMEOUT_S,
) -> Config:
    """Vendors whose key stands in `environ`, then servers that answer, then the stand-in `local`.

    Every vendor serves one cheap model. Settings in `environ` apply as always.

    Args:
        probe: Called once for each server, all at once. What it raises means that none is there.
        timeout_s: Limit of all probes together.

    Raises:
        ConfigError: A setting in `environ` is wrong.
    """
    providers: dict[str, Any] = {
        kind.name: {"models": list(kind.models)}
        for kind in vendors
        if all(
            environ.get(each, "").strip()
            for each in (kind.key_variable or "", *address_variables(kind.base_url))
        )
    }
    found = await _answering(servers, probe, timeout_s)
    for kind in servers:
        if models := found.get(kind.name):
            providers[kind.name] = {"models": models, "priority": SERVER_PRIORITY}
    providers[LOCAL.name] = {}
    return parse({"providers": providers}, environ=environ)


async def _answering(
    servers: Sequence[Kind], probe: Probe, timeout_s: float
) -> dict[str, list[str]]:
    """The servers that answered in time, with their models."""
    found: dict[str, list[str]] = {}

    async def ask(kind: Kind) -> None:
        try:
            models = await probe(kind.base_url or "")
        except Exception:
            # Whatever else listens at that port is no server of ours: that is what we asked.
            return
        found[kind.name] = _usable(models or ())

    with trio.move_on_after(timeout_s):
        async with trio.open_nursery() as nursery:
            for kind in servers:
                nursery.start_soon(ask, kind)
    return found


def _usable(models: Sequence[str]) -> list[str]:
    """Names that can be configured, each once, at most `MODELS_MAX`."""
    fit = (
        each for each in models if isinstance(each, str) and each and not set(each) & set(" \t\n,")
    )
    return list(dict.fromkeys(fit))[:MODELS_MAX]
