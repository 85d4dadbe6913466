"""`understudy route "prompt"`: one request, from a shell."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.cli.opening import opened
from understudy.cli.options import AsJson, ConfigFile, duration_s
from understudy.cli.output import console, emit, plain, readable, seconds, usd
from understudy.routing.explain import Explanation
from understudy_actors.domain.delta import TextDelta
from understudy_actors.domain.errors import UnderstudyError
from understudy_actors.domain.request import Complexity, Request
from understudy_actors.domain.result import ChatOutput, Result

if TYPE_CHECKING:
    from understudy.engine import Engine


def route(
    prompt: Annotated[str, typer.Argument(help="What to ask; `-` reads it from stdin.")],
    config: ConfigFile = None,
    model: Annotated[str | None, typer.Option(help="A model, its alias or a model group.")] = None,
    system: Annotated[str | None, typer.Option(help="Instructions before the prompt.")] = None,
    strategy: Annotated[
        str | None, typer.Option(help="Orders the candidates, e.g. cheapest, priority.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(metavar="USD", help="Ask nobody who would cost more.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help='Limit over everything, such as "30s".')
    ] = None,
    complexity: Annotated[Complexity | None, typer.Option(help="How hard the task is.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="The answer's length at most, in tokens.")
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Print the answer as it arrives.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show who was asked, who was not, and why.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask one question, of the best provider that can answer it now."""
    import trio

    request = Request.chat(
        sys.stdin.read() if prompt == "-" else prompt,
        system=system,
        max_tokens=max_tokens,
        model=model,
        strategy=strategy,
        max_cost_usd=max_cost,
        timeout_s=None if timeout is None else duration_s(timeout, "--timeout"),
        complexity=complexity,
    )
    live = stream and not as_json
    try:
        result, record = trio.run(_ask, config, request, live)
    except UnderstudyError as error:
        _explain(getattr(error, "explanation", None) if explain and not as_json else None)
        raise
    if as_json:
        emit(document(result, record if explain else None))
        return
    typer.echo("" if live else _shown(result.text))
    _explain(record if explain else None)
    _sum_up(result)


def _shown(text: str) -> str:
    return readable(text) if sys.stdout.isatty() else text


async def _stream(engine: Engine, request: Request) -> Result:
    """Print each piece of the answer when it is there."""
    async with engine.stream(request) as stream:
        async for delta in stream:
            if isinstance(delta, TextDelta):
                typer.echo(_shown(delta.text), nl=False)  # which flushes
    return stream.result()


async def _ask(
    config: Path | None, request: Request, live: bool
) -> tuple[Result, Explanation | None]:
    async with opened(config) as engine:
        try:
            result = await (_stream(engine, request) if live else engine.route(request))
        except UnderstudyError as error:
            if error.request_id:
                # The record ends with the engine, and whoever reports the error may want it.
                error.explanation = engine.explain(error.request_id)  # type: ignore[attr-defined]
            raise
        return result, engine.explain(result.request_id)


def document(result: Result, record: Explanation | None) -> dict[str, Any]:
    """A result as JSON values, with its text beside the typed output."""
    output = result.output
    shown = {"text": result.text if isinstance(output, ChatOutput) else None, **plain(result)}
    if record is not None:
        shown["explain"] = plain(record)
    return shown


def _explain(record: Explanation | None) -> None:
    if record is None:
        return
    from understudy.cli.tables import explanation

    screen = console()
    for part in explanation(record):
        screen.print(part)


def _sum_up(result: Result) -> None:
    """Who answered, on stderr, so that stdout holds the answer alone."""
    screen = console(sys.stderr)
    tries = len(result.attempts)
    who = f"{result.provider}/{result.model}".rstrip("/")
    cost = "cost unknown" if result.cost_usd is None else usd(result.cost_usd)
    screen.print(
        f"{who}, {seconds(result.elapsed_s)}, {cost}, {tries} attempt{'' if tries == 1 else 's'}",
        style="dim",
        soft_wrap=True,
    )
    if result.degraded:
        screen.print(
            "degraded: a stand-in answered, no AI provider did. "
            "`understudy providers list` shows who is configured and whose key is missing.",
            style="yellow",
            soft_wrap=True,
        )
