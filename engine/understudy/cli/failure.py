"""How a command ends that did not work: one clear line, the attempts if there were any, a code."""

from __future__ import annotations

import sys
from typing import Any, Final

from understudy.cli.output import console, emit, plain
from understudy_actors.domain.errors import (
    AllAttemptsFailed,
    ConfigError,
    InvalidRequest,
    NoCandidate,
    OverMaxCost,
    UnderstudyError,
)

FAILED: Final = 1
WRONG: Final = 2

_ADVICE: Final[tuple[tuple[type[UnderstudyError], str], ...]] = (
    (OverMaxCost, ""),
    (NoCandidate, "`understudy providers list` shows who is configured and whose key is missing."),
    (AllAttemptsFailed, "`understudy status` shows who can be reached."),
)


def exit_code(error: UnderstudyError) -> int:
    """2 for what the caller must mend first, 1 for everything else."""
    return WRONG if isinstance(error, ConfigError | InvalidRequest) else FAILED


def tell(error: UnderstudyError, *, as_json: bool) -> None:
    """Say it on stderr; with `as_json` the same as a document on stdout."""
    screen = console(sys.stderr)
    screen.print(f"error: {error}", style="red", soft_wrap=True)
    if error.attempts:
        from understudy.cli.tables import attempts

        screen.print(attempts(error.attempts))
    advice = next((words for kind, words in _ADVICE if isinstance(error, kind)), "")
    if advice:
        screen.print(advice, soft_wrap=True)
    if as_json:
        emit({"error": document(error)})


def document(error: UnderstudyError) -> dict[str, Any]:
    """An error as JSON values."""
    return {
        "type": type(error).__name__,
        "message": str(error),
        "retry_after_s": error.retry_after_s,
        "reasons": error.reasons,
        "attempts": plain(error.attempts),
        "request_id": error.request_id,
        "explain": plain(getattr(error, "explanation", None)),
    }
