"""`understudy status`: who can be asked, after one free check of each provider."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.opening import opened
from understudy.cli.options import AsJson, ConfigFile, duration_s
from understudy.cli.output import console, emit

if TYPE_CHECKING:
    from understudy.cache.shelf import CacheStats
    from understudy.reports import StatusReport


def status(
    config: ConfigFile = None,
    timeout: Annotated[
        str, typer.Option(metavar="TIME", help="Limit of each check, such as 5s.")
    ] = "5s",
    as_json: AsJson = False,
) -> None:
    """Check every provider once, free of charge, and show who can be asked."""
    import trio

    report = trio.run(_look, config, duration_s(timeout, "--timeout"))
    if as_json:
        emit(report)
        return
    from understudy.cli.tables import endpoints

    screen = console()
    alone = ", stand-ins only" if report.health == "unhealthy" and report.healthy else ""
    told = f"{report.healthy} of {report.total} endpoints can be asked{alone}"
    screen.print(f"{report.health}: {told}")
    screen.print(f"strategy {report.strategy}, {_fallback(report)}")
    if report.cache is not None:
        screen.print(_kept(report.cache))
    screen.print(endpoints(report.providers))


async def _look(config: Path | None, timeout_s: float) -> StatusReport:
    async with opened(config) as engine:
        return await engine.check(timeout_s=timeout_s)


def _kept(cache: CacheStats) -> str:
    held = (
        f"{cache.entries} of {cache.max_entries} answers, {cache.bytes} of {cache.max_bytes} bytes"
    )
    looked = cache.hits + cache.misses
    rate = f"{cache.hit_rate:.0%} of {looked} requests" if looked else "nobody has asked it yet"
    return f"cache: {held}, {rate}"


def _fallback(report: StatusReport) -> str:
    return (
        "with somebody to fail over to" if report.fallback_available else "nobody to fail over to"
    )
