"""The one module that binds the ports to the real world: trio's clock, the OS's randomness, ids."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable
from typing import Final

import attrs
import trio

from understudy_actors.runtime.ports import Clock, Ids, Randomness
from understudy_actors.runtime.trace import Trace

_IDS_AT_ONCE: Final = 256
_FORM: Final = b"xxx-vxxx-xxxxxxxxxxxx"
"""What follows the version digit: random digits, the first two bits of `v` being the variant."""
_PLACES: Final = [place for place, each in enumerate(_FORM.decode()) if each != "-"]
_DIGITS: Final = 20
"""Random digits for each, of which one is left over."""
_VARIANTS: Final = bytes.maketrans(b"0123456789abcdef", b"89ab" * 4)

monotonic: Final = time.monotonic
"""Seconds of the clock that trio and the loops of asyncio go by."""


class SystemClock:
    """The clock of the trio run that it is made in, and the system's wall clock.

    Both are read several times a request, so each is the very function that tells the time. Made
    outside a run, it asks trio for the current clock each time.
    """

    __slots__ = ("now", "wall")

    def __init__(self) -> None:
        self.wall: Callable[[], float] = time.time
        self.now: Callable[[], float] = trio.current_time
        if trio.lowlevel.in_trio_run():
            self.now = trio.lowlevel.current_clock().current_time


class TimeOrderedIds:
    """UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, the rest random.

    Random tails are made for many at once, and anew in a forked child.
    """

    __slots__ = ("__weakref__", "_millisecond", "_prefix", "_tails")

    def __init__(self) -> None:
        self._tails: list[str] = []
        _MAKERS.add(self)
        self._millisecond = -1
        self._prefix = ""

    def request_id(self) -> str:
        """A new UUIDv7 in its usual form."""
        if not self._tails:
            self._tails = _tails()
        millisecond = time.time_ns() // 1_000_000
        if millisecond != self._millisecond:
            stamp = f"{millisecond & 0xFFFFFFFFFFFF:012x}"
            self._millisecond, self._prefix = millisecond, f"{stamp[:8]}-{stamp[8:]}-7"
        return self._prefix + self._tails.pop()

    def forget(self) -> None:
        """Make the next tails anew: the ones at hand belong to the parent of this process."""
        self._tails = []


_MAKERS: Final = weakref.WeakSet[TimeOrderedIds]()


def _in_child() -> None:
    for each in list(_MAKERS):
        each.forget()


os.register_at_fork(after_in_child=_in_child)


def _tails() -> list[str]:
    """What follows the version digit, for `_IDS_AT_ONCE` ids: 74 random bits and the variant.

    All ids are written at once, column by column: one after the other, in many small texts, they
    cost a request as much as the rest of its acceptance.
    """
    digits = os.urandom(_DIGITS // 2 * _IDS_AT_ONCE).hex().encode()
    text = bytearray(_FORM * _IDS_AT_ONCE)
    for number, place in enumerate(_PLACES):
        text[place :: len(_FORM)] = digits[number::_DIGITS]
    variants = text[_FORM.index(b"v") :: len(_FORM)]
    text[_FORM.index(b"v") :: len(_FORM)] = variants.translate(_VARIANTS)
    tails = text.decode()
    return [tails[at : at + len(_FORM)] for at in range(0, len(tails), len(_FORM))]


def fresh_seed() -> int:
    """64 random bits from the operating system."""
    return int.from_bytes(os.urandom(8), "big")


@attrs.frozen
class Ports:
    """What an engine meets the world through, apart from its transport.

    `trace` is this one engine's own; whoever listens to it before hears the very first event.
    `entropy` gives random bytes that nobody can foresee, which `randomness` is not made for.
    """

    clock: Clock = attrs.Factory(SystemClock)
    ids: Ids = attrs.Factory(TimeOrderedIds)
    randomness: Randomness = attrs.Factory(lambda: Randomness(fresh_seed()))
    trace: Trace = attrs.Factory(Trace)
    entropy: Callable[[int], bytes] = os.urandom
