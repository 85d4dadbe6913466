"""A configuration as it may be shown: all values in effect; of secrets only where they are."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from understudy.config.key import KeySource
from understudy.config.schema import Config
from understudy.config.section import Section, keys_of
from understudy.secret import Secret


def redacted(config: Config) -> dict[str, Any]:
    """The configuration as a plain table of the same shape as a file, for status and debugging.

    Times are numbers of seconds. Functions are shown by name. Unless it holds secrets or functions
    written in place, `parse` turns it into an equal configuration.
    """
    table = plain_table(config)
    del table["functions"]  # they are among the providers
    return table


def plain_table(section: Section) -> dict[str, Any]:
    """One section of it as a plain table."""
    return {
        each.encode_name: _plain(value)
        for each in keys_of(type(section))
        if (value := getattr(section, each.name)) is not None
    }


def _plain(value: object) -> Any:
    if isinstance(value, KeySource):
        return value.describe()
    if isinstance(value, Section):
        return plain_table(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Secret) or callable(value):
        return f"<function {getattr(value, '__name__', '?')}>" if callable(value) else "<secret>"
    return value
