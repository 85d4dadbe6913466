"""The laws of a configuration: it can run, serves a calm world, and survives what it could."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from understudy.config import KINDS, Config, check, endpoints, models_of
from understudy.config.files import read_table
from understudy.config.reading import parse as parse_config
from understudy_actors.dispatcher.strategies import BUILT_IN
from understudy_actors.domain import operation as operations
from understudy_actors.domain.errors import ConfigError
from understudy_sim.reading import Refused
from understudy_sim.run import Run
from understudy_sim.scenario import parse
from understudy_sim.testing.laws import LawBroken
from understudy_sim.testing.worlds import verify_scenario

VALID: Final = "a configuration can be read and run"
SERVES: Final = "in a calm world every request is answered"
SURVIVES: Final = "when one provider fails and another could serve, requests are answered"

SHARE_MIN: Final = 0.95
"""While one provider fails, at least this share of all requests must still be answered."""
FAILURES: Final[tuple[Mapping[str, Any], ...]] = (
    {"kind": "refuse"},
    {"kind": "status", "statuses": [500, 503]},
    {"kind": "rate_limit", "retry_after": "missing"},
    {"kind": "auth"},
    {"kind": "hang"},
)
"""What is tried on each provider in turn, for a minute of two."""
_OPERATION: Final = operations.CHAT
_LOCAL: Final = "local"


def verify_config(source: str | Path | Mapping[str, Any], *, seeds: Sequence[int] = (1,)) -> None:
    """Verify a configuration: a file's path, or a table of the same shape.

        verify_config("understudy.toml")

    Its providers are simulated under their own names, models, weights and priorities; no key is
    read and nothing is sent. Chat requests come at one a second. Functions and kinds of provider
    of your own are simulated as if they spoke OpenAI's wire.

    Raises:
        LawBroken: The message names the law.
    """
    name = f"configuration {source}" if isinstance(source, str | Path) else "the configuration"
    table, config = _read(source, name)
    for seed in seeds:
        for failing, fault, document in _documents(table, config, seed):
            try:
                scenario = parse(document)
            except Refused as error:
                raise LawBroken(name, VALID, str(error)) from None
            (ran,) = verify_scenario(scenario, subject=name)
            _verify_served(name, ran, failing, fault)


def _read(source: str | Path | Mapping[str, Any], name: str) -> tuple[dict[str, Any], Config]:
    try:
        table = dict(source) if isinstance(source, Mapping) else read_table(Path(source))
        config = parse_config(table)
        check(config, strategies=BUILT_IN)
    except ConfigError as error:
        raise LawBroken(name, VALID, str(error)) from None
    return table, config


def _documents(
    table: Mapping[str, Any], config: Config, seed: int
) -> Iterator[tuple[str | None, str, dict[str, Any]]]:
    """The calm world, then one for each provider and failure that somebody else could cover."""
    serving = [
        each.provider
        for each in endpoints(config)
        if each.enabled and _OPERATION in each.operations and not each.degraded
    ]
    if not serving:
        return
    yield None, "", _document(table, config, (), seed)
    able = list(dict.fromkeys(serving))
    for failing in able if len(able) > 1 and config.fallback else ():
        for fault in FAILURES:
            hit = {**fault, "from": 30, "for": 60, "selector": {"provider": failing}}
            yield failing, fault["kind"], _document(table, config, (hit,), seed)


def _document(
    table: Mapping[str, Any], config: Config, faults: Sequence[Mapping[str, Any]], seed: int
) -> dict[str, Any]:
    engine = {k: v for k, v in table.items() if k not in ("functions", "log")}
    own = table.get("providers") or {}
    engine["providers"] = {
        name: {k: v for k, v in entry.items() if k not in ("function", "health_check", "region")}
        for name, entry in own.items()
        if isinstance(entry, Mapping)
    }
    return {
        "name": "verify-config",
        "seed": seed,
        "horizon": 120,
        "clients": [{"name": "web", "arrivals": {"kind": "steady", "rate": 1}}],
        "fleet": list(_fleet(config)),
        "faults": [dict(each) for each in faults],
        "engine": engine,
    }


def _fleet(config: Config) -> Iterator[dict[str, Any]]:
    for name, provider in config.providers.items():
        kind = KINDS.get(provider.kind or name)
        if kind is not None and kind.name == _LOCAL:
            continue
        models = [each.name for each in models_of(name, provider)] or ["default"]
        wire = "anthropic" if kind is not None and kind.adapter == "anthropic" else "openai"
        yield {"name": name, "wire": wire, "models": list(dict.fromkeys(models))}


def _verify_served(name: str, ran: Run, failing: str | None, fault: str) -> None:
    lost = [each for each in ran.requests if not each.ok]
    if len(lost) <= (1 - SHARE_MIN if failing else 0.0) * len(ran.requests):
        return
    why = ", ".join(sorted({each.status for each in lost}))
    told = f"{len(lost)} of {len(ran.requests)} requests were not answered ({why})"
    if failing is None:
        raise LawBroken(name, SERVES, f"With nothing wrong {told}.")
    raise LawBroken(name, SURVIVES, f"While {failing} failed ({fault}) for a minute, {told}.")
