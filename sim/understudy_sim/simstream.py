"""A streamed answer of a simulated provider: each event at its time, whole or broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import trio

from understudy.transport.http import TransportFailed
from understudy_actors.runtime.ports import Clock
from understudy_sim.fault_kinds import Cut, Drip, FailingFault, Ghost, Malformed, Stall
from understudy_sim.mock.wire import Answer, malformed

End: TypeAlias = Literal["end", "silence", "reset"]
Frames: TypeAlias = list[tuple[float, bytes]]
"""Each event, and how many seconds after the first one's time it is there."""
GONE: Final = "the connection was reset"


def broken(
    answer: Answer, rest_s: float, fault: FailingFault | None, error: Answer
) -> tuple[Frames, End]:
    """The events of an answer that takes `rest_s` seconds after its first, in the fault's manner.

    `error` is what an error event says.
    """
    if isinstance(fault, Malformed):
        answer = malformed(fault.variant, answer, error)
    frames = answer.frames or (answer.body,)
    match fault:
        case Drip(bytes_per_s=bytes_per_s):
            sizes = [sum(map(len, frames[: at + 1])) for at in range(len(frames))]
            return [
                (size / bytes_per_s, each) for size, each in zip(sizes, frames, strict=True)
            ], "end"
        case Ghost(variant="silence"):
            return [], "silence"
        case Ghost():
            return [(rest_s, b"")], "reset"
        case Stall(after_bytes=after_bytes, lasts_s=None):
            return _until(_paced(frames, rest_s), after_bytes), "silence"
        case Stall(after_bytes=after_bytes, lasts_s=float(lasts_s)):
            return _held_up(_paced(frames, rest_s), after_bytes, lasts_s), "end"
        case Cut(after_bytes=after_bytes):
            half = sum(map(len, frames)) // 2
            return _until(
                _paced(frames, rest_s), half if after_bytes is None else after_bytes
            ), "reset"
        case _:
            return _paced(frames, rest_s), "end"


def _paced(frames: Sequence[bytes], rest_s: float) -> Frames:
    pace_s = rest_s / max(1, len(frames) - 1)
    return [(at * pace_s, frame) for at, frame in enumerate(frames)]


def _until(frames: Frames, left: int) -> Frames:
    """The first `left` bytes."""
    kept: Frames = []
    for at_s, frame in frames:
        if left <= 0:
            break
        kept.append((at_s, frame[:left]))
        left -= len(frame)
    return kept


def _held_up(frames: Frames, after_bytes: int, lasts_s: float) -> Frames:
    """All of them; what follows the first `after_bytes` bytes comes so much later."""
    late: Frames = []
    left = after_bytes
    for at_s, frame in frames:
        if rest := frame[max(0, left) :]:
            late.append((at_s + lasts_s, rest))
        left -= len(frame)
    return _until(frames, after_bytes) + late


class SimStream:
    """A response whose body arrives in simulated time; see `HttpStream`.

    What is due when its reader comes arrives in one piece, as it would over a network.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        frames: Frames,
        end: End,
        clock: Clock,
        sleep_until: Callable[[float], object],
        leave: Callable[[], None],
    ) -> None:
        self.status = 200
        self.headers = headers
        self._began = clock.now()
        self._frames = frames
        self._end = end
        self._clock = clock
        self._sleep_until = sleep_until
        self._leave = leave
        self._at = 0

    async def receive(self) -> bytes:
        """What is due; if that is nothing, what comes next, when it comes."""
        frames, piece = self._frames, b""
        if self._at < len(frames):
            await self._sleep_until(self._began + frames[self._at][0])  # type: ignore[misc]
            now = self._clock.now()
            while self._at < len(frames) and self._began + frames[self._at][0] <= now:
                piece += frames[self._at][1]
                self._at += 1
        else:
            await trio.lowlevel.checkpoint()
        if piece:
            return piece
        if self._end == "silence":
            await trio.sleep_forever()
        if self._end == "reset":
            raise TransportFailed(GONE, sent=True)
        return b""

    async def aclose(self, *, over: bool = False) -> None:
        """The client has left, or needs no more."""
        if not over:
            self._leave()
