"""Settings from the environment: an explicit configuration wins over them, they over presets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, get_args, get_type_hints

from msgspec import Struct

from understudy.config.faults import BadKey, bad_value
from understudy.config.presets import layered
from understudy.config.sections import LogConfig
from understudy.config.values import DURATION, parse_duration

CONFIG: Final = "UNDERSTUDY_CONFIG"
_ON: Final = frozenset({"1", "on", "true", "yes"})
_OFF: Final = frozenset({"0", "off", "false", "no"})
_LEVELS: Final = get_args(get_type_hints(LogConfig)["level"])


class Variable(Struct, frozen=True):
    """One environment variable.

    Attributes:
        name: As it is set.
        values: What it may be set to.
        meaning: What it does, in one sentence.
        key: The key of the configuration that wins over it.
        read: From its text to a piece of configuration; raises `BadKey`. None: not a setting.
    """

    name: str
    values: str
    meaning: str
    key: str
    read: Callable[[str], Mapping[str, Any]] | None = None


def _flag(key: str) -> Callable[[str], Mapping[str, Any]]:
    return lambda text: {key: _is_on(text)}


def _is_on(text: str) -> bool:
    folded = text.casefold()
    if folded not in _ON | _OFF:
        raise bad_value(text, "on or off")
    return folded in _ON


def _cheap(text: str) -> Mapping[str, Any]:
    return {"strategy": "cheapest"} if _is_on(text) else {}


def _unhealthy_ttl(text: str) -> Mapping[str, Any]:
    if not 0 < parse_duration(text) <= 366 * 86_400:
        raise bad_value(text, f"{DURATION}, more than 0 and at most a year")
    return {"breaker": {"preset": "expire", "cooldown": text}}


def _level(text: str) -> Mapping[str, Any]:
    folded = text.casefold()
    if folded not in _LEVELS:
        raise bad_value(text, f"one of {', '.join(_LEVELS)}", _LEVELS)
    return {"log": {"level": folded}}


VARIABLES: Final = (
    Variable(CONFIG, "a path", "The configuration to load when none is named.", ""),
    Variable(
        "UNDERSTUDY_FALLBACK",
        "on, off",
        "Whether further providers are asked when the first fails.",
        "fallback",
        _flag("fallback"),
    ),
    Variable(
        "UNDERSTUDY_UNHEALTHY_TTL",
        "a duration such as 300s",
        "Opens a breaker after 3 failures in a row, for this long.",
        "breaker",
        _unhealthy_ttl,
    ),
    Variable(
        "UNDERSTUDY_PREFER_CHEAP",
        "on, off",
        "Whether the strategy is `cheapest`; UNDERSTUDY_STRATEGY wins over it.",
        "strategy",
        _cheap,
    ),
    Variable(
        "UNDERSTUDY_STRATEGY",
        "a strategy's name",
        "The engine's strategy.",
        "strategy",
        lambda text: {"strategy": text},
    ),
    Variable(
        "UNDERSTUDY_MONITORING",
        "on, off",
        "Whether there are health checks, log lines and explain records.",
        "monitoring",
        _flag("monitoring"),
    ),
    Variable(
        "UNDERSTUDY_LOG_LEVEL",
        ", ".join(_LEVELS),
        "The least important log lines.",
        "log.level",
        _level,
    ),
)
"""Every variable that is read, in the order in which they are applied; for documentation too."""


def settings(environ: Mapping[str, str], *, strategies: Collection[str] = ()) -> dict[str, Any]:
    """The piece of configuration that the environment stands for; an empty value is none.

    Args:
        strategies: The names of all strategies, to check against; empty checks nothing.

    Raises:
        ConfigError: A value is wrong; it names the variable.
    """
    found: dict[str, Any] = {}
    for each in VARIABLES:
        if text := environ.get(each.name, "").strip():
            found = layered(found, _read(each, text))
    chosen = found.get("strategy")
    if strategies and chosen is not None and chosen not in strategies:
        name = (
            "UNDERSTUDY_STRATEGY"
            if environ.get("UNDERSTUDY_STRATEGY")
            else "UNDERSTUDY_PREFER_CHEAP"
        )
        raise bad_value(chosen, f"one of {', '.join(sorted(strategies))}", strategies).under(name)
    return found


def _read(variable: Variable, text: str) -> Mapping[str, Any]:
    try:
        return variable.read(text) if variable.read else {}
    except BadKey as fault:
        raise fault.under(variable.name) from None
