"""Configuration files: TOML, YAML and JSON to tables. Errors give the place, not the text there."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from understudy.config.faults import NotValid, show
from understudy_actors.domain.errors import ConfigError

BYTES_MAX: Final = 4 * 1024 * 1024


def read_table(path: Path) -> dict[Any, Any]:
    """The table in a file; its ending says which language it is in.

    Raises:
        ConfigError: It cannot be read, or is not what its ending says.
    """
    language = path.suffix.casefold()
    if language not in PARSERS:
        raise ConfigError(f"{path}: the name must end in {', '.join(PARSERS)}")
    try:
        table = PARSERS[language](_text(path))
    except NotValid as fault:
        raise ConfigError(f"{path}: {fault}") from None
    except (ValueError, RecursionError):
        # Beyond Python's limits: a number of thousands of digits, nesting as deep, a 31st of June.
        raise ConfigError(f"{path}: holds a number, date or nesting out of range") from None
    if not isinstance(table, dict | None):
        raise ConfigError(f"{path}: must hold a table of keys and values at the top")
    return table or {}


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
        if len(content) > BYTES_MAX:
            raise ConfigError(f"{path}: is larger than {BYTES_MAX // 1024 // 1024} MiB")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no UTF-8 text (byte {error.start})") from None


def _toml(text: str) -> object:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The end of the message is the place; what stands before it may quote the file.
        place = str(error).rpartition("(")[2].rstrip(")")
        twice = ": a key or table is written twice" if "Cannot" in str(error) else ""
        raise NotValid(f"is not valid TOML {place}{twice}") from None


def _yaml(text: str) -> object:
    from understudy.config.yamlfile import read_yaml  # only who writes YAML pays for its import

    return read_yaml(text)


def _json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_without_twins)
    except json.JSONDecodeError as error:
        raise NotValid(f"is not valid JSON at line {error.lineno}, column {error.colno}") from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise NotValid(f"has the key {show(twin)} twice in one object")
    return table


PARSERS: Final[Mapping[str, Callable[[str], object]]] = MappingProxyType(
    {".toml": _toml, ".yaml": _yaml, ".yml": _yaml, ".json": _json}
)
"""File name ending to the parser of its language."""
