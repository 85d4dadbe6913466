"""One process's share of a configuration: of every limit, every budget and every quota.

Shares are whole and add up: what several processes may do together is what the configuration says.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from understudy.config.faults import BadKey
from understudy.config.price import QuotaConfig
from understudy.config.schema import Config
from understudy.config.section import Section, keys_of
from understudy.config.sections import ConcurrencyConfig

COUNTS: Final = frozenset(
    {
        "requests_per_minute", "tokens_per_minute", "input_tokens_per_minute",
        "output_tokens_per_minute", "parallel", "concurrent_max",
    }
)  # fmt: skip
"""Keys of whole numbers that are shared, wherever they stand."""
WORKER: Final = "{worker}"
"""What stands for a worker's number in `store.path`."""
_MICRO: Final = 1_000_000
_USUAL: Final = ConcurrencyConfig()


def share(config: Config, worker: int, workers: int) -> Config:
    """What the worker of this number (1, 2, ...) may do.

    Raises:
        ConfigError: A limit is less than one for each, or they would write one store.
    """
    made: Config = _section(config, worker, workers, "")
    store = config.store
    if store is None:
        return made
    if store.path is None or WORKER not in store.path:
        raise BadKey(
            f"is one place, and a store has one writer: write `{WORKER}` into `store.path`, as in "
            f'"understudy-{WORKER}.db", so that each worker has a file of its own',
            "store",
        )
    own = replace(store, path=store.path.replace(WORKER, str(worker)))
    return replace(made, store=own)


def piece(total: int, worker: int, workers: int) -> int:
    """A whole share; the first ones have what cannot be divided."""
    return total // workers + (worker <= total % workers)


def _section(section: Any, worker: int, workers: int, path: str) -> Any:
    changes: dict[str, Any] = {}
    kind: type[Section] = type(section)
    for each in keys_of(kind):
        value = getattr(section, each.name)
        inner = f"{path}.{each.encode_name}" if path else each.encode_name
        shared = _value(section, each.name, value, worker, workers, inner)
        if shared is not value:
            changes[each.name] = shared
    return replace(section, **changes) if changes else section


def _value(section: Any, name: str, value: Any, worker: int, workers: int, path: str) -> Any:
    if value is None or value == () or value == {}:
        return value
    if name in COUNTS or (isinstance(section, QuotaConfig) and name == "requests"):
        return _whole(value, worker, workers, path)
    if isinstance(section, ConcurrencyConfig) and section != _USUAL and name in ("initial", "max"):
        return _whole(value, worker, workers, path)
    if name == "usd" and isinstance(value, float | int):
        return piece(round(value * _MICRO), worker, workers) / _MICRO
    if isinstance(value, Section):
        return _section(value, worker, workers, path)
    if isinstance(value, tuple) and isinstance(value[0], Section):
        made = (_section(e, worker, workers, f"{path}[{at}]") for at, e in enumerate(value))
        return tuple(made)
    if isinstance(value, dict):
        return {
            key: _section(e, worker, workers, f"{path}.{key}") if isinstance(e, Section) else e
            for key, e in value.items()
        }
    return value


def _whole(total: int, worker: int, workers: int, path: str) -> int:
    if total < workers:
        raise BadKey(f"is {total}: too few for {workers} workers, each must have one", path)
    return piece(total, worker, workers)
