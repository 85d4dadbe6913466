"""The scenario document: everything that a simulated run is a function of.

TOML for people, canonical JSON with a content hash for machines. The seed is part of the document,
and every random value of a run is keyed by it and by what it is for, so that leaving out a request
or a fault changes none of the rest.

    name = "primary-outage"
    horizon = "5m"

    [[clients]]
    name = "web"
    arrivals = {kind = "poisson", rate = 20}

    [[fleet]]
    name = "alpha"

    [[faults]]
    kind = "refuse"
    from = "1m"
    for = "2m"
    selector = {provider = "alpha"}

    [engine]
    strategy = "priority"
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec
from msgspec import Meta, Struct, field

from understudy.config import Config
from understudy.config.files import read_table
from understudy.config.reading import parse as parse_config
from understudy_actors.domain.errors import ConfigError
from understudy_sim import arrivals, fleet, workload
from understudy_sim.control import PolicyName
from understudy_sim.fault_kinds import KINDS, WORLD_KINDS, Fault, Seed, WorldFault
from understudy_sim.faults import bare, plain_fault
from understudy_sim.fleet import Provider, engine_table
from understudy_sim.reading import Refused, convert, duration_s, read_file
from understudy_sim.workload import Client

AnyFault: TypeAlias = Fault | WorldFault
ALL_KINDS: Final = (*KINDS, *WORLD_KINDS)

_LIBRARY: Final = Path(__file__).parent / "scenarios"
_SHORT: Final = frozenset({"latency", "prompt_tokens", "output_tokens", "think", "after", "wait"})
"""Keys of distributions: a bare value there is a fixed one."""
_IN_DISTRIBUTIONS: Final = frozenset({"value", "median", "values"})


class Scheduling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How tasks that could run at the same moment are ordered.

    Attributes:
        policy: `fifo` as they came; `shuffle` and `pct` draw from the seed, as does `stress`, which
            lets one task run ahead of others as trio does not do today.
        quantum_s: Times are rounded up to multiples of it, so that there are such moments; 0 for
            exact times. Powers of two are exact.
        replies_first: Whether an answer beats a time limit that ends at the same moment.
    """

    policy: PolicyName = "fifo"
    quantum_s: Annotated[float, Meta(ge=0.0, le=1.0)] = field(default=0.0, name="quantum")
    replies_first: bool = False

    def __post_init__(self) -> None:
        if self.quantum_s and math.frexp(self.quantum_s)[0] != 0.5:
            raise ValueError(
                f"the quantum {self.quantum_s!r} s is no power of two; take 0.0078125, or 0"
            )


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One scenario. `parse` and `load` make it; see the module for the form of the document.

    Attributes:
        name: What it is called.
        description: What happens in it, and what should come of that.
        seed: The root of every random value.
        starts_at: The time on the wall at its start, with its offset; 2026-01-01T00:00:00Z if left
            out.
        horizon_s: No request begins later; those under way are seen through.
        clients: Who asks.
        fleet: Who may answer, in the order in which the engine knows them.
        faults: What goes wrong, in order of precedence.
        schedule: How tasks are ordered.
        engine: The engine's configuration, as in its file; the fleet's entries are filled in.
    """

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    horizon_s: Annotated[float, Meta(gt=0.0, le=1e7)] = field(name="horizon")
    clients: Annotated[tuple[Client, ...], Meta(min_length=1, max_length=1000)]
    fleet: Annotated[tuple[Provider, ...], Meta(min_length=1, max_length=1000)]
    description: str = ""
    starts_at: Annotated[datetime, Meta(tz=True)] | None = None
    seed: Seed = 0
    faults: Annotated[tuple[AnyFault, ...], Meta(max_length=1000)] = ()
    schedule: Scheduling = Scheduling()
    engine: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, names in (
            ("clients", [each.name for each in self.clients]),
            ("providers", [each.name for each in self.fleet]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"two {what} are called {twice[0]!r}; give each a name of its own")

    @property
    def engine_table(self) -> dict[str, Any]:
        """The engine's configuration with the fleet's entries. Raises `Refused`."""
        return engine_table(self.fleet, self.engine)

    @property
    def config(self) -> Config:
        """The same as the engine reads it. Raises `ConfigError`."""
        return parse_config(self.engine_table)

    @property
    def content_hash(self) -> str:
        """32 hexadecimal digits that change with anything in the document."""
        return blake2b(canonical_json(self), digest_size=16).hexdigest()


def parse(data: object, folder: Path | None = None) -> Scenario:
    """A scenario from what a TOML or JSON parser returned.

    Args:
        data: A table; its `engine` may be the path of a configuration file.
        folder: What such a path is relative to.

    Raises:
        Refused: The message names the key.
    """
    if isinstance(data, Scenario):
        return data
    if isinstance(data, Mapping):
        data = _plain(data, folder)
    scenario = convert(data, Scenario, "scenario")
    _check_selectors(scenario)
    try:
        _ = scenario.config
    except ConfigError as error:
        raise Refused("engine", str(error)) from None
    return scenario


def load(source: str | Path) -> Scenario:
    """A scenario of the library by name, or from a .toml or .json file.

    Raises:
        Refused: The message names the key, or the names that there are.
        OSError: The file cannot be read.
    """
    path = Path(source)
    if not path.suffix:
        path = _LIBRARY / f"{source}.toml"
        if str(source) not in names():
            known = ", ".join(names())
            raise Refused("", f"there is no scenario {str(source)!r}; use a file, or {known}")
    return parse(read_file(path), path.parent)


def names() -> list[str]:
    """The scenarios of the library."""
    return sorted(path.stem for path in _LIBRARY.glob("*.toml"))


def canonical_json(scenario: Scenario) -> bytes:
    """The one JSON text of a scenario: sorted keys, seconds, no defaults."""
    return msgspec.json.encode(bare(scenario), order="sorted")


def from_json(text: bytes | str) -> Scenario:
    """The scenario of a canonical (or any other) JSON text.

    Raises:
        Refused: The message names the key.
    """
    try:
        return parse(msgspec.json.decode(text))
    except msgspec.DecodeError as error:
        raise Refused("", f"not JSON: {error}") from None


def _plain(data: Mapping[Any, Any], folder: Path | None) -> dict[Any, Any]:
    """The document with seconds for durations, long forms for short ones, and its engine inside."""
    plain = {
        key: value if key in ("engine", "faults") else _seconds(value, str(key), str(key))
        for key, value in data.items()
    }
    faults = data.get("faults")
    if isinstance(faults, list | tuple):
        plain["faults"] = [
            plain_fault(each, f"faults[{place}]", ALL_KINDS) for place, each in enumerate(faults)
        ]
    if "engine" in data:
        plain["engine"] = _ordered(_engine(data["engine"], folder))
    return plain


def _seconds(value: object, key: str, path: str) -> object:
    if isinstance(value, Mapping):
        return {k: _seconds(v, str(k), f"{path}.{k}") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_seconds(each, key, f"{path}[{place}]") for place, each in enumerate(value)]
    if key in _DURATIONS or key in _IN_DISTRIBUTIONS:
        return duration_s(value, path)
    if key in _SHORT and isinstance(value, int | float | str):
        return {"kind": "fixed", "value": duration_s(value, path)}
    return value


def _engine(value: object, folder: Path | None) -> object:
    if not isinstance(value, str):
        return value
    try:
        return read_table((folder or Path()) / value)
    except ConfigError as error:
        raise Refused("engine", str(error)) from None


def _ordered(value: object) -> object:
    """Tables with sorted keys: what a configuration means must not hang on who wrote it down."""
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [_ordered(each) for each in value]
    return value


def _check_selectors(scenario: Scenario) -> None:
    """A fault for nobody is a slip of the pen, not a scenario."""
    providers = {each.name for each in scenario.fleet}
    regions = {each.region for each in scenario.fleet if each.region is not None}
    models = {model for each in scenario.fleet for model in each.models}
    for place, fault in enumerate(scenario.faults):
        chosen = fault.selector
        for name, value, known in (
            ("provider", chosen.provider, providers),
            ("region", chosen.region, regions),
            ("model", chosen.model, models),
        ):
            if value is not None and value not in known:
                have = ", ".join(sorted(known)) or "none"
                key = f"faults[{place}].selector.{name}"
                raise Refused(key, f"the fleet has no {name} {value!r}; it has {have}")


def _structs() -> Iterator[type[Struct]]:
    modules = (arrivals, fleet, workload)
    found = itertools.chain.from_iterable(vars(module).values() for module in modules)
    yield from (cast(type[Struct], each) for each in found if _is_struct(each))
    yield from (Scheduling, Scenario)


def _is_struct(each: object) -> bool:
    return isinstance(each, type) and issubclass(each, Struct) and each is not Struct


_DURATIONS: Final = frozenset(
    known.encode_name
    for struct in _structs()
    for known in msgspec.structs.fields(struct)
    if known.name.endswith("_s") and known.encode_name != known.name
)
"""Keys whose values may be texts such as "10s": all that are written without their `_s`."""
