"""The command line as a process: exit codes, clean streams, and no escape codes in a pipe."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.wall_clock


def run(*arguments: str, code: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `understudy` in a process of its own."""
    kept = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", ""), **env}
    program = code or "from understudy.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        env=kept,
        timeout=60,
        check=False,
    )


@pytest.fixture
def local(tmp_path: Path) -> str:
    path = tmp_path / "local.toml"
    path.write_text("[providers.local]\nreply = '''\\u001b[31mred\\u001b[0m'''\n")
    return str(path)


def test_a_pipe_gets_no_escape_codes_and_no_table_is_cut(local: str) -> None:
    shown = run("config", "env")
    assert shown.returncode == 0
    assert "\x1b" not in shown.stdout + shown.stderr
    assert "the strategy is `cheapest`; UNDERSTUDY_STRATEGY wins over it." in shown.stdout
    asked = run("route", "hi", "--explain", "--config", local)
    assert asked.returncode == 0
    assert "\x1b" not in asked.stdout + asked.stderr


def test_no_color_takes_every_style_away_even_where_colours_are_forced() -> None:
    forced = run("config", "env", FORCE_COLOR="1")
    assert "\x1b[" in forced.stdout
    assert "\x1b[" not in run("config", "env", FORCE_COLOR="1", NO_COLOR="1").stdout


def test_exit_codes_and_one_json_document_on_stdout(local: str) -> None:
    asked = run("route", "hi", "--json", "--config", local, UNDERSTUDY_LOG_LEVEL="debug")
    assert asked.returncode == 0
    assert json.loads(asked.stdout)["degraded"] is True
    assert "req.outcome" in asked.stderr
    assert run("nonsense").returncode == 2
    assert run("route", "hi", "--config", "nowhere.toml").returncode == 2


def test_an_interrupt_ends_with_130() -> None:
    program = "from understudy.cli import main; main()"
    if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):
        pytest.skip("Ctrl-C is switched off here, as for jobs in the background of a shell")
    process = subprocess.Popen(
        [sys.executable, "-c", program, "mock", "--json"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        with process.stdout:
            lines = [process.stdout.readline() for _ in range(5)]
            assert json.loads("".join(lines))["port"] > 0
            assert interrupted(process) == 130
    finally:
        process.kill()
        process.wait()


def interrupted(process: subprocess.Popen[str]) -> int | None:
    """Its exit status after Ctrl-C: pressed again, as a person would, if a busy machine is slow."""
    for _ in range(4):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=10)
    return None


def test_a_verb_that_cannot_be_loaded_does_not_take_the_others_down() -> None:
    broken = """
from importlib.metadata import EntryPoint
import typer
from understudy.cli import app
made = app.build()
app._add(made, EntryPoint("broken", "no.such.module:verb", app.GROUP))
made()
"""
    shown = run("version", code=broken)
    assert shown.returncode == 0
    assert "broken" in shown.stderr


def test_a_scenario_that_fails_makes_the_demo_end_with_1() -> None:
    failing = """
import understudy_sim.demo.scenarios as scenarios
from understudy_sim.demo.play import Scenario
async def play(stage):
    stage.expect("the impossible", False, "the possible")
scenarios.SCENARIOS = (Scenario(name="no", title="No", about="", play=play),)
from understudy.cli import main
main()
"""
    shown = run("demo", "--fast", code=failing)
    assert shown.returncode == 1
    assert "NOT SEEN: the impossible" in shown.stdout
    assert "instead: the possible" in shown.stdout
    assert "FAILED" in shown.stdout
