"""`understudy serve` as a process: it says where it is, serves, and ends when it is told to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.wall_clock
PROGRAM = [sys.executable, "-c", "from understudy.cli import main; main()", "serve"]


def test_it_says_where_it_is_serves_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "local.toml"
    path.write_text("[log]\nlevel = 'off'\n[providers.local]\nreply = 'at your service'\n")
    process = subprocess.Popen(
        [*PROGRAM, str(path), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "")},
    )
    assert process.stdout is not None
    try:
        said = [process.stdout.readline() for _ in range(5)]
        found = re.search(r"http://127\.0\.0\.1:\d+", said[0])
        assert found, said
        body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
        answer = httpx.post(f"{found[0]}/v1/chat/completions", json=body, trust_env=False)
        assert answer.json()["choices"][0]["message"]["content"] == "at your service"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "--insecure"),
        (["--host", "203.0.113.7", "--insecure"], "cannot listen on"),
        (["nowhere.toml", "--port", "0"], "nowhere.toml"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
