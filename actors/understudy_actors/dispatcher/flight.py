"""A flight: one request on its way, as its own loop keeps it. It dies with the request.

Both are records that change, and Structs because a Struct is made in a fifth of the time. What they
hold many of are tuples: the record of a request goes on holding them when the flight is gone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from understudy_actors.dispatcher.select import Route
from understudy_actors.domain.bulkhead import Compartments
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import Attempt

_NOBODY: Final[Mapping[str, str]] = MappingProxyType({})


class Decision(Struct, eq=False, gc=False):
    """How the dispatcher ranked the candidates once, and why others were left out.

    `ranked` is best first; `left_out` maps a name to the reason why it was left out this time (what
    never changes stands in `route.left_out`). `retry_at` is the earliest time at which one of them
    may admit again; `can_wait` says that somebody is only busy, and `wait_until` how long waiting
    for that makes sense. `copy` says that it is about a second copy.
    """

    at_s: float
    strategy: str
    route: Route
    ranked: Sequence[Candidate]
    left_out: Mapping[str, str] = _NOBODY
    retry_at: float | None = None
    can_wait: bool = False
    wait_until: float = math.inf
    copy: bool = False

    def leave_out(self, reasons: Mapping[str, str]) -> None:
        """Leave out those named in `reasons` too."""
        self.left_out = {**self.left_out, **reasons}

    def reasons(self) -> dict[str, str]:
        """Every candidate that was left out, and why."""
        return {**self.route.left_out, **self.left_out}


class Flight(Struct, eq=False, gc=False):
    """What is known of one request between its acceptance and its outcome.

    Attributes:
        accepted_at, deadline: Absolute, in seconds on the engine's clock.
        max_attempts: Cap over all providers together.
        input_tokens, output_tokens: Estimates.
        fallback: May others be asked when the first fails?
        tried: Candidates that were asked, in order.
        retries_here: Retries on the last of them so far.
        attempts: Their records.
        decisions: What the dispatcher decided, in order: the raw material of the explain record.
        last_error: How the last attempt failed.
        wait_s: Seconds waited since the last attempt.
        ended_at: When its last attempt ended.
        ticket: Place in the queue for a slot; 0 as long as it never waited.
        queued_at: When it got that place.
        streams: Is its answer delivered piece by piece?
        hedge: May a second copy of it be sent? None (streams only): as each endpoint says.
        hedged: Was one?
        entered: Its number under the limits of whoever asks; 0 if there are none.
        answered: One of two copies has answered: the other one is called off.
        key: Under what its answer is kept in the response cache; None: it is not.
        compartments: In whose shares of the slots it counts.
        generation: Of the configuration that it was accepted under, from 0.
        outgrew: The largest context window, in tokens, that turned out to be too small for it.
    """

    request: Request
    id: str
    accepted_at: float
    deadline: float
    max_attempts: int
    input_tokens: int
    output_tokens: int
    fallback: bool = True
    tried: tuple[Candidate, ...] = ()
    retries_here: int = 0
    attempts: tuple[Attempt, ...] = ()
    decisions: tuple[Decision, ...] = ()
    last_error: ProviderError | None = None
    wait_s: float = 0.0
    ticket: int = 0
    queued_at: float = 0.0
    ended_at: float = 0.0
    outgrew: int = 0
    streams: bool = False
    hedge: bool | None = False
    hedged: bool = False
    answered: bool = False
    key: bytes | None = None
    compartments: Compartments = ()
    entered: int = 0
    generation: int = 0
