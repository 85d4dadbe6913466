"""Fair shares among those who all have work waiting: start-time fair queueing.

Each tenant has a tag, what it has been served so far in tokens over its weight; whoever's is lowest
comes next. Whoever had nothing waiting for a while starts from where the others are now: idleness
earns no credit. Between two tenants that both wait all the time, what they were served (over their
weights) never differs by more than the largest request of each.

Source: Goyal, Vin and Cheng, "Start-time Fair Queueing" (1996), equations 4 to 6 and theorem 1. It
needs no quantum, which deficit round-robin would have to be given in tokens beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

AHEAD_MAX: Final = 1000
"""So many tenants without work are remembered. Where each waits alone for a moment, nobody ever
catches up with them, and there may be as many as there are users."""


@attrs.define(slots=True, eq=False)
class FairShares:
    """Tags of the tenants that matter: those in line, and those still ahead of the others.

    Attributes:
        weights: Share of each tenant relative to the others; 1 for who is not named.
        reached: The tag of whoever was served last.
    """

    weights: Mapping[str, float]
    reached: float = 0.0
    _ahead: dict[str, float] = attrs.Factory(dict)

    def enter(self, tenant: str) -> float:
        """The tag of a tenant that begins to wait."""
        return max(self.reached, self._ahead.pop(tenant, 0.0))

    def serve(self, tenant: str, tag: float, tokens: float) -> float:
        """A tenant with this tag is served a request of so many tokens; returns its next tag."""
        self.reached = max(self.reached, tag)
        return tag + tokens / self.weights.get(tenant, 1.0)

    def leave(self, tenant: str, tag: float) -> None:
        """A tenant has nothing waiting any more: remember it as long as it is ahead."""
        if tag > self.reached:
            self._ahead[tenant] = tag
        if len(self._ahead) > AHEAD_MAX:
            self._forget()

    def _forget(self) -> None:
        """Forget whom the others have caught up with, and of the rest who is least ahead."""
        ahead = [each for each in self._ahead.items() if each[1] > self.reached]
        ahead.sort(key=lambda each: each[1])
        self._ahead = dict(ahead[-AHEAD_MAX // 2 :])

    @property
    def idle(self) -> bool:
        """Is nobody ahead of the others?"""
        return not any(tag > self.reached for tag in self._ahead.values())
