"""Runs documents in a fresh interpreter under another hash seed, and compares.

Some leaks show only in a process that has run before, others only under another hash seed, so the
two sides of a comparison must differ in both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from understudy_sim.diff import diff
from understudy_sim.examine import Item, document_of, lab_of, run_chunk
from understudy_sim.tracefile import read, record_run

HASH_SEED: Final = "4242"
COMPARED: Final = ("semantic", "schedule", "progress", "steps", "checkpoints")
"""What must be equal, first what tells most."""


class FreshFailed(RuntimeError):
    """The other interpreter did not come to an end."""


def run_fresh(items: Sequence[Item], lab: str) -> list[dict[str, Any]]:
    """As `run_chunk`, in an interpreter of its own under another hash seed.

    Raises:
        FreshFailed: It ended with an error; the message has its last lines.
    """
    found: list[dict[str, Any]] = msgspec.json.decode(_fresh({"items": list(items), "lab": lab}))
    return found


def differing(warm: Mapping[str, Any], fresh: Mapping[str, Any]) -> list[str]:
    """What of `COMPARED` differs between two results for the same item."""
    return [name for name in COMPARED if warm[name] != fresh[name]]


def explain(item: Item, lab: str) -> str:
    """Where a run here and a fresh one part, for people."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fresh.trace"
        _fresh({"items": [item], "lab": lab, "trace": str(path)})
        fresh = read(path)
    made = lab_of(lab)
    difference = diff(record_run(made.run(document_of(item, made))), fresh)
    if difference is None:
        return (
            "the events are equal when both are run again: what leaks is left over from earlier "
            "runs of the same process, or touches the order of tasks alone"
        )
    return str(difference)


def _fresh(order: dict[str, Any]) -> bytes:
    environ = {
        **os.environ, "PYTHONHASHSEED": HASH_SEED, "PYTHONPATH": os.pathsep.join(sys.path)
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "understudy_sim.fresh"],
        input=msgspec.json.encode(order),
        capture_output=True,
        env=environ,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace")[-800:]
        raise FreshFailed(f"a fresh interpreter ended with {done.returncode}: {said}")
    return done.stdout


def _main() -> None:
    order = msgspec.json.decode(sys.stdin.buffer.read())
    if "trace" in order:
        lab = lab_of(order["lab"])
        ran = lab.run(document_of(order["items"][0], lab))
        record_run(ran).write(Path(order["trace"]))
        return
    sys.stdout.buffer.write(msgspec.json.encode(run_chunk(order["items"], order["lab"])))


if __name__ == "__main__":
    _main()
