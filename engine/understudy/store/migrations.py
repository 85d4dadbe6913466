"""How the tables of a store came about, step by step: an older store is brought up to date.

Each step is frozen once it is released: whoever changes a table adds a step at the end, and the
table itself in `schema`. A step runs in one transaction with the note that it ran.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    inspect,
)

from understudy_actors.domain.errors import StoreFailed


class Migration(Struct, frozen=True):
    """One step: `number` counts from 1, `why` is for people, `run` changes the tables."""

    number: int
    why: str
    run: Callable[[Connection], None]


_NUMBERS_OF_USE: Final = (
    "attempts",
    "successes",
    "unknown",
    "micro_usd",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "priced_tokens",
    "estimated_tokens",
    "elapsed_us",
)


def _states(connection: Connection) -> None:
    tables = MetaData()
    Table(
        "understudy_head",
        tables,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("batch", BigInteger, nullable=False),
        Column("seq", BigInteger, nullable=False),
    )
    Table(
        "understudy_state",
        tables,
        Column("key", String(500), primary_key=True),
        Column("at", Float, nullable=False),
        Column("value", LargeBinary, nullable=False),
    )
    tables.create_all(connection)
    connection.exec_driver_sql("INSERT INTO understudy_head (id, batch, seq) VALUES (1, 0, 0)")


def _journal(connection: Connection) -> None:
    tables = MetaData()
    Table(
        "understudy_journal",
        tables,
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        Column("at", Float, nullable=False, index=True),
        Column("kind", String(40), nullable=False),
        Column("body", Text, nullable=False),
    )
    tables.create_all(connection)


def _usage(connection: Connection) -> None:
    tables = MetaData()
    Table(
        "understudy_usage",
        tables,
        Column("day", Integer, primary_key=True, autoincrement=False),
        Column("provider", String(200), primary_key=True),
        Column("model", String(200), primary_key=True),
        Column("who", String(600), primary_key=True),
        Column("tenant", String(600), primary_key=True),
        *(Column(name, BigInteger, nullable=False) for name in _NUMBERS_OF_USE),
    )
    Table(
        "understudy_latency",
        tables,
        Column("day", Integer, primary_key=True, autoincrement=False),
        Column("provider", String(200), primary_key=True),
        Column("model", String(200), primary_key=True),
        Column("bucket", Integer, primary_key=True, autoincrement=False),
        Column("answers", BigInteger, nullable=False),
    )
    tables.create_all(connection)


def _spenders(connection: Connection) -> None:
    tables = MetaData()
    Table(
        "understudy_spenders",
        tables,
        Column("day", Integer, primary_key=True, autoincrement=False),
        Column("kind", String(20), primary_key=True),
        Column("name", String(600), primary_key=True),
        *(Column(name, BigInteger, nullable=False) for name in _NUMBERS_OF_USE),
    )
    tables.create_all(connection)


MIGRATIONS: Final = (
    Migration(1, "the newest state of everything, and the number of the newest batch", _states),
    Migration(2, "the journal of what was charged", _journal),
    Migration(3, "accounts of use by day, provider, model and user", _usage),
    Migration(4, "accounts of use by day and key, team or tag", _spenders),
)
VERSION: Final = len(MIGRATIONS)
"""The version of the tables that this code reads and writes."""

_SCHEMA: Final = "understudy_schema"


def version_of(connection: Connection) -> int:
    """Which steps a store has seen; 0 if it is new."""
    if not inspect(connection).has_table(_SCHEMA):
        return 0
    found = connection.exec_driver_sql(f"SELECT MAX(number) FROM {_SCHEMA}").scalar()
    return int(found or 0)


def migrate(connection: Connection, wall: float, upto: int = VERSION) -> None:
    """Run the steps that a store has not seen yet, in the transaction of `connection`.

    Raises:
        StoreFailed: A newer version of understudy has written it.
    """
    found = version_of(connection)
    if found > VERSION:
        raise StoreFailed(
            f"the store has tables of version {found}, and this understudy knows those up to "
            f"{VERSION}: upgrade understudy, or name another store"
        )
    if not found:
        connection.exec_driver_sql(
            f"CREATE TABLE IF NOT EXISTS {_SCHEMA} "
            "(number INTEGER PRIMARY KEY, why VARCHAR(200) NOT NULL, at FLOAT NOT NULL)"
        )
    for step in MIGRATIONS[found:upto]:
        step.run(connection)
        note = Table(
            _SCHEMA, MetaData(), Column("number", Integer), Column("why", Text), Column("at", Float)
        )
        connection.execute(note.insert(), {"number": step.number, "why": step.why, "at": wall})
