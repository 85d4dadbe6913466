"""The store that a configuration names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from understudy.config.store import StoreConfig
from understudy.store.port import Store
from understudy_actors.domain.errors import ConfigError
from understudy_actors.runtime.ports import Clock

if TYPE_CHECKING:
    from sqlalchemy import URL

    from understudy.store.database import Database


def store_of(config: StoreConfig, environ: Mapping[str, str], clock: Clock) -> Store:
    """The store, not opened yet.

    Raises:
        ConfigError: The extra `store` is not installed, or the URL cannot be read.
    """
    database = database_of(config, environ)
    from understudy.store.threaded import AsyncDatabase

    return AsyncDatabase(database, clock)


def database_of(config: StoreConfig, environ: Mapping[str, str]) -> Database:
    """The database itself, not opened yet; only who configures a store pays for the import."""
    url = url_of(config, environ)
    from understudy.store.database import Database

    return Database(url, retention_s=config.retention_s)


def url_of(config: StoreConfig, environ: Mapping[str, str]) -> URL:
    """Where the store is.

    Raises:
        ConfigError: The extra `store` is not installed, or the URL cannot be read.
    """
    try:
        from understudy.store.address import of_file, of_url
    except ImportError as error:
        raise ConfigError(
            f"store: needs the package {error.name}: pip install 'understudy[store]'"
        ) from None
    if config.url is not None:
        return of_url(config.url.resolve(environ, "store.url"))
    return of_file(config.path or "")
