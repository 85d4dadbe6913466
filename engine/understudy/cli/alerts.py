"""`understudy alerts test`: one message to every place that would be told."""

from __future__ import annotations

from typing import Final

import typer
from typer import Typer

from understudy.cli.opening import configuration, environment
from understudy.cli.options import AsJson, ConfigFile
from understudy.cli.output import console, emit, table
from understudy_actors.domain.errors import ConfigError

alerts = Typer(name="alerts", help="Try who is told of troubles.", no_args_is_help=True)
NOBODY: Final = "no `[[alerts]]` is configured: nobody is told of anything"


@alerts.callback()
def _group() -> None:
    """One verb for now."""


@alerts.command("test")
def send_test(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Send one test message to each webhook of `[[alerts]]`. Ends with 1 if one was not taken."""
    import trio

    told = trio.run(_send, config)
    if as_json:
        emit([{"alert": name, "sent": why is None, "why": why} for name, why in told])
    else:
        shown = table("alert", "webhook")
        for name, why in told:
            shown.add_row(name, "took the message" if why is None else why)
        console().print(shown)
    if any(why is not None for _, why in told):
        raise typer.Exit(1)


async def _send(config: ConfigFile) -> list[tuple[str, str | None]]:
    from understudy.alerts.post import address_of, payload, post
    from understudy.alerts.watch import Alert
    from understudy.ports import Ports
    from understudy.transport.factory import default_transport

    found = await configuration(config)
    if not found.alerts:
        raise ConfigError(NOBODY)
    alert = Alert("test", "engine", "test", "this is a test, nothing is wrong", {})
    wall, transport = Ports().clock.wall(), default_transport(found)
    told: list[tuple[str, str | None]] = []
    try:
        for place, each in enumerate(found.alerts):
            url = address_of(each, environment(), place)
            body = payload(alert, each.name, wall)
            why = "has no webhook: the log is told" if url is None else None
            if url is not None and (why := await post(transport, url, body)) is not None:
                why = why.rstrip("!")
            told.append((each.name, why))
    finally:
        await transport.aclose()
    return told
