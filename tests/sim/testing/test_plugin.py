"""The pytest plugin, as a project of somebody else's uses it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

SUITE = """
import pytest

CALM = {
    "name": "calm",
    "horizon": 20,
    "clients": [{"name": "web", "arrivals": {"kind": "poisson", "rate": 1}}],
    "fleet": [{"name": "alpha"}, {"name": "beta"}],
}

@pytest.mark.simulated(CALM, seeds=3)
def test_everybody_is_answered(simulated_run):
    assert all(each.ok for each in simulated_run.requests)

@pytest.mark.simulated("primary-outage", engine={"deadline": 1, "fallback": False})
def test_the_engine_can_be_replaced(simulated_run):
    assert any(each.status == "ServerFailed" or not each.ok for each in simulated_run.requests)

@pytest.mark.simulated({**CALM, "faults": [{"kind": "refuse", "selector": {"provider": "nobody"}}]})
def test_a_wrong_document_fails(simulated_run):
    raise AssertionError("it never comes to this")

def test_without_a_scenario(plain=1):
    assert plain
"""


def test_a_marked_test_is_run_once_a_seed_and_given_its_run(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "understudy_sim.pytest_plugin", "-q"),
            *("--strict-markers", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)),
        ],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "5 passed, 1 error" in done.stdout, done.stdout
    assert "the fleet has no provider 'nobody'" in done.stdout


def test_the_plugin_is_found_by_its_entry_point_and_light_to_import() -> None:
    root = Path(__file__).parents[3]
    points = tomllib.loads((root / "pyproject.toml").read_text())["project"]["entry-points"]
    assert points["pytest11"] == {"understudy": "understudy_sim.pytest_plugin"}
    heavy = "[m for m in sys.modules if m.split('.')[0] in ('trio', 'msgspec', 'understudy')]"
    code = f"import sys, understudy_sim.pytest_plugin; assert not {heavy}, {heavy}"
    subprocess.run([sys.executable, "-c", code], check=True)
