"""`understudy route --stream` prints the answer as it arrives, not when it is over."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from understudy_sim.mock import Behaviour, MockSettings, running_mock

pytestmark = pytest.mark.wall_clock

REPLY = "one two three four five six seven eight nine ten"


async def test_the_first_word_is_there_long_before_the_last(tmp_path: Path) -> None:
    path = tmp_path / "mock.toml"
    behaviour = Behaviour(reply=REPLY)
    async with running_mock(MockSettings(behaviour=behaviour)) as mock:
        path.write_text(
            "[log]\nlevel = 'off'\n[providers.mock]\nkind = 'openai-compatible'\nmodels = ['m']\n"
            f"base_url = '{mock.url}/v1'\n[stream]\ngap_max = '60s'\n"
        )
        mock.control.set_schedule([{"kind": "stall", "after_bytes": 900}])  # then silence
        program = [sys.executable, "-c", "from understudy.cli import main; main()"]
        process = await trio.lowlevel.open_process(
            [*program, "route", "hi", "--stream", "-c", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "")},
        )
        assert process.stdout is not None
        shown = b""
        with trio.fail_after(30):
            while len(shown) < 3:
                shown += await process.stdout.receive_some(100)
        assert process.poll() is None  # it still waits for the rest
        assert REPLY.encode().startswith(shown)
        process.kill()
        await process.wait()
        await process.stdout.aclose()
