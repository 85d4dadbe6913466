"""`understudy config check | show | schema | env`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Typer

from understudy.cli.opening import configuration, environment
from understudy.cli.options import AsJson, ConfigFile
from understudy.cli.output import console, emit, table
from understudy_actors.domain.errors import ConfigError

if TYPE_CHECKING:
    from understudy.config import Config

config = Typer(name="config", help="Check and show configurations.", no_args_is_help=True)


@config.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(help="[default: the file in UNDERSTUDY_CONFIG]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether a configuration could run. Ends with 2 and every problem if it could not."""
    from understudy.cli.checking import check_file

    place = file or _from_environment()
    found, faults = check_file(place, environment())
    if as_json:
        wrong = [{"path": each.path, "problem": each.problem} for each in faults]
        facts = summary(found) if found is not None else None
        emit({"ok": not faults, "file": str(place), "problems": wrong, "summary": facts})
    elif found is not None:
        _show_summary(place, found)
    else:
        screen = console()
        screen.print(f"{place}: {len(faults)} problem{'' if len(faults) == 1 else 's'}")
        shown = table("key", "what is wrong, and what would be right")
        for each in faults:
            shown.add_row(each.path or "-", each.problem)
        screen.print(shown)
    if faults:
        raise typer.Exit(2)


def _from_environment() -> Path:
    named = os.environ.get("UNDERSTUDY_CONFIG", "").strip()
    if not named:
        raise ConfigError("name the file to check, or set UNDERSTUDY_CONFIG to its path")
    return Path(named)


def summary(config: Config) -> dict[str, Any]:
    """What a configuration amounts to."""
    from understudy.cli.providers import key_state
    from understudy.config import chains, endpoints
    from understudy.ports import Ports
    from understudy.price_age import old_prices
    from understudy.prices import lookup

    specs = endpoints(config, lookup=lookup)
    old = old_prices(specs, Ports().clock.wall(), config.price_max_age_s)
    return {
        "providers": len(config.providers),
        "endpoints": [spec.name for spec in specs],
        "strategy": config.strategy,
        "chains": {name: list(chain) for name, chain in chains(config).items()},
        "groups": list(config.groups),
        "unknown_prices": [spec.name for spec in specs if spec.price is None],
        "prices_as_of": next((spec.price_as_of for spec in specs if spec.price_as_of), None),
        "old_prices": None if old is None else str(old),
        "keys": {name: key_state(name, config, environment()) for name in config.providers},
    }


def _show_summary(place: Path, config: Config) -> None:
    facts = summary(config)
    screen = console()

    def say(line: str) -> None:
        screen.print(line, soft_wrap=True)

    count = len(facts["endpoints"])
    say(f"ok: {place}: {facts['providers']} providers with {count} models can run")
    say(f"strategy: {facts['strategy']}")
    for operation, chain in facts["chains"].items():
        say(f"chain of {operation}: {', '.join(chain)}")
    for name in facts["unknown_prices"]:
        say(f"note: the price of {name} is unknown: requests with a cost limit leave it out")
        if config.budgets:
            say(f"note: under the budgets {name} is never asked: set `price` for it")
    if facts["old_prices"] is not None:
        say(f"note: {facts['old_prices']}")
    for name, state in facts["keys"].items():
        if state.endswith("(MISSING)"):
            say(f"note: {name} has no key yet: {state}")


@config.command()
def show(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show the configuration in effect, defaults included. Of secrets only where they are."""
    import trio

    from understudy.config import redacted

    shown = redacted(trio.run(configuration, config))
    if as_json:
        emit(shown)
        return
    import yaml

    typer.echo(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True).rstrip())


@config.command("schema")
def print_schema(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write it to a file.")
    ] = None,
    as_json: AsJson = False,  # noqa: ARG001 - it is JSON anyway; every verb takes the option
) -> None:
    """Print the JSON Schema of a configuration file, for editors."""
    import json

    from understudy.config import schema

    if out is None:
        emit(schema())
        return
    out.write_text(json.dumps(schema(), indent=2) + "\n", encoding="utf-8")
    typer.echo(f"wrote {out}", err=True)


@config.command("env")
def list_variables(as_json: AsJson = False) -> None:
    """List the environment variables that are read, apart from keys."""
    from understudy.config import VARIABLES

    if as_json:
        emit(
            [
                {"name": v.name, "values": v.values, "meaning": v.meaning, "key": v.key or None}
                for v in VARIABLES
            ]
        )
        return
    shown = table("variable", "values", "meaning", "key that wins over it")
    for each in VARIABLES:
        shown.add_row(each.name, each.values, each.meaning, each.key or "-")
    console().print(shown)
