"""How long one stream may be silent, and how long it was.

Four limits hold at once: silence before the first token and silence between two tokens, both
learned for each endpoint; the attempt's own limit; the request's deadline. While somebody else
could still be asked, a silent start may use only a share of the time left. Whatever the provider
sends breaks its silence between two tokens, a comment that keeps the connection alive as well;
before the first token only a token does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from understudy.prices import BYTES_PER_TOKEN
from understudy.routing.loop import MIN_USEFUL_S, SHARE_LEFT
from understudy.routing.settlement import Pace
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.delta import Delta, TextDelta, ToolCallDelta
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.result import Usage

TAIL_S: Final = 2.0
"""What may follow the finish reason (token counts, the end marker) is awaited so long: the answer
is whole without it."""


class Silence:
    """The limits of one attempt that began at `began`, and what was measured under them."""

    __slots__ = (
        "_began",
        "_bytes",
        "_first_at",
        "_first_token_s",
        "_flight",
        "_gap_limit_s",
        "_gap_s",
        "_idle_s",
        "_idle_since",
        "_share_at",
        "_timeout_at",
        "_waited_s",
    )

    def __init__(self, flight: Flight, candidate: Candidate, began: float) -> None:
        first_s, self._gap_limit_s = candidate.health.silence_s(began, candidate.spec.stream)
        self._flight = flight
        self._began = began
        self._first_at = began + first_s
        self._share_at = began + _share_s(flight, candidate, began)
        self._timeout_at = began + candidate.spec.timeout_s
        self._first_token_s: float | None = None
        self._waited_s = 0.0  # for the next token
        self._gap_s: float | None = None
        self._idle_since: float | None = None
        self._idle_s = 0.0
        self._bytes = 0  # of text and arguments

    def pause(self, now: float) -> None:
        """From here on the caller is waited for, not the provider."""
        self._idle_since = now

    def resume(self, now: float) -> None:
        """The caller wants more."""
        self._idle_s, self._idle_since = self._idle_until(now), None

    def limit(self, now: float, *, begun: bool, whole: bool) -> tuple[float, ErrorClass]:
        """Until when a read that begins now may last, and what its passing means.

        Args:
            now: On the engine's clock.
            begun: Has the model put out anything yet?
            whole: Would the answer be whole if it ended here?
        """
        ends_at = min(self._timeout_at + self._idle_s, self._flight.deadline)
        if whole:
            return min(now + TAIL_S, ends_at), ErrorClass.SILENT
        at = now + self._gap_limit_s if begun else self._first_at
        others = ends_at if begun else min(self._share_at, ends_at)
        return (at, ErrorClass.STALLED) if at <= others else (others, ErrorClass.SILENT)

    def complaint(self, *, begun: bool) -> str:
        """What to say when one of the learned limits has passed."""
        limit_s = self._gap_limit_s if begun else self._first_at - self._began
        key, what = ("gap", "further token") if begun else ("first_token", "token")
        return (
            f"sent no {what} within {limit_s:.2f} s. If it is only slow, raise `{key}_min` and "
            f"`{key}_max` in `stream`"
        )

    def heard(self, now: float, waited_s: float, deltas: Iterable[Delta], *, begun: bool) -> None:
        """After waiting so long for the provider something came; `deltas` of it are output."""
        self._waited_s += waited_s
        if self._first_token_s is None:
            if not begun:
                return  # at most a count of tokens
            self._first_token_s = now - self._began
        elif deltas:
            self._gap_s = max(self._gap_s or 0.0, self._waited_s)
        else:
            return
        self._waited_s = 0.0
        for delta in deltas:
            if isinstance(delta, TextDelta):
                text = delta.text
                self._bytes += len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
            elif isinstance(delta, ToolCallDelta):
                self._bytes += len(delta.arguments)

    def pace(self, now: float, unfinished: Usage | None) -> Pace:
        """All that was measured; `unfinished` are the tokens of an answer that was not ended."""
        return Pace(self._first_token_s, self._gap_s, self._idle_until(now), unfinished)

    def usage(self, told: Usage | None) -> Usage:
        """The tokens of an answer that nobody counted to its end, by what came of it."""
        output = math.ceil(self._bytes / BYTES_PER_TOKEN)
        if told is None:
            return Usage(self._flight.input_tokens, output, estimated=True)
        output = max(told.output_tokens, output)
        return replace(told, output_tokens=output, estimated=True)

    def _idle_until(self, now: float) -> float:
        return self._idle_s + (now - self._idle_since if self._idle_since is not None else 0.0)


def _share_s(flight: Flight, candidate: Candidate, now: float) -> float:
    """How long one may stay silent while somebody else could still be asked in time."""
    ranked = flight.decisions[-1].ranked if flight.decisions else ()
    others = any(each is not candidate and each not in flight.tried for each in ranked)
    if not others or len(flight.attempts) + 1 >= flight.max_attempts:
        return math.inf
    return max(MIN_USEFUL_S, (flight.deadline - now) * SHARE_LEFT)
