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
from understudy.routing.wiring import Wiring
from understudy.store.keeping import Keeping
from understudy_actors.domain.errors import ConfigError
from understudy_actors.runtime.supervisor import Supervisor


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
    kept = [] if keeping is None else keeping.every(STATE, KeyRecord)
    for record in kept:
        if record.name in config.gateway.keys and not record.over(wall):
            raise ConfigError(
                f"`gateway.keys.{record.name}` is also a key that the store keeps: rename it, or "
                f"take it out and `understudy keys revoke {record.name}`"
            )
    return Ring([*kept, *configured(config)])


def keys_of(
    config: Config,
    ring: Ring,
    wiring: Wiring,
    supervisor: Supervisor,
    ports: Ports,
    keeping: Keeping | None,
) -> Keys:
    """What manages them."""
    scopes = Scopes(config, wiring, supervisor, ports.clock, keeping)
    keys = Keys(
        ring,
        ports.clock.wall,
        ports.entropy,
        scopes.set,
        taken=frozenset(config.gateway.keys),
    )
    if keeping is not None:
        ring.stir = keeping.desk.stirred
        keeping.add(ring)
        keys.kept = partial(_kept, keeping, ports)
    return keys


async def _kept(keeping: Keeping, ports: Ports) -> bool:
    return await when_kept(keeping.keeper, ports.clock.now() + PATIENCE_S)
