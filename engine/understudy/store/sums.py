"""Tables of sums: rows that are added to, so that nobody who adds need know the whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, select

from understudy.store.schema import SUMS
from understudy_actors.keeper.batch import Addend

_ROWS_AT_ONCE: Final = 2000


def add_up(connection: Connection, addends: Iterable[Addend]) -> None:
    """Add to rows, in the transaction of `connection`; rows that are not there are made."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for each in addends:
        names = SUMS[each.table].columns.keys()
        row = dict(zip(names, (*each.key, *each.numbers), strict=True))
        rows.setdefault(each.table, []).append(row)
    for name, own in rows.items():
        connection.execute(_adding(connection, SUMS[name]), own)


def forget(connection: Connection, before: Mapping[str, int]) -> None:
    """Delete the rows whose key begins with less than that."""
    for name, first in before.items():
        table = SUMS[name]
        connection.execute(delete(table).where(_key(table)[0] < first))


def read(connection: Connection, since: int | None = None) -> tuple[Addend, ...]:
    """Every row; only those whose key begins with `since` or more, if that is given."""
    found: list[Addend] = []
    for name, table in SUMS.items():
        key, wanted = _key(table), select(table)
        if since is not None:
            wanted = wanted.where(key[0] >= since)
        rows = connection.execute(wanted.execution_options(yield_per=_ROWS_AT_ONCE))
        found += (Addend(name, tuple(r[: len(key)]), tuple(r[len(key) :])) for r in rows)
    return tuple(found)


def _key(table: Table) -> list[Any]:
    return list(table.primary_key.columns)


def _adding(connection: Connection, table: Table) -> Any:
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    new, key = insert(table), _key(table)
    sums = {c.name: c + new.excluded[c.name] for c in table.columns if c not in key}
    return new.on_conflict_do_update(index_elements=key, set_=sums)
