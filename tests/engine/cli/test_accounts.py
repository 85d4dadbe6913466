"""The verbs about money: they read the store, tell all that it holds, and show no secret."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from typer.testing import Result

from tests.engine.cli.test_verbs import document, run
from tests.engine.store.test_restart import answering, ask, under
from understudy import Costs, DayUsage, TopModel, TopUser, open_engine
from understudy.accounts.book import Book
from understudy.accounts.keeping import UsageSource
from understudy.cli.output import plain
from understudy.store.address import of_file
from understudy.store.database import Database
from understudy.zones import IanaZone
from understudy_actors.domain.result import Attempt, Usage
from understudy_actors.keeper.batch import Batch, Saved

VERBS = [("costs",), ("usage",), ("top", "models"), ("top", "users"), ("budgets",)]
NOW = datetime.now(UTC).replace(hour=12, minute=0).timestamp()
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """The store of a service that runs."""
    made = Database(of_file(str(tmp_path / "u.db")), retention_s=1e9)
    made.load(NOW)
    yield made
    made.close()


def config(tmp_path: Path, *more: str) -> str:
    """A configuration that names the store."""
    path = tmp_path / "u.toml"
    rest = "\n".join(more)
    path.write_text(f'store = "{tmp_path / "u.db"}"\n{rest}\n[providers.local]\n')
    return str(path)


def count(database: Database, number: int, fill: Callable[[Book], None]) -> None:
    """Write what a book is filled with."""
    book = Book(IanaZone("UTC"))
    source = UsageSource(book, lambda: None)
    fill(book)
    changes = source.gather(0.0)
    assert changes is not None
    database.commit(Batch(number, NOW, sums=tuple(changes.sums)))


def a_week(book: Book) -> None:
    """Some use on each of seven days, today the last."""
    for day in range(7):
        for provider, cost, ok in (("dear", 0.25, True), ("cheap", 0.001, day % 2 == 0)):
            outcome = "ok" if ok else "failed"
            attempt = Attempt(provider, "m", outcome, elapsed_s=0.5, cost_usd=cost * (day + 1))
            wall = NOW - 86_400 * (6 - day)
            book.count(attempt, Usage(100, 20), "ann" if day else None, None, wall)
    book.count(Attempt("own", "model-x", "ok", elapsed_s=2.0), Usage(1, 2), "bob", "acme", NOW)


def strangers(book: Book) -> None:
    """Users as nobody expects them."""
    for number, name in enumerate(("\x1b[31mred", "[bold]x[/bold]", KEY, "=1+1", "a\nb", "x" * 99)):
        paid = Attempt("p", "m", "ok", elapsed_s=1.0, cost_usd=1.0 + number)
        book.count(paid, Usage(1, 1), name, f"bearer {KEY}" if number == 3 else None, NOW)


def shown(tmp_path: Path, *arguments: str) -> Result:
    """A verb in a terminal of 80 columns, which must suffice."""
    result = run(*arguments, "-c", config(tmp_path), COLUMNS="80")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    return result


def test_costs_are_told_by_provider_and_in_all(database: Database, tmp_path: Path) -> None:
    count(database, 1, a_week)
    out = shown(tmp_path, "costs").stdout
    assert "$7.0280 for 1,683 tokens in 15 attempts" in out
    lines = {line.split()[0]: line for line in out.splitlines() if line.split()}
    assert "$7.0280" in lines["all"]
    assert out.index("dear") < out.index("cheap"), "the dearest first"
    assert "57.1%" in out
    assert "500" in out
    assert "1 attempt has no known cost" in out
    assert "$1.7570 for" in shown(tmp_path, "costs", "--days", "1").stdout


def test_use_is_told_by_day_with_a_total(database: Database, tmp_path: Path) -> None:
    count(database, 1, a_week)
    out = shown(tmp_path, "usage", "--days", "30").stdout
    days = [line.split()[0] for line in out.splitlines() if line.strip().startswith("20")]
    today = datetime.fromtimestamp(NOW, UTC).date()
    assert days == [(today - timedelta(days=n)).isoformat() for n in range(6, -1, -1)]
    assert "$7.0280" in out
    bars = [line.count("█") for line in out.splitlines() if line.strip().startswith("20")]
    assert bars == sorted(bars)
    assert max(bars) == 20


def test_the_top_of_models_and_of_users(database: Database, tmp_path: Path) -> None:
    count(database, 1, a_week)
    models = shown(tmp_path, "top", "models").stdout
    assert models.index("cheap/m") < models.index("dear/m") < models.index("own/model-x")
    users = shown(tmp_path, "top", "users").stdout
    assert users.index("ann") < users.index("(nobody named)") < users.index("bob of acme")
    one = shown(tmp_path, "top", "models", "-n", "1", "--days", "1").stdout
    assert "cheap/m" in one
    assert "dear/m" not in one


def test_json_holds_what_the_engine_would_say(database: Database, tmp_path: Path) -> None:
    count(database, 1, a_week)
    path = config(tmp_path)
    costs = msgspec.convert(document(run("costs", "-c", path, "--json")), Costs)
    days = msgspec.convert(document(run("usage", "-c", path, "--json")), tuple[DayUsage, ...])
    models = msgspec.convert(
        document(run("top", "models", "-c", path, "--json")), tuple[TopModel, ...]
    )
    users = msgspec.convert(
        document(run("top", "users", "-c", path, "--json")), tuple[TopUser, ...]
    )
    assert (costs.usd, costs.attempts, len(days)) == (7.028, 15, 30)
    for each in (days, models, users, costs.providers):
        assert round(sum(one.usd for one in each), 6) == costs.usd
    assert document(run("budgets", "-c", path, "--json")) == []


HEAD = (
    "usd,unknown,attempts,successes,tokens,input_tokens,output_tokens,cached_tokens,"
    "reasoning_tokens,estimated_tokens,usd_per_token"
)


@pytest.mark.parametrize(
    ("verb", "header"),
    [
        (("costs",), f"{HEAD},provider,mean_ms,p50_ms,p95_ms,p99_ms"),
        (("usage",), f"{HEAD},day"),
        (("top", "models"), f"{HEAD},provider,model,share_percent"),
        (("top", "users"), f"{HEAD},user,tenant,others,share_percent"),
        (
            ("budgets",),
            "scope,name,per,limit_usd,spent_usd,reserved_usd,left_usd,spent_percent,charges,since,"
            "until,frozen,projected_usd,next_30_days_usd",
        ),
    ],
)
def test_csv_has_a_header_that_stays(
    database: Database, tmp_path: Path, verb: tuple[str, ...], header: str
) -> None:
    count(database, 1, a_week)
    result = run(*verb, "-c", config(tmp_path), "--csv")
    assert result.stdout.splitlines()[0] == header
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    if verb != ("budgets",):
        assert round(sum(float(row["usd"]) for row in rows), 6) == 7.028
    if verb == ("costs",):
        assert float(rows[1]["usd_per_token"]) == pytest.approx(0.028 / 840)


@pytest.mark.parametrize("verb", VERBS)
def test_an_empty_store_is_told_in_a_sentence(
    database: Database, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    out = shown(tmp_path, *verb).stdout
    assert out.startswith(("No attempt was counted", "There is no budget"))
    assert out.rstrip().endswith((".", "configuration."))


@pytest.mark.parametrize("verb", VERBS)
def test_without_a_store_a_verb_says_so_and_what_to_do(
    tmp_path: Path, verb: tuple[str, ...]
) -> None:
    path = tmp_path / "none.toml"
    path.write_text("[providers.local]\n")
    result = run(*verb, "-c", str(path))
    assert result.exit_code == 2
    assert "nothing is kept" in result.stderr
    assert 'store = "understudy.db"' in result.stderr
    assert document(run(*verb, "-c", str(path), "--json"))["error"]["type"] == "ConfigError"


@pytest.mark.parametrize("verb", VERBS)
def test_a_store_that_nobody_made_yet_is_named(tmp_path: Path, verb: tuple[str, ...]) -> None:
    result = run(*verb, "-c", config(tmp_path))
    assert result.exit_code == 1
    assert f"there is no store {tmp_path / 'u.db'} yet" in result.stderr
    assert not (tmp_path / "u.db").exists()


@pytest.mark.parametrize("verb", VERBS)
def test_two_formats_are_refused(tmp_path: Path, verb: tuple[str, ...]) -> None:
    result = run(*verb, "-c", config(tmp_path), "--json", "--csv")
    assert result.exit_code == 2
    assert "--csv" in result.stderr


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_users_names_move_no_cursor_run_no_formula_and_show_no_key(
    database: Database, tmp_path: Path, form: tuple[str, ...]
) -> None:
    count(database, 1, strangers)
    out = run("top", "users", "-c", config(tmp_path), *form, COLUMNS="80").stdout
    assert "\x1b" not in out
    assert KEY not in out
    assert KEY[8:] not in out
    assert "sk-..." in out
    assert "[bold]x[/bold]" in out
    if form == ("--csv",):
        assert ",'=1+1," in out
    if form == ("--json",):
        assert "x" * 99 in out


def test_it_is_read_while_a_service_writes(database: Database, tmp_path: Path) -> None:
    count(database, 1, a_week)
    first = document(run("costs", "-c", config(tmp_path), "--json"))
    count(database, 2, a_week)  # the look has locked nobody out
    second = document(run("costs", "-c", config(tmp_path), "--json"))
    assert (first["attempts"], second["attempts"]) == (15, 30)
    writer = sqlite3.connect(tmp_path / "u.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE understudy_usage SET attempts = 0")
    assert document(run("costs", "-c", config(tmp_path), "--json"))["attempts"] == 30
    writer.execute("ROLLBACK")
    writer.close()


@pytest.mark.wall_clock
async def test_a_service_is_looked_at_while_it_runs_and_after(tmp_path: Path) -> None:
    path = config(tmp_path)

    async def look() -> dict[str, Any]:
        told: dict[str, Any] = await trio.to_thread.run_sync(
            lambda: document(run("costs", "-c", path, "--json"))
        )
        return told

    settings = {"log": {"level": "off"}, "store": str(tmp_path / "u.db"), "deadline": "30s"}
    async with open_engine(settings, functions={"p": answering(10)}, environ={}) as engine:
        for _ in range(3):
            await engine.route(ask(user="ann"))
        with trio.fail_after(30):
            while (await look())["attempts"] < 3:
                continue  # it is written within the interval
        await engine.route(ask(user="ann"))
        mine = engine.costs()
    assert (await look()) == plain(mine)


def test_an_old_store_is_not_guessed_at(database: Database, tmp_path: Path) -> None:
    database.close()
    with sqlite3.connect(tmp_path / "u.db") as connection:
        connection.execute("DELETE FROM understudy_schema WHERE number > 2")
    connection.close()
    result = run("costs", "-c", config(tmp_path))
    assert result.exit_code == 1
    assert "has tables of version 2" in result.stderr
    assert "open an engine on it once" in result.stderr


def test_budgets_are_told_as_they_stand(database: Database, tmp_path: Path) -> None:
    async def spend() -> Saved:
        house = under({"usd": 0.001, "per": "total"}, {"usd": 0.5, "per": "total", "user": "*"})
        async with house.process(kill=True, p=answering(10, 1.0)) as engine:
            for _ in range(3):
                await engine.route(ask(user="ann"))
            await trio.sleep(1.0)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(engine.route, ask(user="ann"))
                await trio.sleep(0.5)
                nursery.cancel_scope.cancel()
                house.disk.kill()  # with one attempt under way
        return house.disk.saved

    saved = trio.run(spend, clock=trio.testing.MockClock(autojump_threshold=0))
    states: dict[str, Any] = {key: msgspec.Raw(state) for key, state in saved.states.items()}
    database.commit(Batch(1, NOW, states, sums=saved.sums))
    limits = (
        '[[budgets]]\nusd = 0.002\nper = "total"\n[[budgets]]\nusd = 0.5\nper = "total"\nuser = "*"'
    )
    path = config(tmp_path, limits)
    engine, ann = document(run("budgets", "-c", path, "--json"))
    assert (engine["scope"], engine["spent_usd"], engine["limit_usd"]) == ("engine", 0.0003, 0.002)
    assert engine["reserved_usd"] >= 0.0001, "one is under way"
    assert engine["left_usd"] == round(0.002 - 0.0003 - engine["reserved_usd"], 6)
    assert (ann["scope"], ann["name"], ann["spent_usd"]) == ("user", "ann", 0.0003)
    out = run("budgets", "-c", path, COLUMNS="80").stdout
    assert "user ann" in out
    assert "15" in out
    assert "$0.50" in out
    assert max(map(len, out.splitlines())) <= 80
