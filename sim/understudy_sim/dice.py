"""Draws for a generator of documents, each keyed by what it decides: one more moves no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import attrs

from understudy_actors.runtime.ports import Randomness

T = TypeVar("T")

EVEN: Final = 0.5
"""How often a feature is there at all. Swarm testing's own choice; source: Groce, Zhang, Eide,
Chen, Regehr, "Swarm Testing", ISSTA 2012."""


@attrs.frozen
class Dice:
    """Draws under one name; `under` gives those of a part.

    Laws: the same seed and name give the same draw, whatever was drawn before; numbers are rounded
    to what a person would write.
    """

    randomness: Randomness
    name: str = "swarm"

    def under(self, part: str) -> Dice:
        """The dice of a part."""
        return Dice(self.randomness, f"{self.name}/{part}")

    def chance(self, what: str, likely: float = EVEN) -> bool:
        """Whether something is so."""
        return self.uniform(what) < likely

    def pick(self, what: str, options: Sequence[T]) -> T:
        """One of them, each as likely."""
        return options[int(self.uniform(what) * len(options))]

    def some(self, what: str, options: Sequence[T]) -> list[T]:
        """Each of them or not, in their order; at least one."""
        kept = [each for n, each in enumerate(options) if self.chance(f"{what}/{n}")]
        return kept or [self.pick(what, options)]

    def whole(self, what: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.uniform(what) * (high - low + 1))

    def between(self, what: str, low: float, high: float) -> float:
        """A number from `low` to `high`, as often in each of its decades, with three digits."""
        return float(f"{low * (high / low) ** self.uniform(what):.3g}")

    def even(self, what: str, low: float, high: float) -> float:
        """A number from `low` to `high`, everywhere as likely, with three digits."""
        return float(f"{low + (high - low) * self.uniform(what):.3g}")

    def uniform(self, what: str) -> float:
        """A number in [0, 1)."""
        return self.randomness.uniform(f"{self.name}/{what}", 0)
