"""`--set key=value`: one value of a scenario's document, changed from the command line.

engine.strategy=cheapest    fleet.alpha.capacity=4    clients.web.arrivals.rate=50
faults.0.for=10m            engine.breaker.cooldown=20s
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from understudy_sim.reading import Refused
from understudy_sim.scenario import Scenario, parse


def with_settings(scenario: Scenario, settings: Iterable[str]) -> Scenario:
    """The scenario with each `key=value` put in its place.

    Args:
        scenario: It stays as it is.
        settings: Keys with dots; an entry of a list goes by its name or its place, from 0. Values
            are TOML, or else texts.

    Raises:
        Refused: There is no such place, or the value does not fit there.
    """
    document = full(scenario)
    for each in settings:
        key, equals, value = each.partition("=")
        if not equals or not key.strip():
            raise Refused("", f"--set {each!r}: write key=value, such as engine.strategy=cheapest")
        _put(document, _steps(key.strip()), _value(value.strip()))
    return parse(document)


def full(value: object) -> Any:
    """A struct as a table with all that is in force; what is None is left out."""
    if isinstance(value, tuple | list):
        return [full(each) for each in value]
    if not isinstance(value, Struct):
        return copy.deepcopy(value)
    table: dict[str, Any] = {}
    if isinstance(tag := value.__struct_config__.tag, str):
        table["kind"] = tag
    for known in msgspec.structs.fields(value):
        if (given := getattr(value, known.name)) is not None:
            table[known.encode_name] = full(given)
    return table


def _steps(key: str) -> list[str]:
    """The steps of a key, which is written as in TOML: `providers."a.b".weight`."""
    try:
        at: Any = tomllib.loads(f"{key} = true")
    except tomllib.TOMLDecodeError:
        raise Refused("", f"--set {key!r}: no key; write it like engine.strategy") from None
    steps: list[str] = []
    while isinstance(at, dict):
        ((step, at),) = at.items()
        steps.append(step)
    return steps


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(document: Any, steps: list[str], value: Any) -> None:
    at = document
    for place, step in enumerate(steps[:-1]):
        path = ".".join(steps[: place + 1])
        if isinstance(at, list):
            at = at[_place(at, step, path)]
        elif isinstance(at, dict):
            at = at.setdefault(step, {})
        else:
            break
    last, path = steps[-1], ".".join(steps)
    if isinstance(at, list):
        at[_place(at, last, path)] = value
    elif isinstance(at, dict):
        at[last] = value
        if last == "for":
            at.pop("until", None)  # the two say the same thing
    else:
        raise Refused(path, "there is no such key: a single value stands above it")


def _place(entries: list[Any], step: str, path: str) -> int:
    names = [each.get("name") if isinstance(each, dict) else None for each in entries]
    if step in names:
        return names.index(step)
    if step.isdecimal() and int(step) < len(entries):
        return int(step)
    known = ", ".join(str(name or at) for at, name in enumerate(names)) or "none"
    raise Refused(path, f"there is no {step!r}; there is {known}")
