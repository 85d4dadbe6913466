"""One row of the accounts: what one user's attempts at one model came to on one day."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter, sub
from typing import Final

import attrs

from understudy.accounts.latency import Latencies

NUMBERS: Final = (
    "attempts",
    "successes",
    "unknown",
    "micro_usd",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "priced_tokens",
    "estimated_tokens",
    "elapsed_us",
)
"""What adds up, in the order in which it is stored."""
ZEROS: Final = (0,) * len(NUMBERS)
_numbers: Final = attrgetter(*NUMBERS)
_EACH: Final = tuple(map(attrgetter, NUMBERS))


@attrs.define(slots=True, eq=False)
class Tally:
    """Whole numbers that add up: two tallies of one thing are one.

    Attributes:
        attempts: Calls that were sent, however they ended.
        successes: Those that were answered well.
        unknown: Those of which nobody knows what they cost.
        micro_usd: What the others cost.
        input_tokens, output_tokens: Inclusive, as in `Usage`.
        cached_tokens, reasoning_tokens: Of these.
        priced_tokens: Of input and output, those of attempts whose cost is known.
        estimated_tokens: Of input and output, those that no provider reported.
        elapsed_us: How long the successes took together, in microseconds.
    """

    attempts: int = 0
    successes: int = 0
    unknown: int = 0
    micro_usd: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    priced_tokens: int = 0
    estimated_tokens: int = 0
    elapsed_us: int = 0

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def numbers(self) -> tuple[int, ...]:
        """All of it, in the order of `NUMBERS`."""
        numbers: tuple[int, ...] = _numbers(self)
        return numbers

    def add(self, other: Tally) -> None:
        """Take everything of another tally in."""
        for name in NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def total_of(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    rows = list(tallies)
    return Tally(*(sum(map(each, rows)) for each in _EACH))


@attrs.define(slots=True, eq=False)
class Grown(Tally):
    """A tally of one day that tells by how much it has grown.

    Attributes:
        day: Days since 1970-01-01 in the configured time zone.
        others: It stands for everybody who came when a day had its most names.
        owed: It has grown since it was taken, and is noted as such.
        taken: The numbers that were taken.
    """

    day: int = 0
    others: bool = False
    owed: bool = True
    taken: tuple[int, ...] = ZEROS

    def take(self) -> tuple[int, ...]:
        """The numbers by which it has grown since this was called last."""
        before, self.taken, self.owed = self.taken, self.numbers(), False
        return tuple(map(sub, self.taken, before))


@attrs.define(slots=True, eq=False)
class Share(Grown):
    """What the attempts for one key, team or tag came to, at whatever provider.

    Attributes:
        kind: `key`, `team` or `tag`.
        name: Which one; empty for the others.
    """

    kind: str = ""
    name: str = ""

    def grow(self, numbers: Iterable[int]) -> None:
        """Add numbers in the order of `NUMBERS`."""
        for name, number in zip(NUMBERS, numbers, strict=True):
            setattr(self, name, getattr(self, name) + number)


@attrs.define(slots=True, eq=False)
class Row(Grown):
    """A tally with its key.

    Attributes:
        provider, model: Who was asked.
        user, tenant: For whom; None where the request named nobody.
        times: How long the day's answers of this model took; shared by all of its rows.
    """

    provider: str = ""
    model: str = ""
    user: str | None = None
    tenant: str | None = None
    times: Latencies = attrs.Factory(Latencies)
