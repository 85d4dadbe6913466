"""A store in a SQLite file: whole batches, each once, one owner, old files, full disks."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from sqlalchemy import create_engine

from understudy.secret import Secret
from understudy.store.address import of_file, of_url, shown
from understudy.store.database import Database
from understudy.store.migrations import MIGRATIONS, VERSION, migrate, version_of
from understudy.store.schema import TABLES
from understudy_actors.domain.errors import ConfigError, StoreFailed
from understudy_actors.keeper.batch import Batch, Entry, Saved

DAY_S = 86_400.0


class Value(msgspec.Struct):
    """What tests keep."""

    x: int


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "understudy.db"


def opened(path: Path, wall: float = 0.0, retention_s: float = DAY_S) -> tuple[Database, Saved]:
    database = Database(of_file(str(path)), retention_s=retention_s)
    return database, database.load(wall)


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database, _ = opened(path)
    yield database
    database.close()


def journal(path: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(
            "SELECT seq, kind, body FROM understudy_journal ORDER BY seq"
        ).fetchall()
    finally:
        connection.close()


def values(saved: Saved) -> dict[str, int]:
    return {k: msgspec.msgpack.decode(v, type=Value).x for k, v in saved.states.items()}


def test_a_new_store_is_empty_and_what_is_written_is_there_after_a_reopening(path: Path) -> None:
    database, saved = opened(path)
    assert saved == Saved()
    database.commit(Batch(1, 5.0, {"a": Value(1), "b": Value(2)}, (Entry(1, 5.0, "k", Value(7)),)))
    database.commit(Batch(2, 6.0, {"a": Value(3), "b": None}))
    database.close()
    database, saved = opened(path)
    database.close()
    assert (saved.number, saved.seq, values(saved), saved.written) == (2, 1, {"a": 3}, {"a": 6.0})
    assert journal(path) == [(1, "k", '{"x":7}')]


def test_a_batch_that_is_written_again_changes_nothing(database: Database, path: Path) -> None:
    batch = Batch(1, 5.0, {"a": Value(1)}, (Entry(1, 5.0, "k", Value(7)),))
    database.commit(batch)
    database.commit(batch)
    assert journal(path) == [(1, "k", '{"x":7}')]


def test_a_batch_of_another_process_is_noticed(database: Database) -> None:
    database.commit(Batch(1, 5.0, {"a": Value(1)}))
    with pytest.raises(StoreFailed, match=r"holds batch 1, and this engine's next one is 3"):
        database.commit(Batch(3, 5.0, {"a": Value(2)}))


@settings(max_examples=20)
@given(st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 9)))))
def test_what_is_read_is_what_was_written_last(batches: list[list[tuple[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, model = Path(folder) / "s.db", dict[str, int]()
        database, _ = opened(path)
        for number, states in enumerate(batches, 1):
            model.update(states)
            database.commit(
                Batch(number, 0.0, {k: None if x is None else Value(x) for k, x in states})
            )
        database.close()
        database, saved = opened(path)
        database.close()
        assert values(saved) == {k: x for k, x in model.items() if x is not None}
        assert saved.number == len(batches)


def test_a_journal_is_kept_as_long_as_it_says_and_states_for_ever(path: Path) -> None:
    database, _ = opened(path, retention_s=10 * DAY_S)
    for day in range(30):
        entry = Entry(day + 1, day * DAY_S, "day", Value(day))
        database.commit(Batch(day + 1, day * DAY_S, {"a" if day else "old": Value(day)}, (entry,)))
    database.close()
    assert [seq for seq, _, _ in journal(path)] == [*range(20, 31)]
    database, saved = opened(path)
    database.close()
    assert (saved.seq, set(saved.states)) == (30, {"old", "a"})


def test_a_second_process_is_told_who_has_the_store(database: Database, path: Path) -> None:
    again = Database(of_file(str(path)), retention_s=1)
    with pytest.raises(StoreFailed, match=rf"is in use by process {os.getpid()}: stop that one"):
        again.load(0.0)
    again.close()  # does not take away what is not its own
    third = Database(of_file(str(path)), retention_s=1)
    with pytest.raises(StoreFailed, match="in use"):
        third.load(0.0)


def test_the_lock_of_a_killed_process_is_in_nobodys_way(path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from understudy.store.address import of_file\n"
        "from understudy.store.database import Database\n"
        "from understudy_actors.keeper.batch import Batch\n"
        "database = Database(of_file(sys.argv[1]), retention_s=9)\n"
        "database.load(0.0)\n"
        "database.commit(Batch(1, 0.0, {'a': {'x': 4}}))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    database, saved = opened(path)
    database.close()
    assert values(saved) == {"a": 4}


def test_an_old_file_is_brought_up_to_date_with_all_that_it_holds(path: Path) -> None:
    engine = create_engine(of_file(str(path)))
    with engine.begin() as connection:
        migrate(connection, 0.0, upto=1)
        assert version_of(connection) == 1
        connection.exec_driver_sql("UPDATE understudy_head SET batch = 6, seq = 0")
        row = msgspec.msgpack.encode(Value(8))
        connection.exec_driver_sql("INSERT INTO understudy_state VALUES ('a', 1.0, ?)", (row,))
    engine.dispose()
    database, saved = opened(path)
    database.commit(Batch(7, 5.0, {}, (Entry(1, 5.0, "k", Value(7)),)))
    database.close()
    assert (saved.number, values(saved)) == (6, {"a": 8})
    assert len(journal(path)) == 1


def test_the_steps_lead_to_the_tables_as_they_are(path: Path, tmp_path: Path) -> None:
    def tables(name: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(tmp_path / name)
        names = [
            n
            for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if n != "understudy_schema"
        ]
        found = [
            (n, *row[1:])
            for n in sorted(names)
            for row in connection.execute(f"PRAGMA table_info({n})")
        ]
        connection.close()
        return found

    stepped = create_engine(of_file(str(tmp_path / "stepped.db")))
    with stepped.begin() as connection:
        migrate(connection, 0.0)
        migrate(connection, 0.0)  # a second time there is nothing to do
    stepped.dispose()
    whole = create_engine(of_file(str(tmp_path / "whole.db")))
    TABLES.create_all(whole)
    whole.dispose()
    assert tables("stepped.db") == tables("whole.db") != []


def test_steps_are_numbered_without_a_gap() -> None:
    assert [each.number for each in MIGRATIONS] == [*range(1, VERSION + 1)]


def test_a_newer_store_is_refused_and_left_alone(path: Path) -> None:
    database, _ = opened(path)
    database.close()
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO understudy_schema VALUES (99, 'from the future', 0)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreFailed, match=rf"version 99, and .* {VERSION}: upgrade"):
        opened(path)


def test_what_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database at all, however long one reads on in it" * 40)
    with pytest.raises(StoreFailed, match="cannot be opened: file is not a database"):
        opened(path)
    assert path.read_bytes().startswith(b"not a database")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match=r"nowhere/s.db.lock cannot be opened: No such file"):
        opened(tmp_path / "nowhere" / "s.db")


def test_a_full_disk_loses_nothing_and_is_written_on_when_there_is_room(path: Path) -> None:
    database, _ = opened(path)
    database.commit(Batch(1, 1.0, {"a": Value(1)}))
    run = database._connection.exec_driver_sql  # type: ignore[union-attr]
    pages = run("PRAGMA page_count").scalar()
    run(f"PRAGMA max_page_count = {pages}")
    database._connection.commit()  # type: ignore[union-attr]
    big = Batch(2, 2.0, {f"k{i}": Value(i) for i in range(5_000)}, (Entry(1, 2.0, "k", Value(1)),))
    with pytest.raises(StoreFailed, match=r"written: database or disk is full\. Make room"):
        database.commit(big)
    run("PRAGMA max_page_count = 100000")
    database._connection.commit()  # type: ignore[union-attr]
    database.commit(big)
    database.close()
    database, saved = opened(path)
    database.close()
    assert (saved.number, len(saved.states), len(journal(path))) == (2, 5_001, 1)


def test_a_store_that_may_only_be_read_says_so(path: Path) -> None:
    database, _ = opened(path)
    run = database._connection.exec_driver_sql  # type: ignore[union-attr]
    run("PRAGMA query_only = ON")
    database._connection.commit()  # type: ignore[union-attr]
    with pytest.raises(StoreFailed, match="written: attempt to write a readonly database"):
        database.commit(Batch(1, 1.0, {"a": Value(1)}))
    database.close()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hunter2@h/d",
        "hunter2",
        "postgres//u:hunter2@h",
        "sqlite:///hunter2",
        "http://h:x",
    ],
)
def test_a_wrong_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        of_url(Secret(url))
    assert "store.url" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_address_is_shown_without_its_secrets() -> None:
    url = of_url(Secret("postgres://bob:hunter2@db.example:5433/books?sslpassword=hunter3"))
    assert shown(url) == "postgresql://db.example:5433/books"
    assert "hunter" not in repr(url).replace("hunter3", "")
    assert url.drivername == "postgresql+psycopg"


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    database = Database(of_url(Secret("postgresql://bob:hunter2@127.0.0.1:1/books")), retention_s=1)
    with pytest.raises(
        StoreFailed, match=r"postgresql://127\.0\.0\.1:1/books cannot be "
    ) as caught:
        database.load(0.0)
    assert "hunter2" not in str(caught.value)
