"""Where two runs part: the first event that differs, and what led to it.

Equal digests of a beginning mean an equal beginning, so checkpoints are searched by bisection and
only one block of events is compared line by line.
"""

from __future__ import annotations

import bisect
import itertools
from typing import Any, Final

import attrs
import msgspec

from understudy_sim.digest import CHECKPOINT_EVERY
from understudy_sim.tracefile import Header, Recording

HISTORY: Final = 8
"""How many events of the same subject are shown."""
# the most telling first: requests pass through scopes, endpoints and actors
_SUBJECTS: Final = ("request", "scope", "endpoint", "actor", "provider", "fault")


@attrs.frozen
class Difference:
    """The first event that differs.

    Attributes:
        index: How many events are equal before it.
        left: The event as a line of JSON; None if that run has ended there.
        right: The same of the other run.
        history: The last of the equal events about the same request, scope or actor.
        setup: Header fields that differ, with both values.
    """

    index: int
    left: str | None
    right: str | None
    history: tuple[str, ...]
    setup: tuple[tuple[str, Any, Any], ...] = ()

    def __str__(self) -> str:
        """A few lines for people."""
        setup = [f"  {name}: {left!r} against {right!r}" for name, left, right in self.setup]
        return "\n".join(
            [
                f"the runs part at event {self.index + 1}, after {self.index} equal ones",
                *(["they were set up differently:", *setup] if setup else []),
                *(["before it, about the same:"] if self.history else []),
                *(f"    {line}" for line in self.history),
                f"  - {self.left or 'the first run has ended'}",
                f"  + {self.right or 'the second run has ended'}",
            ]
        )


def diff(left: Recording, right: Recording) -> Difference | None:
    """The first difference in what happened, None if there is none.

    Headers alone make no difference: that two versions of Python agree is good news.
    """
    if left.end.semantic == right.end.semantic:
        return None
    index = _first_difference(left, right)
    ours, theirs = _line(left, index), _line(right, index)
    return Difference(
        index=index,
        left=ours.decode() if ours else None,
        right=theirs.decode() if theirs else None,
        history=_history(left.lines[:index], _subject(ours) | _subject(theirs)),
        setup=_setup(left.header, right.header),
    )


def _first_difference(left: Recording, right: Recording) -> int:
    ours, theirs = left.end.checkpoints, right.end.checkpoints
    blocks = range(min(len(ours), len(theirs)))
    equal_blocks = bisect.bisect_left(blocks, True, key=lambda at: ours[at] != theirs[at])
    index = equal_blocks * CHECKPOINT_EVERY
    shorter = min(len(left.lines), len(right.lines))
    while index < shorter and left.lines[index] == right.lines[index]:
        index += 1
    return index


def _line(recording: Recording, index: int) -> bytes | None:
    return recording.lines[index] if index < len(recording.lines) else None


def _subject(line: bytes | None) -> set[bytes]:
    """What the event is about, as it stands in the line; an event of a request is about that."""
    fields = msgspec.json.decode(line) if line else {}
    named = (msgspec.json.encode({n: fields[n]})[1:-1] for n in _SUBJECTS if n in fields)
    return {*itertools.islice(named, 1)}


def _history(lines: tuple[bytes, ...], subjects: set[bytes]) -> tuple[str, ...]:
    """The last lines about any of these, or simply the last ones if that is nobody."""
    found: list[str] = []
    for line in reversed(lines):
        if not subjects or any(subject in line for subject in subjects):
            found.append(line.decode())
            if len(found) == HISTORY:
                break
    return tuple(reversed(found))


def _setup(left: Header, right: Header) -> tuple[tuple[str, Any, Any], ...]:
    ours, theirs = msgspec.structs.asdict(left), msgspec.structs.asdict(right)
    return tuple((name, ours[name], theirs[name]) for name in ours if ours[name] != theirs[name])
