"""`understudy agent`: list, show, export, resume, on a real store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from typer.testing import CliRunner

from understudy import Handle, LongRunningAgent, open_engine
from understudy.cli.app import build

CONFIG = """
log = {{ level = "off" }}
[providers.local]
reply = "yes"
[store]
path = "{path}"
"""
CRAWL = """
async def main(agent):
    for number in range(5):
        await agent.execute_task(f"page-{number}", lambda handle: "again")
    agent.progress = 1.0
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "understudy.toml"
    file.write_text(CONFIG.format(path=tmp_path / "store.db"))
    (tmp_path / "crawl_for_tests.py").write_text(CRAWL)
    monkeypatch.chdir(tmp_path)

    async def fills() -> None:
        async with (
            open_engine(file, environ={}) as engine,
            LongRunningAgent(engine, "crawler", max_cost_usd=2.5) as agent,
        ):
            for number in range(3):
                await agent.execute_task(f"page-{number}", _page)
            with pytest.raises(ZeroDivisionError):
                await agent.execute_task("page-3", lambda _handle: 1 / 0)
            agent.remember({"next": 3})
            agent.progress = 0.6

    trio.run(fills)
    return file


def _page(handle: Handle) -> dict[str, str]:
    return {"title": handle.key}


def run(*words: str, config: Path, code: int = 0) -> str:
    found = CliRunner().invoke(build(), ["agent", *words, "--config", str(config)])
    assert found.exit_code == code, found.output
    return found.output


def test_agents_are_listed_and_shown(config: Path) -> None:
    told = run("list", config=config)
    assert "crawler" in told
    assert "60%" in told
    assert "stopped" in told
    told = run("show", "crawler", config=config)
    assert "$0 of $2.5" in told
    assert "ZeroDivisionError" in told
    assert told.count("completed") >= 3
    (document,) = json.loads(run("list", "--json", config=config))
    assert (document["name"], document["completed"], document["failed"]) == ("crawler", 3, 1)
    document = json.loads(run("show", "crawler", "--json", config=config))
    assert [each["state"] for each in document["tasks_kept"]] == ["completed"] * 3 + ["failed"]
    assert document["checkpoints"][-1]["why"] == "stop"


def test_an_agent_is_exported_with_its_results(config: Path) -> None:
    document: Any = json.loads(run("export", "crawler", config=config))
    assert document["custom"] == {"next": 3}
    assert document["tasks_kept"][0]["result"] == {"title": "crawler/page-0"}


def test_an_agent_is_taken_up_again(config: Path) -> None:
    told = run("resume", "crawler", "crawl_for_tests:main", config=config)
    assert "2 tasks done, 3 were done before" in told
    document: Any = json.loads(run("export", "crawler", config=config))
    results = [each["result"] for each in document["tasks_kept"]]
    assert results[3:] == ["again", "again"]
    assert (document["progress"], document["limit_usd"]) == (1.0, 2.5)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["show", "nobody"], "no agent 'nobody'"),
        (["resume", "crawler", "crawl_for_tests"], "MODULE:FUNCTION"),
        (["resume", "crawler", "crawl_for_tests:nothing"], "MODULE:FUNCTION"),
        (["resume", "crawler", "no_such_module:main"], "MODULE:FUNCTION"),
    ],
)
def test_what_is_not_there_is_told(config: Path, words: list[str], why: str) -> None:
    found = CliRunner().invoke(build(), ["agent", *words, "--config", str(config)])
    assert found.exit_code != 0
    assert why in found.output + (found.stderr or "")


def test_without_a_store_it_says_what_to_add(tmp_path: Path) -> None:
    file = tmp_path / "understudy.toml"
    file.write_text("[providers.local]\nreply = 'yes'\n")
    found = CliRunner().invoke(build(), ["agent", "list", "--config", str(file)])
    assert found.exit_code != 0
    assert "[store]" in found.output + (found.stderr or "")
