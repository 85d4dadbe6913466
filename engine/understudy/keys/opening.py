"""The keys of an engine that opens: those of its configuration, and those that its store kept."""

from __future__ import annotations

from functools import partial

from understudy.config import Config
from understudy.keys.keys import Keys
from understudy.keys.ring import STATE, KeyRecord, Ring
from understudy.keys.scopes import Scopes
from understudy.keys.token import read_hash
from understudy.ports import Ports
from understudy.routing.durable import PATIENCE_S, when_kept
from understudy.store.keeping import Keeping
from understudy_actors.domain.errors import ConfigError


def configured(config: Config) -> list[KeyRecord]:
    """The keys of a configuration."""
    return [
        KeyRecord(
            name=name,
            hashes=() if each.key_hash is None else (read_hash(each.key_hash),),
            terms=each,
            created_at=0.0,
            expires_at=each.expires_at,
            configured=True,
        )
        for name, each in config.gateway.keys.items()
    ]


def ring_of(config: Config, keeping: Keeping | None, wall: float) -> Ring:
    """All keys, as of `wall` (Unix seconds).

    Raises:
        StoreFailed: What an earlier process kept cannot be read.
        ConfigError: A name is both a key's of the configuration and one's of the store.
    """
    kept = Ring([] if keeping is None else keeping.every(STATE, KeyRecord))
    check_names(config, kept, wall)
    return Ring([*kept.records.values(), *configured(config)])


def check_names(config: Config, ring: Ring, wall: float) -> None:
    """Refuse a configuration whose keys are called like others that are good.

    Raises:
        ConfigError: A name is both a key's of the configuration and one's of the store.
    """
    for name in config.gateway.keys:
        known = ring.records.get(name)
        if known is not None and not known.configured and not known.over(wall):
            raise ConfigError(
                f"`gateway.keys.{name}` is also a key that the store keeps: rename it, or "
                f"take it out and `understudy keys revoke {name}`"
            )


def follow(keys: Keys, config: Config) -> None:
    """Have the keys of another configuration from now on, beside those that were made."""
    for record in [*keys.ring.records.values()]:
        if record.configured and record.name not in config.gateway.keys:
            keys.ring.drop(record.name)
    for record in configured(config):
        keys.ring.add(record)


def keys_of(ring: Ring, scopes: Scopes, ports: Ports, keeping: Keeping | None) -> Keys:
    """What manages them."""
    keys = Keys(
        ring,
        ports.clock.wall,
        ports.entropy,
        scopes.set,
    )
    if keeping is not None:
        ring.stir = keeping.desk.stirred
        keeping.add(ring)
        keys.kept = partial(_kept, keeping, ports)
    return keys


async def _kept(keeping: Keeping, ports: Ports) -> bool:
    return await when_kept(keeping.keeper, ports.clock.now() + PATIENCE_S)
