"""Keys while no engine runs: in a store that nobody else writes meanwhile, or without any store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import msgspec

from understudy.config import Config
from understudy.config.redact import plain_table
from understudy.config.terms import KeyTerms
from understudy.keys.keys import Keys
from understudy.keys.opening import configured
from understudy.keys.ring import STATE, KeyRecord, Ring
from understudy.keys.token import Hashed
from understudy.store.opening import database_of, url_of
from understudy_actors.domain.errors import StoreFailed
from understudy_actors.keeper.batch import Batch, Saved


def stored(saved: Saved) -> list[KeyRecord]:
    """The keys in a store.

    Raises:
        StoreFailed: One of them cannot be read.
    """
    return [_read(key, state) for key, state in saved.states.items() if key.startswith(STATE)]


def look(config: Config, environ: Mapping[str, str]) -> Ring:
    """Every key that an engine of this configuration would know, while another one may run.

    Raises:
        StoreFailed: The store cannot be read; one that is not there yet has no keys.
    """
    from understudy.store.reading import exists, look_into

    if config.store is None or not exists(url := url_of(config.store, environ)):
        return Ring(configured(config))
    return Ring([*stored(look_into(url)), *configured(config)])


@contextmanager
def writing(
    config: Config,
    environ: Mapping[str, str],
    wall: Callable[[], float],
    entropy: Callable[[int], bytes],
) -> Iterator[Keys]:
    """The keys of a configuration's store, to be changed; nobody else writes it meanwhile.

    Raises:
        ConfigError: There is no store.
        StoreFailed: It cannot be opened, or an engine has it.
    """
    keys = Keys(Ring(), wall, entropy, lambda *_: None)
    if config.store is None:
        yield keys
        return
    database = database_of(config.store, environ)
    try:
        saved = database.load(wall())
        number = saved.number
        keys.ring = ring = Ring([*stored(saved), *configured(config)])

        async def kept() -> bool:
            nonlocal number
            changes = ring.gather(wall())
            if changes is not None:
                number += 1
                database.commit(Batch(number, wall(), changes.states))
            return True

        keys.kept = kept
        yield keys
    finally:
        database.close()


def snippet(name: str, hashed: Hashed, terms: KeyTerms, expires: str | None) -> str:
    """A key as it stands in a configuration file, in TOML."""
    table = {"key_hash": str(hashed), **plain_table(terms)}
    if expires is not None:
        table["expires"] = expires
    budgets = [str(each) for each in terms.budgets]
    table |= {"budgets": budgets}
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if value != []]
    return "\n".join([f"[gateway.keys.{name}]", *lines])


def _read(key: str, state: bytes) -> KeyRecord:
    try:
        return msgspec.msgpack.decode(state, type=KeyRecord)
    except msgspec.MsgspecError as error:
        raise StoreFailed(
            f"the store holds a state {key!r} that cannot be read ({error}): restore it from a copy"
        ) from None
