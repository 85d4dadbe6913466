"""What the simulation's verbs have in common: exit codes, and how they end that cannot run.

Exit codes: 0 clean; 1 a law was broken; 2 the same document gave another run; 3 no progress;
4 a campaign that showed nothing; 64 the command, a document or a configuration is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import typer
from typer.core import TyperCommand

from understudy.cli import failure
from understudy.cli.output import emit
from understudy_actors.domain.errors import ConfigError
from understudy_sim.reading import Refused

CLEAN: Final = 0
VIOLATION: Final = 1
NOT_DETERMINISTIC: Final = 2
NO_PROGRESS: Final = 3
VACUOUS: Final = 4
USAGE: Final = 64
_TYPERS_USAGE: Final = 2

F = TypeVar("F", bound=Callable[..., Any])


class Unusable(Exception):
    """What was asked for cannot be done; the message is for people."""


class SimCommand(TyperCommand):
    """A verb whose wrong use ends with 64, since 2 means something else here."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the command line."""
        try:
            return super().make_context(*args, **kwargs)
        except Exception as error:
            raise _with_our_code(error) from None

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            failure.tell(error, as_json=ctx.meta.get("json", False))
            raise typer.Exit(USAGE) from None
        except (Refused, Unusable, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            _tell(error, as_json=ctx.meta.get("json", False))
            raise typer.Exit(USAGE) from None
        except Exception as error:
            raise _with_our_code(error) from None


def _with_our_code(error: Exception) -> Exception:
    """Errors of the command line carry their exit code with them."""
    if not isinstance(error, typer.Exit) and getattr(error, "exit_code", None) == _TYPERS_USAGE:
        error.exit_code = USAGE  # type: ignore[attr-defined]
    return error


def _tell(error: Exception, *, as_json: bool) -> None:
    what = str(error)
    if isinstance(error, OSError):
        what = f"{error.filename or 'the file'}: {error.strerror or error}"
    print(f"error: {what}", file=sys.stderr)
    if as_json:
        emit({"error": {"type": type(error).__name__, "message": what}})


def verb(function: F) -> F:
    """Make a function a verb with these exit codes."""
    function.command_class = SimCommand  # type: ignore[attr-defined]
    return function
