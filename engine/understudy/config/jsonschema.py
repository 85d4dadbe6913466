"""The JSON Schema of a configuration file, for editors and `understudy config schema`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, Final, get_args

import msgspec

from understudy.config.breaker import BreakerConfig
from understudy.config.key import HeaderSource, KeySource
from understudy.config.presets import PRESETS
from understudy.config.provider import ModelConfig
from understudy.config.schema import Config
from understudy.config.section import Section, keys_of
from understudy.config.sections import (
    ConcurrencyConfig,
    GuardConfig,
    HealthCheckConfig,
)
from understudy.config.store import StoreConfig
from understudy.config.terms import KeyBudget
from understudy.config.values import DURATION_PATTERN
from understudy.secret import Secret

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_SOURCE: Final = {"type": "string", "pattern": "^(env|file):."}
_SHORT_FORMS: Final[dict[type[Section], dict[str, Any]]] = {
    BreakerConfig: {"enum": ["default", "classic", "expire"]},
    ConcurrencyConfig: {"type": "integer", "minimum": 1},
    GuardConfig: {"type": "boolean"},
    HealthCheckConfig: {"type": "boolean"},
    KeyBudget: {"type": "string", "pattern": "^ *[$]?[0-9.]+ */ *[a-z]+ *$"},
    KeySource: _SOURCE,
    HeaderSource: {"type": "string"},
    ModelConfig: {"type": "string", "minLength": 1},
    StoreConfig: {"type": "string", "minLength": 1},
}
"""What may stand in place of a table."""
_ONLY_IN_CODE: Final = frozenset({"function", "functions"})
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.+(?:\n        .+)*)", re.MULTILINE)


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a configuration file."""
    whole = msgspec.json.schema(Config, schema_hook=_foreign)
    parts: dict[str, Any] = whole["$defs"]
    for section in dict.fromkeys(_sections(Config)):
        parts[section.__name__] = _described(section, parts[section.__name__])
    top = parts["Config"]
    top["properties"] = {"preset": _preset(), **top["properties"]}
    return {"$schema": DIALECT, "title": "understudy", **whole}


def _described(section: type[Section], part: dict[str, Any]) -> dict[str, Any]:
    summary, _, _ = inspect.cleandoc(section.__doc__ or "").partition("\n")
    meanings = {
        name: " ".join(text.split())
        for each in reversed(section.__mro__)
        for name, text in _ATTRIBUTE.findall(inspect.cleandoc(each.__doc__ or ""))
    }
    properties = {
        name: {**_as_written(shape), "description": meanings[name]}
        for name, shape in part["properties"].items()
        if name not in _ONLY_IN_CODE
    }
    table = {**part, "description": summary, "properties": properties}
    short = _SHORT_FORMS.get(section)
    if short is None:
        return table
    return {"description": summary, "anyOf": [short, table]}


def _as_written(shape: dict[str, Any]) -> dict[str, Any]:
    """Durations may be written as a text as well, which msgspec cannot say of a float."""
    if "anyOf" in shape:
        return {**shape, "anyOf": [_as_written(each) for each in shape["anyOf"]]}
    if shape.get("pattern") == DURATION_PATTERN:
        return {**shape, "type": ["number", "string"]}
    return shape


def _sections(kind: Any) -> Iterator[type[Section]]:
    """The sections in a type, and in those the sections of their fields."""
    if isinstance(kind, type) and issubclass(kind, Section):
        yield kind
        for each in keys_of(kind):
            yield from _sections(each.type)
    for part in get_args(kind):
        yield from _sections(part)


def _preset() -> dict[str, Any]:
    meaning = "Values for a purpose, under everything that is written here."
    return {"enum": list(PRESETS), "description": meaning}


def _foreign(kind: Any) -> dict[str, Any]:
    return {"type": "string", "minLength": 1} if kind is Secret else {}
