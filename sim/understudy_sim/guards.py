"""Whether a campaign was vacuous: most of its runs trivial, or a law with nothing to judge."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from understudy_sim.check import Watch
from understudy_sim.cover import Coverage

LIMITS: Final = MappingProxyType(
    {
        "nothing failed": 0.4,
        "everything failed": 0.4,
        "no failover": 0.7,
        "no fault was met": 0.4,
    }
)
"""The largest share of the runs that may be trivial in each way."""
RUNS_MIN: Final = 20
"""Fewer runs than this say nothing about shares."""


def vacuous(
    coverage: Coverage, laws: Iterable[Watch] = (), *, runs_min: int = RUNS_MIN
) -> list[str]:
    """Why a campaign proves little, one sentence each; empty if it proves something.

    Args:
        coverage: What it has seen.
        laws: Those that were watched.
        runs_min: A campaign of fewer runs is not judged.
    """
    if coverage.runs == 0:
        return ["nothing was run: give it seeds, or a larger budget"]
    if coverage.runs < runs_min:
        return []
    return [
        *(
            f"in {share:.0%} of the runs {what}, where {limit:.0%} are allowed: generate other "
            "faults, or other clients"
            for what, limit in LIMITS.items()
            if (share := coverage.trivial[what] / coverage.runs) > limit
        ),
        *(
            f"the law {name} had nothing to judge in any run: generate what it is about"
            for law in laws
            if not coverage.marks[f"law/{(name := f'{law.name} {type(law).__name__}')}"]
        ),
    ]
