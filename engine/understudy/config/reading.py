"""The doors of configuration: from a file, a dict or keywords to a `Config` that is checked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from understudy.config.environment import CONFIG, settings
from understudy.config.faults import BadKey, bad_value
from understudy.config.files import read_table
from understudy.config.presets import PRESETS, layered
from understudy.config.schema import Config
from understudy_actors.domain.errors import ConfigError

NO_ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType({})
Functions: TypeAlias = Mapping[str, Callable[..., Any]]


def load(
    path: str | Path,
    *,
    environ: Mapping[str, str] = NO_ENVIRONMENT,
    functions: Functions | None = None,
    strategies: Collection[str] = (),
) -> Config:
    """Read a TOML, YAML or JSON file.

    Args:
        path: The file; its ending names the language.
        environ: Settings that apply where the file says nothing (see `environment.VARIABLES`).
        functions: The user's own functions as providers, by name.
        strategies: Names of all strategies, to check `environ` against; empty checks nothing.

    Raises:
        ConfigError: The file cannot be read, or a key in it is wrong; it names file and key.
    """
    place = Path(path)
    table = read_table(place)
    try:
        return parse(table, environ=environ, functions=functions, strategies=strategies)
    except BadKey as fault:
        raise InFile(place, fault) from None


def parse(
    table: Mapping[str, Any],
    *,
    environ: Mapping[str, str] = NO_ENVIRONMENT,
    functions: Functions | None = None,
    strategies: Collection[str] = (),
) -> Config:
    """Read a dict of the same shape as a file. Its keys win over `environ`, that over the preset.

    Raises:
        ConfigError: A key is wrong; it names the key, its value, and what would be right.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"a configuration must be a table, not a {type(table).__name__}")
    explicit = dict(table)
    if functions:
        explicit["functions"] = {**(explicit.get("functions") or {}), **functions}
    preset = _preset(explicit.pop("preset", None))
    return Config.read(layered(preset, settings(environ, strategies=strategies), explicit))


def from_keywords(*, environ: Mapping[str, str] = NO_ENVIRONMENT, **keys: Any) -> Config:
    """Build a configuration in code: `from_keywords(deadline="30s", providers={...})`.

    Keys and values are those of a file. `Config(...)` itself takes them too, under the names of its
    attributes (`deadline_s`), and knows no presets and no environment.

    Raises:
        ConfigError: A key is wrong.
    """
    return parse(keys, environ=environ)


def find(
    source: str | Path | Mapping[str, Any] | Config | None,
    environ: Mapping[str, str],
    *,
    functions: Functions | None = None,
    strategies: Collection[str] = (),
) -> Config | None:
    """What an engine was given: a path, a dict or a `Config`; else the file in UNDERSTUDY_CONFIG.

    None means that there is neither: see `discovery`.

    Raises:
        ConfigError: It cannot be read or a key is wrong.
    """
    if isinstance(source, Config):
        if not functions:
            return source
        return Config(**{**_fields(source), "functions": {**source.functions, **functions}})
    if isinstance(source, Mapping):
        return parse(source, environ=environ, functions=functions, strategies=strategies)
    place = source or environ.get(CONFIG, "").strip()
    if not place:
        return None
    return load(place, environ=environ, functions=functions, strategies=strategies)


class InFile(BadKey):
    """A fault of one key, with the file it stands in in front."""

    def __init__(self, place: Path, fault: BadKey) -> None:
        ConfigError.__init__(self, f"{place}: {fault}")
        self.path = fault.path
        self.problem = fault.problem


def _preset(name: object) -> Mapping[str, Any]:
    if name is None:
        return {}
    if not isinstance(name, str) or name not in PRESETS:
        raise bad_value(name, f"one of {', '.join(PRESETS)}", PRESETS).under("preset")
    return PRESETS[name]


def _fields(config: Config) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__struct_fields__}
