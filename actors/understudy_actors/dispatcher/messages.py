"""What the dispatcher understands."""

from __future__ import annotations

import attrs
from msgspec import Struct

from understudy_actors.dispatcher.flight import Decision, Flight
from understudy_actors.dispatcher.retry import Failure, Move
from understudy_actors.dispatcher.strategies.base import Strategy
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.request import Request


class Rank(Struct, frozen=True, gc=False):
    """In which order may this flight ask? Answer: a `Decision`."""

    flight: Flight


class Failed(Struct, frozen=True):
    """The flight's attempt at `candidate` failed: what next? Answer: a `Step`."""

    flight: Flight
    candidate: Candidate
    failure: Failure


class WaitForSlot(Struct, frozen=True):
    """Answer, later, when somebody may have a slot for this flight."""

    flight: Flight


class Hedge(Struct, frozen=True):
    """May a second copy of this flight, silent at `first`, be sent? Answer: a `Decision`, whose
    `ranked` are those who may get it; None if none may be sent."""

    flight: Flight
    first: Candidate


class HedgeSent(Struct, frozen=True):
    """A second copy of this flight was sent, as this attempt, after so many seconds."""

    flight: Flight
    candidate: Candidate
    attempt: int
    after_s: float


class HedgeEnded(Struct, frozen=True):
    """A second copy has ended."""


class Disperse(Struct, frozen=True):
    """Nobody waits for a slot any more: the engine closes."""


class LookOver(Struct, frozen=True):
    """How do things stand? Answer: an `Overview`."""


class Overview(Struct, frozen=True):
    """The dispatcher as an operator sees it.

    Attributes:
        waiting: Requests that wait for a slot.
        strategy: The engine's default strategy now.
        by_operation: Operations that were switched to another one.
    """

    waiting: int
    strategy: str
    by_operation: dict[str, str]


class Left(Struct, frozen=True):
    """A flight that had waited was seated, or ended."""

    flight: Flight


class GateChanged(Struct, frozen=True):
    """A candidate began or ceased to refuse, or has a free slot while somebody waits."""

    candidate: Candidate


class Select(Struct, frozen=True):
    """Who should serve such a request now? The caller makes the call. Answer: a `Decision`."""

    request: Request
    input_tokens: int
    output_tokens: int


class SetStrategy(Struct, frozen=True):
    """Use another strategy from now on, for the engine or for one operation."""

    strategy: str | Strategy
    operation: str | None = None


@attrs.define(eq=False, slots=True)
class Step:
    """What a flight does after a failure.

    `HERE`: wait `wait_s`, then ask the same candidate again. `ELSEWHERE`: go on with `decision`.
    `END`: give up; `why` says what stood in the way.
    """

    move: Move
    why: str
    decision: Decision | None = None
    wait_s: float = 0.0
