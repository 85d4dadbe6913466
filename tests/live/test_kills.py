"""A process that is killed at any moment loses no charge that it told of, and books none twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
KILLS = int(os.environ.get("UNDERSTUDY_KILLS", "8"))
"""`make kills` sets it to 200."""


@pytest.mark.parametrize("durability", ["strict", "batched"])
def test_books_agree_after_every_kill(durability: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.live.killing", str(tmp_path), durability, str(KILLS), "7"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    print(ended.stdout)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert f"{KILLS} kills, {durability}" in ended.stdout
    assert ": 0 told" not in ended.stdout, "nothing happened at all"
    if KILLS >= 200:
        assert "the small budget is used up" in ended.stdout
