"""Silence of an endpoint, rather than of one call: does it still answer anybody?

One call that was cut off early says nothing, for its caller may have had too little time. But
callers who leave one after the other, none of them before the usual time, while nobody else is
answered either, prove together what one who stayed would have: that nothing comes.

    unanswered = the time since the last answer in which somebody waited in vain for at least as
                 long as answers usually take; where waits overlap it counts once

Without this, a provider that falls silent under callers who never wait for the full patience stays
in use for ever, and one that is overloaded never gets the pause in which it could recover: Bronson
et al., "Metastable Failures in Distributed Systems" (HotOS'21).
"""

from __future__ import annotations

import math

import attrs


@attrs.define(slots=True)
class Silence:
    """How long nobody has been answered. A restart forgets it, which is on the safe side."""

    _unanswered_s: float = 0.0  # in (`_answered_at`, `_until`]
    _until: float = -math.inf
    _answered_at: float = -math.inf

    def with_one_more(self, now: float, waited_s: float, ok_at: float) -> float:
        """The seconds unanswered if a call leaves now that waited so long.

        A part of its wait that lies before the end of an earlier one is taken as counted, so this
        is never too much. `ok_at` is the time of the last success.
        """
        answered_at = max(ok_at, self._answered_at)
        if self._until <= answered_at:
            return max(0.0, min(waited_s, now - answered_at))
        return self._unanswered_s + max(0.0, min(waited_s, now - self._until))

    def left(self, now: float, waited_s: float, ok_at: float) -> None:
        """A call left unanswered."""
        self._unanswered_s = self.with_one_more(now, waited_s, ok_at)
        self._until = now

    def answered(self, now: float) -> None:
        """There was an answer that is no success: it is alive all the same."""
        self._answered_at = now
