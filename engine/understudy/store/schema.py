"""The tables of a store as they are now; `migrations` tells how they came about."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

TABLES: Final = MetaData()

HEAD: Final = Table(
    "understudy_head",
    TABLES,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("batch", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
)
"""One row: the numbers of the newest batch and of the newest entry of the journal."""

STATE: Final = Table(
    "understudy_state",
    TABLES,
    Column("key", String(500), primary_key=True),
    Column("at", Float, nullable=False),
    Column("value", LargeBinary, nullable=False),
)
"""The newest state of each key, as MessagePack; `at` is when it was written (Unix seconds)."""

JOURNAL: Final = Table(
    "understudy_journal",
    TABLES,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False, index=True),
    Column("kind", String(40), nullable=False),
    Column("body", Text, nullable=False),
)
"""What happened, an entry a row, the body as JSON; rows beyond the retention are deleted."""
