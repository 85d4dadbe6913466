"""`understudy serve`: the engine over HTTP, as SDKs of OpenAI and Anthropic speak it."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.cli.opening import environment
from understudy.cli.output import console
from understudy_actors.domain.errors import ConfigError, UnderstudyError

if TYPE_CHECKING:
    from understudy.engine import Engine


def serve(
    config: Annotated[
        Path | None,
        typer.Argument(help="Configuration file; left out, what is found here is served."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any free port.")] = 8400,
    drain: Annotated[
        int, typer.Option(min=0, metavar="SECONDS", help="For requests under way at the end.")
    ] = 30,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let anybody who reaches the address use it.")
    ] = False,
) -> None:
    """Serve OpenAI's and Anthropic's HTTP formats with this engine."""
    _guard(host, insecure)
    try:
        import uvicorn

        from understudy.bridges import AsyncioEngine
        from understudy.gateway import create_app
        from understudy.gateway.server import listen, settings
    except ImportError as error:
        raise ConfigError(
            f"the gateway needs {error.name}, which is not installed: "
            "pip install 'understudy[gateway]'"
        ) from None
    listener = listen(host, port)
    address = listener.getsockname()

    def ready(engine: Engine) -> None:
        _announce(engine, f"http://{_bracketed(address[0])}:{address[1]}")

    failed: list[UnderstudyError] = []

    @asynccontextmanager
    async def opening() -> AsyncIterator[Any]:
        engine = AsyncioEngine.open(config, environ=environment(), drain_s=float(drain))
        try:
            async with engine as opened:
                yield opened
        except UnderstudyError as error:
            failed.append(error)
            raise

    with listener:
        server = uvicorn.Server(settings(create_app(opening, on_ready=ready), drain_s=drain))
        with suppress(SystemExit):  # uvicorn's way to say that the start failed
            server.run(sockets=[listener])
    if failed:
        raise failed[0]


def _guard(host: str, insecure: bool) -> None:
    """Nobody but this machine may use it unasked: there are no keys that callers need."""
    if not insecure and not _is_loopback(host):
        raise ConfigError(
            f"--host {host} can be reached from other machines, and no keys are asked for: whoever "
            "finds it spends your money. Listen on 127.0.0.1, or say --insecure."
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


def _announce(engine: Engine, url: str) -> None:
    """What was found, which names may be asked for, and a line to try."""
    screen = console()
    report, models = engine.status(), engine.models()
    screen.print(f"understudy serves on {url}, for this machine only unless you chose otherwise.")
    screen.print(f"{report.total} endpoints: " + ", ".join(e.name for e in report.providers))
    names = [each.name for each in models if "/" not in each.name]
    screen.print(f"models: auto, {', '.join(names)}", soft_wrap=True)
    screen.print(f"OpenAI SDKs: base_url {url}/v1    Anthropic SDKs: base_url {url}")
    body = '{"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}'
    screen.print(
        f"try: curl {url}/v1/chat/completions -H 'content-type: application/json' -d '{body}'",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
