"""What campaigns found once, and what must not come back: the documents in `found`."""

from __future__ import annotations

from pathlib import Path

from understudy_sim.examine import LAB
from understudy_sim.pool import Chunk, Pool

FOUND = sorted((Path(__file__).parent / "found").glob("*.json"))


def test_what_was_found_once_stays_fixed() -> None:
    # One of them made the engine spin without end, so they run in a process that can be ended.
    chunks: list[Chunk] = [[path.read_text()] for path in FOUND]
    for chunk, results in Pool(1, stuck_s=30)(chunks, LAB):
        assert results is not None, chunk
        assert results[0]["violations"] == []
        assert results[0]["progress"] == "done"
