"""The one module that binds the ports to the real world: trio's clock, the OS's randomness, ids."""

from __future__ import annotations

import os
import time
from typing import Final

import attrs
import trio

from understudy_actors.runtime.ports import Clock, Ids, Randomness

_IDS_AT_ONCE: Final = 256


class SystemClock:
    """trio's monotonic clock, and the system's wall clock."""

    __slots__ = ()

    now = staticmethod(trio.current_time)  # read several times a request: no frame of our own

    def wall(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time()


class TimeOrderedIds:
    """UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, the rest random.

    Random bytes are fetched for many at once, and anew in a forked child.
    """

    __slots__ = ("_bytes", "_pid", "_used")

    def __init__(self) -> None:
        self._bytes = b""
        self._used = 0
        self._pid = 0

    def request_id(self) -> str:
        """A new UUIDv7 in its usual form."""
        if self._used >= len(self._bytes) or self._pid != os.getpid():
            self._bytes, self._used, self._pid = os.urandom(10 * _IDS_AT_ONCE), 0, os.getpid()
        stamp = (time.time_ns() // 1_000_000) & 0xFFFFFFFFFFFF
        bits = int.from_bytes(self._bytes[self._used : self._used + 10], "big")
        self._used += 10
        a, b, c = bits >> 68, 0x8000 | (bits >> 54 & 0x3FFF), bits & 0xFFFFFFFFFFFF
        return f"{stamp >> 16:08x}-{stamp & 0xFFFF:04x}-7{a:03x}-{b:04x}-{c:012x}"


def fresh_seed() -> int:
    """64 random bits from the operating system."""
    return int.from_bytes(os.urandom(8), "big")


@attrs.frozen
class Ports:
    """What an engine meets the world through, apart from its transport."""

    clock: Clock = attrs.Factory(SystemClock)
    ids: Ids = attrs.Factory(TimeOrderedIds)
    randomness: Randomness = attrs.Factory(lambda: Randomness(fresh_seed()))
