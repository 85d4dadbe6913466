"""The one module that binds the ports to the real world: trio's clock, the OS's randomness, ids."""

from __future__ import annotations

import os
import time

import attrs
import trio

from understudy_actors.runtime.ports import Clock, Ids, Randomness


class SystemClock:
    """trio's monotonic clock, and the system's wall clock."""

    __slots__ = ()

    def now(self) -> float:
        """Seconds on trio's clock, so that virtual time works in tests."""
        return trio.current_time()

    def wall(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time()


class TimeOrderedIds:
    """UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, the rest random."""

    __slots__ = ()

    def request_id(self) -> str:
        """A new UUIDv7 in its usual form."""
        stamp = (time.time_ns() // 1_000_000) & 0xFFFFFFFFFFFF
        bits = int.from_bytes(os.urandom(10), "big")
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
