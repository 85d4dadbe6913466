"""`understudy mock`: a mock provider service that fails on demand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.cli.options import AsJson, duration_s
from understudy.cli.output import emit

if TYPE_CHECKING:
    from understudy_sim.faults import Schedule
    from understudy_sim.mock import Behaviour, MockSettings


def mock(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where to listen; 0 takes a free port.")
    ] = 0,
    host: Annotated[str, typer.Option(help="Whom to listen to; by default this machine alone.")] = (
        "127.0.0.1"
    ),
    name: Annotated[str, typer.Option(help="What it calls itself in answers.")] = "mock",
    schedule: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Faults on a timeline, in TOML or JSON.")
    ] = None,
    latency: Annotated[
        str | None, typer.Option(metavar="TIME", help='Median time to an answer, "200ms".')
    ] = None,
    spread: Annotated[
        float, typer.Option(min=0, max=5, help="Spread (sigma) of the log-normal latency.")
    ] = 0.0,
    tokens_per_s: Annotated[
        float | None, typer.Option("--tokens-per-s", min=0.001, help="Pace of the answers.")
    ] = None,
    reply: Annotated[
        str | None,
        typer.Option(help="Text of the answers, with {provider}, {model}, {n} in it."),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="The only models there are; may be repeated.")
    ] = None,
    key_env: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Environment variable with the only key to accept."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws latencies and faults.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Serve a mock AI provider that can fail on demand, until interrupted.

    It speaks the OpenAI and the Anthropic wire format. POST /config/failures, /config/schedule
    and /config/behaviour change it while it runs; GET /stats shows what it counted.
    """
    import trio

    from understudy_sim.mock import MockSettings

    settings = MockSettings(
        provider=name,
        host=host,
        port=port,
        key=_key(key_env),
        models=tuple(model or ()),
        seed=seed,
        behaviour=_behaviour(latency, spread, tokens_per_s, reply),
        schedule=_schedule(schedule),
    )
    try:
        trio.run(_serve, settings, as_json)
    except OSError as error:
        why = f"{error.strerror or error}; choose another --port"
        raise OSError(error.errno, why, f"{host}:{port}") from None


def _behaviour(
    latency: str | None, spread: float, tokens_per_s: float | None, reply: str | None
) -> Behaviour:
    from understudy_sim.mock import Behaviour

    given: dict[str, Any] = {"latency_sigma": spread, "tokens_per_s": tokens_per_s}
    if latency is not None:
        given["latency_s"] = duration_s(latency, "--latency")
    if reply is not None:
        given["reply"] = reply
    return Behaviour(**given)


def _schedule(path: Path | None) -> Schedule:
    from understudy_sim.faults import Schedule, load_schedule
    from understudy_sim.reading import Refused

    if path is None:
        return Schedule()
    try:
        return load_schedule(path)
    except Refused as error:
        raise typer.BadParameter(str(error), param_hint="--schedule") from None


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise typer.BadParameter(f"the variable {variable} is not set", param_hint="--key-env")
    return key


async def _serve(settings: MockSettings, as_json: bool) -> None:
    import sys

    import trio

    from understudy_sim.mock import running_mock

    async with running_mock(settings) as handle:
        if as_json:
            emit({"provider": settings.provider, "url": handle.url, "port": handle.port})
        else:
            typer.echo(f"mock provider {settings.provider} listens at {handle.url}")
            typer.echo(f"  OpenAI clients:    base URL {handle.url}/v1")
            typer.echo(f"  Anthropic clients: base URL {handle.url}")
            typer.echo(f"  make it fail:      POST {handle.url}/config/failures")
            typer.echo("  end it:            Ctrl-C")
        sys.stdout.flush()
        await trio.sleep_forever()
