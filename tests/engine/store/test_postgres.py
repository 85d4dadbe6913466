"""The same store in Postgres, where a server can be started; skipped where there is none."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from understudy import Request, open_engine
from understudy.config import parse
from understudy.config.terms import KeyTerms
from understudy.keys.offline import look, writing
from understudy.secret import Secret
from understudy.store.address import of_url
from understudy.store.database import Database
from understudy.store.lock import StoreInUse
from understudy.store.reading import look_into
from understudy_actors.domain.errors import StoreFailed
from understudy_actors.keeper.batch import Addend, Batch, Entry, Saved

PG_CTL = shutil.which("pg_ctl")

pytestmark = pytest.mark.skipif(PG_CTL is None, reason="no Postgres is installed here")


class Value(msgspec.Struct):
    """What tests keep."""

    x: int


class Server:
    """A server of its own, on a socket in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user = "postgres" if os.geteuid() == 0 else None  # it does not run as root
        if self.user is not None:
            shutil.chown(folder, self.user)
        self._run("initdb", "-D", folder / "data", "-A", "trust", "-U", "books", "-N")

    def _run(self, *words: object) -> None:
        subprocess.run(
            [str(each) for each in words],
            check=True,
            capture_output=True,
            user=self.user,
            cwd=self.folder,
        )

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off"
        log = self.folder / "log"
        self._run(PG_CTL, "-D", self.folder / "data", "-l", log, "-o", options, "-w", "start")

    def stop(self) -> None:
        self._run(PG_CTL, "-D", self.folder / "data", "-m", "immediate", "-w", "stop")

    @property
    def url(self) -> str:
        return f"postgresql://books:hunter2@/postgres?host={self.folder}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix=f"pg-{getpass.getuser()}-", dir="/tmp"))
    server = Server(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


def opened(server: Server) -> tuple[Database, Saved]:
    database = Database(of_url(Secret(server.url)), retention_s=100.0)
    return database, database.load(0.0)


def test_batches_take_effect_once_and_outlive_the_connection(server: Server) -> None:
    database, saved = opened(server)
    first = saved.number + 1
    batch = Batch(
        first, 5.0, {"a": Value(1), "b": Value(2)}, (Entry(saved.seq + 1, 5.0, "k", Value(7)),)
    )
    database.commit(batch)
    database.commit(batch)
    database.commit(Batch(first + 1, 6.0, {"a": Value(3), "b": None}))
    with pytest.raises(StoreFailed, match="another process writes it"):
        database.commit(Batch(first + 7, 6.0, {"a": Value(9)}))
    database.close()
    database, saved = opened(server)
    database.close()
    found = {k: msgspec.msgpack.decode(v, type=Value).x for k, v in saved.states.items()}
    assert (saved.number, found["a"], "b" in found) == (first + 1, 3, False)


def test_a_second_engine_is_told(server: Server) -> None:
    database, _ = opened(server)
    with pytest.raises(StoreFailed, match="is in use by another process") as caught:
        opened(server)
    assert "hunter2" not in str(caught.value)
    database.close()
    opened(server)[0].close()


def test_a_server_that_was_restarted_is_written_on(server: Server) -> None:
    database, saved = opened(server)
    database.commit(Batch(saved.number + 1, 5.0, {"a": Value(1)}))
    server.stop()
    batch = Batch(saved.number + 2, 6.0, {"a": Value(2)})
    with pytest.raises(StoreFailed, match="cannot be written") as caught:
        database.commit(batch)
    assert "hunter2" not in str(caught.value)
    server.start()
    database.commit(batch)
    database.close()
    database, saved = opened(server)
    database.close()
    assert msgspec.msgpack.decode(saved.states["a"], type=Value).x == 2


@pytest.mark.wall_clock
async def test_an_engine_goes_on_where_it_was(server: Server) -> None:
    async def answer(request: Request) -> str:
        return "ok"

    config = {
        "log": {"level": "off"},
        "store": {"url": "env:BOOKS", "durability": "strict"},
        "providers": {"p": {"models": [{"name": "m", "price": {"input": 1, "output": 1}}]}},
        "budgets": [{"usd": 5.0, "per": "total"}],
    }
    spent = 0.0
    for turn in range(3):
        opening = open_engine(config, functions={"p": answer}, environ={"BOOKS": server.url})
        async with opening as engine:
            assert engine.budgets()[0].spent_usd == pytest.approx(spent)
            await engine.route(Request.chat("hi", max_tokens=10))
            spent = engine.budgets()[0].spent_usd
            assert engine.budgets()[0].charges == turn + 1
            store = engine.status().store
            assert store is not None
            assert "hunter2" not in repr(store)


def test_sums_add_up_and_are_looked_into_while_an_engine_writes(server: Server) -> None:
    database, saved = opened(server)
    first = saved.number + 1
    key = (20_000, "p", "m", "=ann 'of' \\ü", "")
    row = Addend("usage", key, tuple(range(11)))
    times = Addend("latency", (20_000, "p", "m", 77), (3,))
    old = Addend("usage", (19_000, "p", "m", "*", ""), (1,) * 11)
    database.commit(Batch(first, 5.0, sums=(row, times, old)))
    again = Batch(first + 1, 5.0, sums=(row, times), before={"usage": 20_000, "latency": 20_000})
    database.commit(again)
    database.commit(again)
    seen = look_into(of_url(Secret(server.url)))  # the engine still owns it
    wanted = {
        ("usage", key): tuple(2 * n for n in range(11)),
        ("latency", (20_000, "p", "m", 77)): (6,),
    }
    mine = {(e.table, e.key): e.numbers for e in seen.sums if e.key[0] in (19_000, 20_000)}
    assert mine == wanted
    assert seen.number == first + 1
    database.commit(Batch(first + 2, 6.0, before={"usage": 20_001, "latency": 20_001}))
    database.close()
    database, saved = opened(server)
    database.close()
    assert not [each for each in saved.sums if each.key[0] == 20_000]


@pytest.mark.wall_clock
async def test_keys_are_made_beside_and_within_an_engine(server: Server) -> None:
    config = parse(
        {"store": {"url": "env:BOOKS"}, "log": {"level": "off"}, "providers": {"local": {}}}
    )
    environ = {"BOOKS": server.url}
    with writing(config, environ, lambda: 50.0, os.urandom) as keys:
        first = await keys.create("ann", KeyTerms.read({"budgets": ["1/day"]}))
    async with open_engine(config, environ=environ) as engine:
        with (
            pytest.raises(StoreInUse) as caught,
            writing(config, environ, lambda: 50.0, os.urandom),
        ):
            pass
        assert "hunter2" not in str(caught.value)
        assert [e.name for e in look(config, environ).records.values()] == ["ann"]
        await engine.keys.revoke("ann")
        second = await engine.keys.create("bob", KeyTerms())
    ring = look(config, environ)
    found = ring.find(first.key.reveal())
    assert found is not None
    assert found[0].revoked_at is not None
    assert ring.find(second.key.reveal()) is not None


def test_a_server_that_is_down_is_named_without_its_password(server: Server) -> None:
    url = of_url(Secret(server.url.replace("postgres?", "nowhere?")))
    with pytest.raises(StoreFailed, match="cannot be read") as caught:
        look_into(url)
    assert "hunter2" not in str(caught.value)
