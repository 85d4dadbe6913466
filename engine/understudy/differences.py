"""What differs between two configurations, by the paths of keys: no value is ever told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from understudy.config import Config, redacted
from understudy.config.faults import BadKey, show
from understudy.design import Design
from understudy_actors.domain.errors import ConfigError

PATHS_MAX: Final = 100
"""So many paths are told at most."""
FIXED: Final = ("store", "time_zone", "accounts", "monitoring", "log", "http", "alerts", "otel")
"""What an engine keeps from its start to its end."""


class Reloaded(Struct, frozen=True, kw_only=True):
    """What a reload changed.

    Attributes:
        generation: Of the configuration that serves now; it counts them from 0.
        changed: Paths of the keys that say something else now, a key or header whose value is
            another one included; at most 100, then how many more.
        added, removed: Providers.
        running: Requests that were accepted under earlier configurations, and end under those.
    """

    generation: int
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    running: int = 0


def refuse_fixed(before: Config, after: Config) -> None:
    """Refuse a configuration that wants something else of what cannot change.

    Raises:
        ConfigError: Names every such key, what it is, and what it was to become.
    """
    was, wanted = redacted(before), redacted(after)
    found = [
        BadKey(f"cannot change while the engine runs, from {old} to {new}: restart to change it", p)
        for key in FIXED
        for p, old, new in _differing(key, was.get(key), wanted.get(key))
    ]
    if len(found) == 1:
        raise found[0]
    if found:
        raise ConfigError("\n".join(str(each) for each in found))


def changes(before: Design, after: Design) -> tuple[str, ...]:
    """The paths of the keys that say something else."""
    was, wanted = redacted(before.config), redacted(after.config)
    paths = [
        path
        for key in {**was, **wanted}
        for path, _, _ in _differing(key, was.get(key), wanted.get(key))
    ]
    paths += [path for path in _rotated(before, after) if path not in paths]
    if len(paths) > PATHS_MAX:
        return (*paths[:PATHS_MAX], f"and {len(paths) - PATHS_MAX} more")
    return tuple(paths)


def _rotated(before: Design, after: Design) -> Iterator[str]:
    """Keys, headers and functions that are other ones under the same words."""
    for name, target in after.targets.items():
        was, provider = before.targets.get(name), f"providers.{target.provider}"
        if was is None:
            continue
        if was.key != target.key:
            yield f"{provider}.key"
        if was.headers != target.headers:
            yield f"{provider}.headers"
    for name, config in after.config.providers.items():
        known = before.config.providers.get(name)
        if known is not None and known.function is not config.function:
            yield f"providers.{name}.function"


def _differing(path: str, was: Any, wanted: Any) -> Iterator[tuple[str, str, str]]:
    if was == wanted:
        return
    if isinstance(was, Mapping) and isinstance(wanted, Mapping):
        for key in {**was, **wanted}:
            yield from _differing(f"{path}.{key}", was.get(key), wanted.get(key))
    else:
        yield path, _shown(was), _shown(wanted)


def _shown(value: Any) -> str:
    return "nothing" if value is None else show(value)
