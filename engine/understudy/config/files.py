"""Configuration files: TOML, YAML and JSON to tables. Errors give the place, not the text there."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

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
    except _NotValid as fault:
        raise ConfigError(f"{path}: {fault}") from None
    except (ValueError, RecursionError):
        # Out of Python's limits: a number of thousands of digits, or nesting as deep.
        raise ConfigError(f"{path}: holds a number or a nesting that is too large") from None
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


class _NotValid(Exception):
    """A file that its language forbids; the message repeats none of it."""


def _toml(text: str) -> object:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The end of the message is the place; what stands before it may quote the file.
        place = str(error).rpartition("(")[2].rstrip(")")
        twice = ": a key or table is written twice" if "Cannot" in str(error) else ""
        raise _NotValid(f"is not valid TOML {place}{twice}") from None


class _Yaml(yaml.SafeLoader):
    """YAML 1.2 as far as it matters: only true and false are booleans, and no key stands twice.

    In YAML 1.1 `on` and `off` are booleans, so that the key `on` of a retry would be lost.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping without duplicate keys."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        problem="key written twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_BOOL: Final = "tag:yaml.org,2002:bool"
_Yaml.yaml_implicit_resolvers = {
    first: [(tag, shape) for tag, shape in resolvers if tag != _BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml.add_implicit_resolver(
    _BOOL, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def _yaml(text: str) -> object:
    try:
        return yaml.load(text, _Yaml)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        twice = ": a key is written twice" if error.problem == "key written twice" else ""
        raise _NotValid(f"is not valid YAML{place}{twice}") from None
    except yaml.YAMLError:
        raise _NotValid("is not valid YAML: it holds characters that YAML forbids") from None


def _json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_without_twins)
    except json.JSONDecodeError as error:
        raise _NotValid(f"is not valid JSON at line {error.lineno}, column {error.colno}") from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise _NotValid(f"has the key {twin[:40]!r} twice in one object")
    return table


PARSERS: Final[Mapping[str, Callable[[str], object]]] = MappingProxyType(
    {".toml": _toml, ".yaml": _yaml, ".yml": _yaml, ".json": _json}
)
"""File name ending to the parser of its language."""
