"""Presets: values for a purpose. Whatever a configuration says itself wins over them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "development": {
            "deadline": "30s",
            "max_attempts": 2,
            "retry": {"attempts": 1, "cap": "2s"},
            "breaker": {"preset": "classic", "trip_after": 3, "cooldown": "10s"},
            "log": {"level": "debug", "format": "console"},
        },
        "production": {
            "deadline": "120s",
            "max_attempts": 5,
            "log": {"level": "info", "format": "json"},
        },
    }
)
"""development: conservative, so that mistakes show early and cost little; production: robust."""

ATOMIC: Final = frozenset({"breaker"})
"""Sections that are taken whole: half of one breaker and half of another would be a third one."""


def layered(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """One table out of several; later ones win, key by key within sections."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = result.get(key)
            if isinstance(below, Mapping) and isinstance(value, Mapping) and key not in ATOMIC:
                result[key] = layered(below, value)
            elif value is not None:  # None is a key without a value: not written
                result[key] = value
    return result
