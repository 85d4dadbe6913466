"""Reading documents that people write: errors that name the key, and durations such as "10s"."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Final, TypeVar

import msgspec

T = TypeVar("T")

_UNITS: Final = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_UNKNOWN: Final = re.compile(r"unknown field `(.*?)`(?: - at `\$\.?(.*)`)?")
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_AT: Final = re.compile(r" - at `(?:key in )?\$\.?(.*?)`$")


class Refused(ValueError):
    """A document that cannot be used. Nothing changed.

    Attributes:
        key: Path of the offending key, such as `faults[0].share`; empty for the whole document.
    """

    def __init__(self, key: str, message: str) -> None:
        self.key = key
        super().__init__(f"{key}: {message}" if key else message)


def duration_s(value: object, key: str) -> object:
    """Seconds for a text such as "10s", "500ms", "1.5m" or "2h"; anything else as it is.

    Raises:
        Refused: The text is no duration.
    """
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise Refused(key, f'{value!r} is no duration; write seconds, or "500ms", "10s", "5m"')
    return float(match[1]) * _UNITS[match[2]]


def convert(data: object, type_: type[T], what: str) -> T:
    """`data` as a `type_`.

    Args:
        data: What a JSON or TOML parser returned.
        type_: A msgspec Struct.
        what: The document's name for messages, such as "fault schedule".

    Raises:
        Refused: A key is unknown or its value out of bounds; the message names the key.
    """
    try:
        _finite(data, "")
        return msgspec.convert(data, type_)
    except msgspec.ValidationError as error:
        raise _explain(str(error), what, data) from None
    except RecursionError:
        raise Refused("", f"not a {what}: it is nested too deeply") from None


def read_file(path: Path) -> object:
    """The content of a .toml or .json file.

    Raises:
        Refused: The name ends otherwise, or the content does not parse.
        OSError: The file cannot be read.
    """
    if path.suffix not in {".toml", ".json"}:
        raise Refused("", f"{path.name}: expected a file that ends in .toml or .json")
    try:
        if path.suffix == ".toml":
            return msgspec.toml.decode(path.read_bytes())
        return parse_json(path.read_bytes())
    except ValueError as error:  # of which all the parsers' errors are
        raise Refused("", f"{path.name}: {error}") from None


def parse_json(raw: bytes) -> object:
    """What the JSON text says.

    Raises:
        Refused: It is no JSON, or nested too deeply.
    """
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("", f"not JSON: {error}") from None


def _explain(text: str, what: str, data: object) -> Refused:
    if unknown := _UNKNOWN.search(text):
        key = f"{unknown[2]}.{unknown[1]}" if unknown[2] else unknown[1]
        return Refused(key, f"no such key in a {what}; check the spelling, or leave it out")
    if at := _AT.search(text):
        value = _value(data, at[1])
        # Only numbers are shown: a text might be a key.
        got = f", got {value!r}" if isinstance(value, int | float) and ", got " not in text else ""
        return Refused(at[1], text[: at.start()] + got)
    return Refused("", f"not a {what}: {text}")


def _value(data: object, path: str) -> object:
    for name, index in _STEP.findall(path):
        if isinstance(data, dict):
            data = data.get(name)
        elif isinstance(data, list | tuple) and index:
            data = data[int(index)]
    return data


def _finite(data: object, path: str) -> None:
    """Refuse nan and inf, which TOML can write and no bound would catch."""
    if isinstance(data, float) and not math.isfinite(data):
        raise Refused(path, f"{data} is not a finite number")
    if isinstance(data, dict):
        for key, value in data.items():
            _finite(value, f"{path}.{key}" if path else str(key))
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            _finite(value, f"{path}[{index}]")
