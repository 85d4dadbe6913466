"""The promise: one seed, one run, in whatever process, on whatever Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.determinism import model

ROOT = Path(__file__).parents[3]
SEEDS = 200


def fresh(*arguments: str, hash_seed: int, python: str = sys.executable) -> list[str]:
    """The signatures as a new process has them."""
    roots = [str(ROOT / part) for part in ("actors", "engine", "sim", "")]
    done = subprocess.run(
        [python, "-m", "tests.sim.determinism.model", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": os.pathsep.join(roots)},
    )
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def warm() -> list[str]:
    """The signatures as this process has them, which has run much else before."""
    return [model.signature(seed) for seed in range(SEEDS)]


def test_a_warm_process_repeats_every_seed(warm: list[str]) -> None:
    again = [model.signature(seed) for seed in reversed(range(SEEDS))]
    assert again[::-1] == warm


@pytest.mark.parametrize("hash_seed", [0, 4711])
def test_a_fresh_process_repeats_every_seed_under_any_hash_seed(
    warm: list[str], hash_seed: int
) -> None:
    assert fresh(str(SEEDS), hash_seed=hash_seed) == warm


def test_hypothesis_being_imported_changes_nothing(warm: list[str]) -> None:
    assert fresh(str(SEEDS), "hypothesis", hash_seed=1) == warm


def other_pythons() -> list[str]:
    """Interpreters of other versions: from PATH, and those that UNDERSTUDY_PYTHONS lists."""
    named = os.environ.get("UNDERSTUDY_PYTHONS", "").split(os.pathsep)
    return [*filter(None, named), "python3.12", "python3.13"]


@pytest.mark.parametrize("python", other_pythons())
def test_another_version_of_python_repeats_every_seed(warm: list[str], python: str) -> None:
    path = shutil.which(python)
    probe = [path or "", "-c", "import trio, attrs, msgspec"]
    if path is None or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip(f"no {python} with trio, attrs and msgspec here")
    assert fresh(str(SEEDS), hash_seed=2, python=path) == warm


def test_seeds_differ_from_each_other(warm: list[str]) -> None:
    assert len({line.split()[1] for line in warm}) == SEEDS


def test_the_check_finds_a_leak_of_the_hash_order() -> None:
    one, other = (fresh("8", "leak", hash_seed=seed) for seed in (1, 2))
    assert one != other
