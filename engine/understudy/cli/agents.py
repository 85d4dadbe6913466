"""`understudy agent`: what a store knows of long-running agents, and one of them taken up again."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer
from typer import Typer

from understudy.cli.accounts import bar, dollars, safe, short
from understudy.cli.opening import environment
from understudy.cli.options import AsJson, ConfigFile
from understudy.cli.output import console, emit, seconds, table
from understudy_actors.domain.errors import ConfigError, InvalidRequest

if TYPE_CHECKING:
    from understudy.agent.records import AgentRecord, TaskRecord

agent = Typer(name="agent", help="Long-running agents, from the store.", no_args_is_help=True)
Name: TypeAlias = Annotated[str, typer.Argument(help="Which agent.")]
WIDE: Final = 20


@agent.command(name="list")
def list_agents(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show every agent: how far it is, what it has cost, whether it was stopped in order."""
    from understudy.agent.reading import agents

    found = agents(_states(config))
    if as_json:
        emit([_document(each) for each in found])
        return
    screen = console()
    if not found:
        screen.print("No agent was ever started on this store.")
        return
    columns = ("agent", "progress", "", "completed", "failed", "cost", "runtime", "state")
    shown = table(*columns, right=columns[3:7])
    for each in found:
        shown.add_row(
            short(each.name),
            f"{each.progress:.0%}",
            bar(each.progress, 1.0, screen, WIDE),
            f"{each.completed:,}",
            f"{each.failed:,}",
            dollars(each.spent.cost_usd),
            seconds(each.runtime_s),
            _state(each),
        )
    screen.print(shown)


@agent.command()
def show(name: Name, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show one agent: its limits, its checkpoints, and its newest tasks."""
    record, tasks = _known(name, config)
    if as_json:
        emit({**_document(record), "tasks_kept": [_task(each) for each in tasks]})
        return
    screen = console()
    drawn = bar(record.progress, 1.0, screen, WIDE)
    screen.print(f"{safe(record.name)}  {_state(record)}  {record.progress:.0%} {drawn}")
    limits = {
        "cost": (dollars(record.spent.cost_usd), record.limit_usd, dollars),
        "runtime": (seconds(record.runtime_s), record.limit_s, seconds),
        "failed": (f"{record.failed:,}", record.limit_failures, str),
    }
    for what, (now, limit, told) in limits.items():
        of = "" if limit is None else f" of {told(limit)}"  # type: ignore[operator]
        screen.print(f"{what}: {now}{of}")
    screen.print(f"completed: {record.completed:,}, tokens: {record.spent.tokens:,}")
    answered = ", ".join(f"{safe(who)} {count:,}" for who, count in record.spent.providers.items())
    screen.print(f"answered by: {answered or '-'}")
    shown = table("task", "state", "runs", "cost", "error", right=("runs", "cost"))
    for each in tasks[-20:]:
        cost = dollars(each.spent.cost_usd)
        shown.add_row(
            short(each.name), each.state.value, str(each.runs), cost, short(each.error or "")
        )
    screen.print(shown)


@agent.command()
def export(name: Name, config: ConfigFile = None) -> None:
    """Print everything that is kept of an agent, results included, as one JSON document."""
    import msgspec

    record, tasks = _known(name, config)
    whole = []
    for each in tasks:
        result = None if each.result is None else msgspec.msgpack.decode(each.result)
        whole.append({**_task(each), "result": msgspec.to_builtins(result)})
    custom = None if record.custom is None else msgspec.msgpack.decode(record.custom)
    document = {**_document(record), "custom": msgspec.to_builtins(custom), "tasks_kept": whole}
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


@agent.command()
def resume(
    name: Name,
    function: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:FUNCTION",
            help="An async function, called with the started agent; it asks for its tasks.",
        ),
    ],
    config: ConfigFile = None,
    max_cost_usd: Annotated[
        float | None, typer.Option(help="What it may cost in all; left out, as before.")
    ] = None,
) -> None:
    """Start an agent again where it was: completed tasks give their stored results."""
    import trio

    work = _function(function)
    record, _ = _known(name, config)
    limit = record.limit_usd if max_cost_usd is None else max_cost_usd
    trio.run(_resume, work, record, config, limit)


async def _resume(
    work: Callable[[Any], Any], record: AgentRecord, config: Path | None, limit_usd: float | None
) -> None:
    from understudy.agent.agent import LongRunningAgent
    from understudy.lifecycle import open_engine

    async with (
        open_engine(config, environ=environment()) as engine,
        LongRunningAgent(
            engine,
            record.name,
            max_cost_usd=limit_usd,
            max_runtime_s=record.limit_s,
            max_failures=record.limit_failures,
        ) as agent,
    ):
        before = agent.status().completed
        await work(agent)
        status = agent.status()
    console().print(
        f"{safe(record.name)}: {status.completed - before:,} tasks done, {before:,} were done "
        f"before, {status.failed:,} have failed, {dollars(status.cost_usd)} in all"
    )


def _states(path: Path | None) -> Mapping[str, bytes]:
    from understudy.config import find
    from understudy.store.opening import url_of

    found = find(path, environment())
    if found is None or found.store is None:
        raise ConfigError(
            "no store is configured, so no agent outlives its process: add a [store] section"
        )
    from understudy.store.reading import look_into

    return look_into(url_of(found.store, environment())).states


def _known(name: str, path: Path | None) -> tuple[AgentRecord, list[TaskRecord]]:
    from understudy.agent import reading

    states = _states(path)
    record = reading.agent(states, name)
    if record is None:
        raise InvalidRequest(f"there is no agent {name!r}: `understudy agent list` shows all")
    return record, reading.tasks(states, name)[0]


def _function(path: str) -> Callable[[Any], Any]:
    module, _, name = path.partition(":")
    sys.path.insert(0, os.getcwd())  # as `python -m` does
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidRequest(f"{path}: {error}. Write MODULE:FUNCTION, e.g. crawl:main") from None
    if not callable(found):
        raise InvalidRequest(f"{path} is no function")
    work: Callable[[Any], Any] = found
    return work


def _state(record: AgentRecord) -> str:
    return "started" if record.running else "stopped"


def _document(record: AgentRecord) -> dict[str, Any]:
    import msgspec

    told = msgspec.structs.asdict(record)
    told["custom"] = None if record.custom is None else f"{len(record.custom)} bytes"
    return {
        **told,
        "spent": msgspec.structs.asdict(record.spent),
        "checkpoints": [
            {**msgspec.structs.asdict(each), "spent": msgspec.structs.asdict(each.spent)}
            for each in record.checkpoints
        ],
    }


def _task(task: TaskRecord) -> dict[str, Any]:
    import msgspec

    told = msgspec.structs.asdict(task)
    told["result"] = None if task.result is None else f"{len(task.result)} bytes"
    return {**told, "spent": msgspec.structs.asdict(task.spent)}
