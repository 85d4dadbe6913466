"""A store in a database, by SQLAlchemy: one connection, used by one thread at a time.

SQLite runs with a write-ahead log, so that readers never wait for the writer, and every commit is
synced: a batch outlives not only the process but the machine. Postgres does as its server is
configured, which by default is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import URL, Connection, Engine, create_engine, delete, event, insert, select, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from understudy.store.address import shown
from understudy.store.lock import FileLock, StoreInUse
from understudy.store.migrations import migrate
from understudy.store.schema import HEAD, JOURNAL, STATE
from understudy.store.sums import add_up, forget, read
from understudy_actors.domain.errors import StoreFailed
from understudy_actors.keeper.batch import Batch, Saved

BUSY_S: Final = 5.0
"""How long a write waits for another connection's lock on a SQLite file."""
SWEEP_EVERY_S: Final = 60.0
"""How often the rows are deleted that the retention is over for."""
_LOCK: Final = 0x756E_6465_7273_7475
"""The key of the advisory lock by which an engine owns a Postgres database."""


class Database:
    """Blocks; `AsyncDatabase` keeps it off the event loop."""

    def __init__(self, url: URL, *, retention_s: float) -> None:
        """Nothing is opened yet.

        Args:
            url: See `address`.
            retention_s: For how long entries of the journal are kept, in seconds.
        """
        self.name = shown(url)
        self._url = url
        self._retention_s = retention_s
        self._sqlite = url.drivername.startswith("sqlite")
        self._lock = FileLock(Path(url.database or "")) if self._sqlite else None
        self._engine: Engine | None = None
        self._connection: Connection | None = None
        self._sweep_at = 0.0
        self._closed = False

    def load(self, wall: float) -> Saved:
        """Open it, bring its tables up to date, and read what it holds."""
        try:
            if self._lock is not None:
                self._lock.take()
            connection = self._open()
            with connection.begin():
                migrate(connection, wall)
                number, seq = connection.execute(select(HEAD.c.batch, HEAD.c.seq)).one()
                found = connection.execute(select(STATE)).all()
                sums = read(connection)
        except SQLAlchemyError as error:
            self.close()
            raise self._failed("opened", error) from None
        except BaseException:
            self.close()
            raise
        states = {key: value for key, _, value in found}
        return Saved(number, seq, states, {key: at for key, at, _ in found}, sums)

    def commit(self, batch: Batch) -> None:
        """Write a batch in one transaction."""
        if self._closed:
            raise StoreFailed(f"the store {self.name} is closed")
        try:
            connection = self._connection
            if connection is None or connection.closed or connection.invalidated:
                connection = self._open()
            with connection.begin():
                self._write(connection, batch)
        except SQLAlchemyError as error:
            if not self._sqlite and isinstance(error, DBAPIError) and error.connection_invalidated:
                self._drop()
            raise self._failed("written", error) from None

    def close(self) -> None:
        """Close it."""
        self._closed = True
        self._drop()
        if self._lock is not None:
            self._lock.release()

    def _write(self, connection: Connection, batch: Batch) -> None:
        number = batch.number
        seq = {HEAD.c.seq: batch.journal[-1].seq} if batch.journal else {}
        taken = connection.execute(
            update(HEAD).where(HEAD.c.batch == number - 1).values({HEAD.c.batch: number, **seq})
        )
        if taken.rowcount != 1:
            newest = connection.execute(select(HEAD.c.batch)).scalar_one()
            if newest == number:
                return  # its first try took effect, although nobody heard of it
            raise StoreFailed(
                f"the store {self.name} holds batch {newest}, and this engine's next one is "
                f"{number}: another process writes it. Stop one of the two, and start this one "
                "anew"
            )
        encode = msgspec.msgpack.encode
        changed = [
            {"key": key, "at": batch.at, "value": encode(state)}
            for key, state in batch.states.items()
            if state is not None
        ]
        gone = [key for key, state in batch.states.items() if state is None]
        self._upsert(connection, changed)
        for some in _parts(gone):
            connection.execute(delete(STATE).where(STATE.c.key.in_(some)))
        if batch.journal:
            rows = [
                {
                    "seq": each.seq,
                    "at": each.at,
                    "kind": each.kind,
                    "body": _json(each.body),
                }
                for each in batch.journal
            ]
            connection.execute(insert(JOURNAL), rows)
        forget(connection, batch.before)
        add_up(connection, batch.sums)
        if batch.at >= self._sweep_at:
            connection.execute(delete(JOURNAL).where(JOURNAL.c.at < batch.at - self._retention_s))
            self._sweep_at = batch.at + SWEEP_EVERY_S

    def _upsert(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        if self._sqlite:
            from sqlalchemy.dialects.sqlite import insert as upsert
        else:
            from sqlalchemy.dialects.postgresql import (  # type: ignore[assignment]
                insert as upsert,
            )
        new = upsert(STATE)
        connection.execute(
            new.on_conflict_do_update(
                index_elements=[STATE.c.key],
                set_={"at": new.excluded.at, "value": new.excluded.value},
            ),
            rows,
        )

    def _open(self) -> Connection:
        self._drop()
        # Some thread of a pool commits, each time another one, but never two at once.
        options: dict[str, Any] = {"connect_args": {"check_same_thread": False, "timeout": BUSY_S}}
        if not self._sqlite:
            options = {"connect_args": {"connect_timeout": int(BUSY_S)}}
        engine = create_engine(self._url, poolclass=StaticPool, hide_parameters=True, **options)
        if self._sqlite:
            event.listen(engine, "connect", _prepare)
            event.listen(engine, "begin", _begin)
        self._engine = engine
        connection = self._connection = engine.connect()
        if not self._sqlite:
            owns = connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_LOCK})").scalar()
            connection.commit()
            if not owns:
                self._drop()
                raise StoreInUse(
                    f"the store {self.name} is in use by another process: stop that one, or give "
                    "this engine a database of its own"
                )
        return connection

    def _drop(self) -> None:
        connection, engine = self._connection, self._engine
        self._connection = self._engine = None
        with suppress(SQLAlchemyError):
            if connection is not None:
                connection.close()
            if engine is not None:
                engine.dispose()

    def _failed(self, verb: str, error: SQLAlchemyError) -> StoreFailed:
        """The driver's own words; those of SQLAlchemy would show what was to be written."""
        why = str(error.orig) if isinstance(error, DBAPIError) else type(error).__name__
        return StoreFailed(
            f"the store {self.name} cannot be {verb}: {' '.join(why.split())[:300]}. "
            "Make room for it, or make it writable; it is tried again by itself"
            if verb == "written"
            else f"the store {self.name} cannot be {verb}: {' '.join(why.split())[:300]}"
        )


def _prepare(connection: Any, _record: Any) -> None:
    """A new SQLite connection: transactions are begun by us, so that tables change within them."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "auto_vacuum = INCREMENTAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _json(body: Any) -> str:
    """JSON that also takes the texts that no encoding does."""
    try:
        return msgspec.json.encode(body).decode()
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(body))


def _parts(keys: list[str], size: int = 500) -> Iterable[list[str]]:
    return (keys[at : at + size] for at in range(0, len(keys), size))
