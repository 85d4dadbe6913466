"""Puts the verbs together: our own, and those that other installed packages bring along."""

from __future__ import annotations

import errno
import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from understudy.cli.agents import agent
from understudy.cli.alerts import alerts
from understudy.cli.budgets import budgets
from understudy.cli.config import config
from understudy.cli.costs import costs
from understudy.cli.failure import exit_code, tell
from understudy.cli.imports import imports
from understudy.cli.keys import keys
from understudy.cli.providers import providers
from understudy.cli.route import route
from understudy.cli.serve import serve
from understudy.cli.status import status
from understudy.cli.top import top
from understudy.cli.usage import usage
from understudy.cli.version import print_version, version
from understudy_actors.domain.errors import UnderstudyError

GROUP: Final = "understudy.commands"
"""Entry points of this group become verbs: each a function for typer, or a `typer.Typer`.

A function may have a `command_class`: the typer command to run it with.
"""

_HELP: Final = (
    "Route requests to AI providers, with failover you can prove.\n\n"
    "Without a configuration file the providers whose keys stand in the environment are asked, "
    "then the model servers on this machine, and last the stand-in `local`, whose answers are "
    "marked as degraded.\n\n"
    "Exit codes: 0 it worked, 1 it failed, 2 the command or the configuration is wrong, "
    "130 interrupted."
)


class Verbs(TyperGroup):
    """Every verb, with one place for what any of them may raise."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; an error of ours becomes one clear line and an exit code."""
        try:
            return super().invoke(ctx)
        except UnderstudyError as error:
            tell(error, as_json=ctx.meta.get("json", False))
            raise typer.Exit(exit_code(error)) from None
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            what = f"{error.filename}: " if error.filename else ""
            print(f"error: {what}{error.strerror or error}", file=sys.stderr)
            raise typer.Exit(1) from None
        except BaseExceptionGroup as group:
            if group.subgroup(KeyboardInterrupt) is not None:
                raise KeyboardInterrupt from None
            raise


def build() -> typer.Typer:
    """The whole command line."""
    # Pretty tracebacks show local variables, and one of those may be a key.
    app = typer.Typer(cls=Verbs, help=_HELP, no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(_common)
    app.command()(route)
    app.command()(serve)
    app.command()(status)
    app.command()(costs)
    app.command()(usage)
    app.add_typer(top)
    app.command()(budgets)
    app.add_typer(keys)
    app.add_typer(agent)
    app.add_typer(providers)
    app.add_typer(config)
    app.add_typer(imports)
    app.add_typer(alerts)
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        _add(app, point)
    app.command()(version)
    return app


def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=print_version)
    ] = False,
) -> None:
    """What every verb has in common."""


def _add(app: typer.Typer, point: EntryPoint) -> None:
    """Add a verb from outside; one that cannot be loaded must not take the others down."""
    try:
        verb = point.load()
    except Exception as error:
        print(
            f"warning: the command {point.name!r} cannot be loaded ({type(error).__name__} in "
            f"{point.value}). Reinstall or remove the package that brings it.",
            file=sys.stderr,
        )
        return
    if isinstance(verb, typer.Typer):
        app.add_typer(verb, name=point.name)
    else:
        app.command(point.name, cls=getattr(verb, "command_class", None))(verb)
