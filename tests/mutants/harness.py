"""Plants a fault in a copy of the source trees, and has the campaign's own code hunt for it there.

The copy stands first on the path of a fresh interpreter, so the engine, the simulator and the
checkers that run are those of the copy: what a campaign runs, but for the fault.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).parents[2]
TREES: Final = {
    "understudy": ROOT / "engine",
    "understudy_actors": ROOT / "actors",
    "understudy_sim": ROOT / "sim",
}


@dataclass(frozen=True)
class Planted:
    """One fault: in `module` (dotted), the text `old`, which occurs once, becomes `new`."""

    name: str
    module: str
    old: str
    new: str

    @property
    def path(self) -> Path:
        """The file, relative to its tree."""
        return Path(*self.module.split(".")).with_suffix(".py")

    def source(self) -> str:
        """The faulty source.

        Raises:
            LookupError: `old` does not occur exactly once, so the fault is no longer this fault.
        """
        source = (TREES[self.module.partition(".")[0]] / self.path).read_text()
        if (count := source.count(self.old)) != 1:
            raise LookupError(f"{self.name}: {self.old!r} occurs {count} times in {self.module}")
        return source.replace(self.old, self.new)

    def __str__(self) -> str:
        return self.name


def planted_in(module: str, *faults: tuple[str, str, str]) -> tuple[Planted, ...]:
    """Faults of one module: name, old text, new text."""
    return tuple(Planted(name, module, old, new) for name, old, new in faults)


class Catch(msgspec.Struct, frozen=True):
    """What the hunt came to.

    Attributes:
        documents: How many were run, the first that found it included.
        world: The name of the one that was shrunk; empty if none found it.
        monitor: The law that was broken, such as `S3`; `run` for an exception; None: not found.
        sentence: How.
        size: Requests and faults of the shrunk document; None if it was not shrunk.
    """

    documents: int
    world: str = ""
    monitor: str | None = None
    sentence: str = ""
    size: tuple[int, int] | None = None


REQUESTS_MAX: Final = 5
FAULTS_MAX: Final = 2


def small(size: tuple[int, int]) -> bool:
    """Is a proof of so many requests and faults small enough to be read?"""
    return size[0] <= REQUESTS_MAX and size[1] <= FAULTS_MAX


class Order(msgspec.Struct, frozen=True):
    """What the hunter is to do: run `documents` documents but for those in `skip`.

    No document begins after so many `seconds`. `healthy` asks what is found although nothing is
    planted.
    """

    documents: int
    skip: tuple[int, ...] = ()
    shrink: bool = False
    healthy: bool = False
    seconds: float = 1e9


def hunt(mutant: Planted, folder: Path, order: Order) -> Catch:
    """Plant `mutant` in a copy in `folder`, and run documents there until a checker complains."""
    _copy(folder)
    (folder / mutant.path).write_text(mutant.source())
    return msgspec.json.decode(_run(folder, order, mutant.name), type=Catch)


def healthy(folder: Path, documents: int) -> list[Catch]:
    """What the checkers say of a copy without a fault."""
    _copy(folder)
    found = _run(folder, Order(documents, healthy=True), "nothing")
    return msgspec.json.decode(found, type=list[Catch])


def _copy(folder: Path) -> None:
    for package, tree in TREES.items():
        shutil.copytree(tree / package, folder / package, dirs_exist_ok=True)


def _run(folder: Path, order: Order, name: str) -> bytes:
    arguments = [sys.executable, "-m", "tests.mutants.hunter", msgspec.json.encode(order).decode()]
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(arguments, env=environ, capture_output=True, check=False, cwd=folder)
    if done.returncode:
        raise RuntimeError(f"the hunt for {name!r} broke:\n{done.stderr.decode()[-2000:]}")
    return done.stdout
