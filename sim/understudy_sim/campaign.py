"""What came of many runs: the failures, the smallest run of each, and what was covered."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

import attrs

from understudy_sim.cover import Coverage

_CONVERGENCE: Final = frozenset({"L3", "L7"})
"""Laws that say that the world gets well after the last fault."""
NONDETERMINISM: Final = "nondeterminism"


class Exit(enum.IntEnum):
    """How a campaign, or a command about one, ends."""

    CLEAN = 0
    VIOLATION = 1
    NONDETERMINISM = 2
    NO_PROGRESS = 3  # deadlock, livelock, or no convergence
    VACUOUS = 4
    USAGE = 64


@attrs.define
class Failure:
    """One way in which runs failed.

    Attributes:
        signature: Tells it from other ways.
        monitor: The law; `run` if the run raised or made no progress.
        sentence: What happened in the run that is kept.
        seed: Of that run; None if it was given as a document.
        document: Of that run, as JSON text: what is to be replayed and shrunk.
        steps: Task steps of that run: of all that failed so, the shortest is kept.
        runs: How many runs failed so.
        detail: More about it, such as where two runs part.
    """

    signature: str
    monitor: str
    sentence: str
    seed: int | None
    document: str
    steps: int
    runs: int = 1
    detail: str = ""

    @property
    def exit(self) -> Exit:
        """How a campaign ends that found it."""
        if self.signature == NONDETERMINISM:
            return Exit.NONDETERMINISM
        stuck = self.signature.startswith("progress/") or self.monitor in _CONVERGENCE
        return Exit.NO_PROGRESS if stuck else Exit.VIOLATION

    @property
    def file_name(self) -> str:
        """A name for its document."""
        words = re.sub(r"[^A-Za-z0-9]+", "-", self.signature).strip("-")[:60]
        return f"{words}-{blake2b(self.signature.encode(), digest_size=3).hexdigest()}.json"


@attrs.define
class Campaign:
    """What came of many runs so far.

    Attributes:
        failures: Signature to failure.
        coverage: What was seen.
        rechecked: How many runs were repeated in a fresh interpreter.
        vacuous: Why it proves little, one sentence each.
        requests, answered: Sums over the runs.
        over_budget: Whether time was up before the seeds were.
    """

    failures: dict[str, Failure] = attrs.Factory(dict)
    coverage: Coverage = attrs.Factory(Coverage)
    rechecked: int = 0
    vacuous: list[str] = attrs.Factory(list)
    requests: int = 0
    answered: float = 0.0
    over_budget: bool = False

    @property
    def runs(self) -> int:
        """How many documents were run to an end."""
        return self.coverage.runs

    @property
    def exit(self) -> Exit:
        """The worst of it: violation, nondeterminism, no progress, vacuous, in this order."""
        found = [failure.exit for failure in self.failures.values()]
        return min(found, default=Exit.VACUOUS if self.vacuous else Exit.CLEAN)

    def take(self, told: Mapping[str, Any]) -> list[Failure]:
        """Take in a result of `run_chunk`; returns the failures of which it is the best example."""
        if told["coverage"] is not None:
            self.coverage.add(Coverage.from_dict(told["coverage"]))
            self.requests += told["headline"]["requests"]
            self.answered += told["headline"]["requests"] * told["headline"]["availability"]
        return [
            kept
            for each in told["violations"]
            if (
                kept := self.fail(
                    Failure(
                        signature=each["signature"],
                        monitor=each["monitor"],
                        sentence=each["sentence"],
                        seed=told["seed"],
                        document=told["document"],
                        steps=told["steps"],
                    )
                )
            )
        ]

    def fail(self, failure: Failure) -> Failure | None:
        """Count a failure; returns it if it is the first, or the shortest run, of its signature."""
        known = self.failures.get(failure.signature)
        if known is None:
            self.failures[failure.signature] = failure
            return failure
        known.runs += 1
        if failure.steps >= known.steps:
            return None
        failure.runs = known.runs
        self.failures[failure.signature] = failure
        return failure

    def summary(self) -> str:
        """A few lines for people."""
        seen = self.coverage
        faults, moves = seen.of("fault"), seen.of("breaker")
        share = self.answered / self.requests if self.requests else 1.0
        return "\n".join(
            [
                f"{self.runs} runs, {self.requests} requests, {share:.1%} answered; "
                f"{self.rechecked} runs repeated in a fresh interpreter",
                f"covered: {len(faults)} pairs of fault and phase, {len(moves)} breaker moves, "
                f"{len(seen.of('tie'))} ties, {len(seen.shapes)} courses of requests "
                f"({seen.expected_new:.2f} new ones expected in the next run), "
                f"{seen.contests / max(1, seen.steps):.0%} contested steps",
                *(f"vacuous: {why}" for why in self.vacuous),
                *(
                    f"{each.runs}x {each.signature}: {each.sentence}"
                    + (f" (seed {each.seed})" if each.seed is not None else "")
                    for each in sorted(self.failures.values(), key=lambda one: -one.runs)
                ),
                f"exit {int(self.exit)}: {self.exit.name.lower().replace('_', ' ')}",
            ]
        )
