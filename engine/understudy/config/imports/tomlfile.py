"""Writes a table as TOML. Python reads that language and does not write it; of our own files only
texts, numbers, truth values, lists and tables must be written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH: Final = 88
"""An inline value that is longer becomes a table or a list of several lines."""


def write_toml(table: Mapping[str, Any]) -> str:
    """A TOML document: what is short stands in one line, every other table under its header."""
    return "\n".join(_section(table, ())).strip("\n") + "\n"


def _section(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    apart = {key: value for key, value in table.items() if _stands_apart(value)}
    lines = [f"{_key(key)} = {_value(each)}" for key, each in table.items() if key not in apart]
    for key, value in apart.items():
        inner = (*path, key)
        header = ".".join(map(_key, inner))
        if isinstance(value, Mapping):
            body = _section(value, inner)
            holds_only_tables = all(_stands_apart(each) for each in value.values())
            lines += body if value and holds_only_tables else ["", f"[{header}]", *body]
            continue
        for each in value:
            lines += ["", f"[[{header}]]", *_section(each, inner)]
    return lines


def _stands_apart(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_stands_apart(each) for each in value.values()) or len(_value(value)) > _WIDTH
    if isinstance(value, list | tuple) and value and all(isinstance(e, Mapping) for e in value):
        return any(_stands_apart(each) for each in value) or len(_value(value)) > _WIDTH
    return False


def _key(text: str) -> str:
    return text if _BARE.fullmatch(text) else _text(text)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:.1f}"
    return str(value) if isinstance(value, int | float) else _text(str(value))


def _text(text: str) -> str:
    """A basic string: JSON's escapes are TOML's too, but for DEL and for lone surrogates."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
