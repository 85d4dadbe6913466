"""An agent outlives kill -9: a few moments here, fifty by `make agents`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WHOLE = os.environ.get("UNDERSTUDY_AGENTS") == "1"


@pytest.mark.wall_clock
def test_an_agent_that_is_killed_again_and_again_does_everything_once(tmp_path: Path) -> None:
    tasks, kills = (200, 50) if WHOLE else (100, 3)
    run = subprocess.run(
        [sys.executable, "-m", "tests.live.agents", str(tmp_path), str(tasks), str(kills), "1"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    print(run.stdout)
    assert f"{tasks} tasks" in run.stdout
