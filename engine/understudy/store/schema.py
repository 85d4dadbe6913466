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

from understudy.accounts.tally import NUMBERS

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

USAGE: Final = Table(
    "understudy_usage",
    TABLES,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("provider", String(200), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("who", String(600), primary_key=True),
    Column("tenant", String(600), primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in NUMBERS),
)
"""What attempts came to. `day` counts from 1970-01-01 in the configured time zone; of `who` and
`tenant`, `=ann` is the name ann, an empty text nobody, and `*` everybody whom a full day left out.
"""

LATENCY: Final = Table(
    "understudy_latency",
    TABLES,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("provider", String(200), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("answers", BigInteger, nullable=False),
)
"""How many answers took how long; see `understudy.accounts.latency` for what a bucket holds."""

SPENDERS: Final = Table(
    "understudy_spenders",
    TABLES,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(20), primary_key=True),
    Column("name", String(600), primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in NUMBERS),
)
"""What attempts came to for a key, a team or a tag (`kind`); `name` is written as in `USAGE`."""

SUMS: Final = {"usage": USAGE, "latency": LATENCY, "spenders": SPENDERS}
"""The tables whose rows are added to: the columns of the key, then numbers."""
