"""`understudy serve`: the engine over HTTP, as SDKs of OpenAI and Anthropic speak it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeAlias

import attrs
import typer

from understudy.cli.announce import announce
from understudy.cli.opening import environment
from understudy.cli.output import console
from understudy.config import Config, find, parse
from understudy.config.gateway import GatewayConfig
from understudy.ports import SystemClock
from understudy_actors.domain.errors import ConfigError, UnderstudyError

if TYPE_CHECKING:
    from understudy.engine import Engine
    from understudy.gateway.desk import Desk
    from understudy.gateway.guard import Guard

Ready: TypeAlias = Callable[[], None]


def serve(
    config: Annotated[
        Path | None,
        typer.Argument(help="Configuration file; left out, what is found here is served."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address, else `gateway.host`.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 is any free one, else `gateway.port`.")
    ] = None,
    drain: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="For requests under way at the end, else `gateway.drain`.",
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let anybody who reaches the address use it.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes that share port, limits, budgets.")
    ] = None,
) -> None:
    """Serve OpenAI's and Anthropic's HTTP formats with this engine."""
    try:
        from understudy.gateway.server import listen
    except ImportError as error:
        raise ConfigError(
            f"the gateway needs {error.name}, which is not installed: "
            "pip install 'understudy[gateway]'"
        ) from None
    from understudy.gateway.guard import guard_of

    environ = environment()
    found = find(config, environ)
    own = GatewayConfig() if found is None else found.gateway
    guard, where = guard_of(own, environ, SystemClock().wall), host or own.host
    exposed = where if not (insecure or _is_loopback(where)) else None
    if found is None or found.store is None:
        _refuse_everybody(guard, exposed)

    def admit(wanted: GatewayConfig) -> Guard:
        made = guard_of(wanted, environment(), SystemClock().wall)
        made.ring = guard.ring
        _refuse_everybody(made, exposed)
        return made

    patience_s = own.drain_s if drain is None else drain
    serving = Serving(own, guard, exposed, patience_s, admit, partial(find, config, environ))
    with listen(where, own.port if port is None else port) as listener:
        if workers is None:
            _run(found, serving, [listener])
        elif found is None:
            raise ConfigError("--workers needs a configuration file: name it")
        else:
            _run_together(found, serving, listener, workers)


@attrs.frozen(eq=False)
class Serving:
    """How it is served.

    Attributes:
        own: The section of the configuration.
        guard: Who may come in.
        exposed: An address that other machines reach, if it is one.
        drain_s: For requests under way at the end.
        admit: The guard that another configuration asks for.
        read: Reads the configuration anew.
        ready: Called on the loop once it serves.
        announced: Whether it says what it serves.
    """

    own: GatewayConfig
    guard: Guard
    exposed: str | None
    drain_s: float
    admit: Callable[[GatewayConfig], Guard]
    read: Callable[[], Config | None]
    ready: Callable[[], None] = lambda: None
    announced: bool = True


def _run_together(
    found: Config, serving: Serving, listener: socket.socket, workers: int
) -> NoReturn:
    """Serve with several processes."""
    from understudy.cli.workers import Part, serve_together

    def serve_part(part: Part, sockets: list[socket.socket], ready: Ready, first: bool) -> None:
        def read() -> Config | None:
            anew = serving.read()
            return None if anew is None else part(anew)

        config = part(found)
        guard = serving.admit(config.gateway)
        own = attrs.evolve(
            serving, own=config.gateway, guard=guard, read=read, ready=ready, announced=first
        )
        _run(config, own, sockets)

    raise typer.Exit(serve_together(found, workers, listener, serve_part, serving.drain_s))


def _run(config: Config | None, serving: Serving, sockets: list[socket.socket]) -> None:
    from understudy.bridges import AsyncioEngine
    from understudy.gateway import create_app
    from understudy.gateway.limits import limits_of
    from understudy.gateway.renewal import Renewal
    from understudy.gateway.server import Server, settings
    from understudy.gateway.signals import Signals

    failed: list[UnderstudyError] = []
    address, guard = sockets[0].getsockname(), serving.guard
    url = f"http://{_bracketed(address[0])}:{address[1]}"
    signals = Signals(serving.drain_s)

    @asynccontextmanager
    async def opening() -> AsyncIterator[Any]:
        engine = AsyncioEngine.open(config, environ=environment(), drain_s=serving.drain_s)
        try:
            async with engine as opened:
                guard.ring = opened.keys.ring  # a store may keep keys
                _refuse_everybody(guard, serving.exposed)
                with signals.heard(opened):
                    yield opened
        except UnderstudyError as error:
            failed.append(error)
            raise

    def renewing(desk: Desk) -> Renewal:
        signals.renewal = Renewal(desk, serving.own, serving.read, serving.admit)
        return signals.renewal

    def on_ready(engine: Engine) -> None:
        serving.ready()
        if serving.announced:
            announce(engine, url, console(), guarded=not guard.open, discovered=config is None)

    log = parse({}, environ=environment()).log if config is None else config.log
    app = create_app(
        opening,
        log=log,
        limits=limits_of(serving.own),
        guard=guard,
        on_ready=on_ready,
        renewing=renewing,
    )
    server = Server(settings(app, drain_s=serving.drain_s), signals.told_to_end)
    with suppress(SystemExit):  # uvicorn's way to say that the start failed
        server.run(sockets=sockets)
    if failed:
        raise failed[0]


def _refuse_everybody(guard: Guard, exposed: str | None) -> None:
    """Do not serve other machines without keys; `exposed` is an address that they reach."""
    if guard.open and exposed is not None:
        raise ConfigError(
            f"{exposed} can be reached by other machines, and there are no keys: whoever finds it "
            "spends your money. Make one (`understudy keys create`), set `gateway.require_keys`, "
            "listen on 127.0.0.1, or say --insecure."
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
