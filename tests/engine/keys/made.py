"""Keys and engines for tests of keys."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import count
from typing import Any

from understudy.config.terms import KeyTerms
from understudy.keys.token import Hashing

PRICE = {"input": 0.0, "output": 10.0}
"""A token of an answer costs 10 micro-USD."""


def entropy(seed: int = 0) -> Callable[[int], bytes]:
    """Bytes that look random, the same in each run."""
    numbers = count()
    return lambda n: hashlib.shake_128(f"{seed} {next(numbers)}".encode()).digest(n)


class Counted(Hashing):
    """Counts what is hashed and compared."""

    def __init__(self) -> None:
        real, calls = Hashing(), list[str]()

        def digest(salt: bytes, text: str) -> bytes:
            calls.append("hash")
            return real.digest(salt, text)

        def same(one: bytes, other: bytes) -> bool:
            assert len(one) == len(other), "hashes of unlike lengths are told apart at once"
            calls.append("compare")
            return real.same(one, other)

        super().__init__(digest, same)
        object.__setattr__(self, "calls", calls)

    def taken(self) -> tuple[int, int]:
        """How many of each there were since this was called last."""
        calls: list[str] = self.__dict__["calls"]
        found = calls.count("hash"), calls.count("compare")
        calls.clear()
        return found


def terms(**more: Any) -> KeyTerms:
    return KeyTerms.read(more)
