"""Where a store is: a file, or a database by URL, whose password is never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from understudy.config.faults import BadKey
from understudy.secret import Secret

_POSTGRES: Final = frozenset({"postgres", "postgresql", "postgresql+psycopg"})


def of_file(path: str) -> URL:
    """The address of a SQLite file."""
    return URL.create("sqlite+pysqlite", database=str(Path(path).expanduser().absolute()))


def of_url(secret: Secret) -> URL:
    """The address that a URL names.

    Raises:
        BadKey: It is no URL of Postgres; what it is instead is not shown.
    """
    try:
        url = make_url(secret.reveal())
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.drivername not in _POSTGRES:
        raise BadKey(
            "must be a URL such as postgresql://user:password@host/database (not shown here); "
            "for a SQLite file set `path`",
            "url",
        ).under("store")
    return url.set(drivername="postgresql+psycopg")


def shown(url: URL) -> str:
    """The address for people: without user, password and query."""
    if url.drivername.startswith("sqlite"):
        return url.database or ""
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{url.host or 'localhost'}{port}/{url.database or ''}"
