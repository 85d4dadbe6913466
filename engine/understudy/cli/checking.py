"""Everything that is wrong with a configuration file, and not only the first thing."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from understudy.config import BadKey, Config, parse, problems
from understudy.config.files import read_table
from understudy_actors.dispatcher.strategies import BUILT_IN

_STEP: Final = re.compile(r'"((?:[^"])*)"|\[(\d+)\]|([^.\[\]"]+)')
FAULTS_MAX: Final = 100


def check_file(path: Path, environ: Mapping[str, str]) -> tuple[Config | None, list[BadKey]]:
    """The configuration in a file, if it could run; else every problem that was found.

    The reader stops at the first wrong value, so each is left out and the rest is read again.

    Raises:
        ConfigError: The file cannot be read at all.
    """
    table = copy.deepcopy(read_table(path))
    found: list[BadKey] = []
    while len(found) < FAULTS_MAX:
        try:
            config = parse(table, environ=environ)
        except BadKey as fault:
            found.append(fault)
            if not _leave_out(table, fault.path):
                return None, found
            continue
        left = [each for each in problems(config, strategies=BUILT_IN) if _is_own(each, found)]
        found += left
        return (None if found else config), found
    return None, found


def _is_own(problem: BadKey, faults: list[BadKey]) -> bool:
    """False for what is wrong only because a faulty key was left out."""
    if problem.path.startswith(("operations.", "groups.")):
        return not any(each.path.startswith("providers.") for each in faults)
    return not any(
        each.path == problem.path or each.path.startswith(f"{problem.path}[") for each in faults
    )


def _leave_out(table: Any, path: str) -> bool:
    """Delete what stands at `path`; a list goes as a whole, so that no place in it moves.

    False if nothing stands there: something is missing, or it is not in the file.
    """
    at: Any = table
    target: tuple[dict[Any, Any], Any] | None = None
    for quoted, place, name in _STEP.findall(path):
        if place or not isinstance(at, dict):
            break
        key = _key(at, name or quoted)
        if key is None:
            return False
        target, at = (at, key), at[key]
    if target is None:
        return False
    del target[0][target[1]]
    return True


def _key(table: dict[Any, Any], name: str) -> Any:
    """The key that is written as `name`: YAML reads a bare 429 as a number."""
    return next((key for key in table if str(key) == name), None)
