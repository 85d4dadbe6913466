"""Whether this process is a fork of the one that opened an engine: threads do not survive that."""

from __future__ import annotations

import os
from typing import Final

FORKED: Final = (
    "this process was forked from the one that opened the engine, and the engine stayed there: "
    "open one in each process, after the fork (e.g. in a worker's start-up hook), or start "
    "processes by `spawn`."
)

_forks = 0


def _count() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_count)


class Birthplace:
    """The process in which it was made."""

    __slots__ = ("_forks",)

    def __init__(self) -> None:
        self._forks = _forks

    @property
    def left(self) -> bool:
        """Is this another process?"""
        return self._forks != _forks

    def check(self) -> None:
        """Refuse to be used elsewhere.

        Raises:
            RuntimeError: This is another process.
        """
        if self._forks != _forks:
            raise RuntimeError(FORKED)
