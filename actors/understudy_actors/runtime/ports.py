"""The ports through which the core meets the world: clock, timers, randomness, ids.

(A fourth, the transport, belongs to the engine: the core sends no bytes.)
Production binds them to the OS, a simulation to a seeded world; nothing else may tell the time
or draw a number.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final, Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """Seconds on a monotonic clock; only differences mean anything."""
        ...

    def wall(self) -> float:
        """Seconds since the Unix epoch; may jump either way."""
        ...


class TimerHandle(Protocol):
    """A timer that has been set."""

    def cancel(self) -> None:
        """Make sure that it does not fire. Harmless when it already has."""
        ...


class Timers(Protocol):
    """Calls back at a time. Equal times fire in the order in which they were set."""

    def at(self, at_s: float, callback: Callable[[], None]) -> TimerHandle:
        """Call `callback` once, at or soon after `at_s` (absolute, on `Clock.now`)."""
        ...


class Ids(Protocol):
    """Makes identifiers."""

    def request_id(self) -> str:
        """A new identifier, unique in this deployment."""
        ...


_SCALE: Final = 2.0**-53


class Randomness:
    """Uniform numbers as a pure function of (seed, stream name, index).

    No draw depends on another: leaving one out changes none of the rest, which keeps a shrunken
    or re-configured simulation comparable with the original.
    """

    __slots__ = ("_key",)

    def __init__(self, seed: int) -> None:
        self._key = seed.to_bytes(8, "big", signed=False)

    def bits(self, stream: str, index: int) -> int:
        """64 uniform bits."""
        name = f"{stream}\0{index}".encode()
        return int.from_bytes(blake2b(name, digest_size=8, key=self._key).digest(), "big")

    def uniform(self, stream: str, index: int) -> float:
        """A float in [0, 1)."""
        return (self.bits(stream, index) >> 11) * _SCALE

    def stream(self, name: str) -> Stream:
        """A named sequence of draws with a counter of its own."""
        return Stream(self, name)


class Stream:
    """Draws 0, 1, 2, ... of one named stream."""

    __slots__ = ("_index", "_name", "_source")

    def __init__(self, source: Randomness, name: str) -> None:
        self._source = source
        self._name = name
        self._index = 0

    def bits(self) -> int:
        """The next 64 uniform bits."""
        self._index += 1
        return self._source.bits(self._name, self._index)

    def uniform(self) -> float:
        """The next float in [0, 1)."""
        return (self.bits() >> 11) * _SCALE
