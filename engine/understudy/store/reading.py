"""A look into a store without owning it: nothing is written, and nobody who writes is disturbed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from understudy.store.address import shown
from understudy.store.migrations import VERSION, version_of
from understudy.store.schema import HEAD, STATE
from understudy.store.sums import read
from understudy_actors.domain.errors import StoreFailed
from understudy_actors.keeper.batch import Saved

BUSY_S: Final = 5.0
"""How long a look waits for a lock, and for a server."""


def exists(url: URL) -> bool:
    """Has anybody made it? A server's has whoever runs the server."""
    return not url.drivername.startswith("sqlite") or Path(url.database or "").is_file()


def look_into(url: URL) -> Saved:
    """Everything that a store holds, as of one moment.

    Raises:
        StoreFailed: There is none yet, or it cannot be read.
    """
    sqlite = url.drivername.startswith("sqlite")
    if not exists(url):
        raise StoreFailed(
            f"there is no store {shown(url)} yet: the first engine that is opened with this "
            "configuration makes it"
        )
    engine = _file(url) if sqlite else _server(url)
    try:
        with engine.connect() as connection, connection.begin():
            return _read(connection, shown(url))
    except SQLAlchemyError as error:
        why = str(error.orig) if isinstance(error, DBAPIError) else type(error).__name__
        raise StoreFailed(
            f"the store {shown(url)} cannot be read: {' '.join(why.split())[:300]}"
        ) from None
    finally:
        engine.dispose()


def _read(connection: Connection, name: str) -> Saved:
    found = version_of(connection)
    if found != VERSION:
        newer = "upgrade understudy" if found > VERSION else "open an engine on it once"
        raise StoreFailed(
            f"the store {name} has tables of version {found}, and this understudy reads those of "
            f"{VERSION}: {newer}"
        )
    number, seq = connection.execute(select(HEAD.c.batch, HEAD.c.seq)).one()
    rows = connection.execute(select(STATE)).all()
    states = {key: value for key, _, value in rows}
    return Saved(number, seq, states, {key: at for key, at, _ in rows}, read(connection))


def _file(url: URL) -> Engine:
    place = f"file:{quote(url.database or '')}"
    query = {"mode": "ro", "uri": "true"}
    read_only = url.set(database=place, query=query)
    engine = create_engine(
        read_only, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": BUSY_S}
    )
    event.listen(engine, "connect", _by_hand)
    event.listen(engine, "begin", _begin)
    return engine


def _server(url: URL) -> Engine:
    return create_engine(
        url,
        poolclass=NullPool,
        hide_parameters=True,
        isolation_level="REPEATABLE READ",
        connect_args={"connect_timeout": int(BUSY_S)},
        execution_options={"postgresql_readonly": True},
    )


def _by_hand(connection: Any, _record: Any) -> None:
    """Transactions are begun by us: all that is read is of one moment."""
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
