"""What a hunt has found so far, on disk: a line a fault."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import msgspec

from tests.mutants.harness import Catch, Planted


class Kept(msgspec.Struct, frozen=True):
    """One line: which fault, as it was planted, and what became of it."""

    fault: str
    catch: Catch


class State:
    """Lines are only ever added; the last one of a fault counts. Without a file nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._kept: dict[str, Catch] = {}
        if path is not None and path.exists():
            for line in path.read_bytes().splitlines():
                kept = msgspec.json.decode(line, type=Kept)
                self._kept[kept.fault] = kept.catch

    def get(self, mutant: Planted) -> Catch | None:
        """What became of a fault; None if it was not hunted yet, or was another one then."""
        return self._kept.get(_digest(mutant))

    def keep(self, mutant: Planted, catch: Catch) -> None:
        """Add what became of a fault."""
        if self._path is not None:
            line = msgspec.json.encode(Kept(_digest(mutant), catch))
            with self._path.open("ab") as file:
                file.write(line + b"\n")


def _digest(mutant: Planted) -> str:
    """Changes with the fault, and with the source that it is planted in."""
    return blake2b(f"{mutant.name}\n{mutant.source()}".encode(), digest_size=16).hexdigest()
