"""The strategies that ship. Each is a noun with one method; a user's own is one more."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from understudy_actors.dispatcher.strategies.adaptive import Adaptive
from understudy_actors.dispatcher.strategies.base import Strategy, View
from understudy_actors.dispatcher.strategies.plain import (
    BestQuality,
    Cheapest,
    Economy,
    Fastest,
    LeastBusy,
    Priority,
)
from understudy_actors.dispatcher.strategies.shares import (
    RoundRobin,
    SmoothWeighted,
    WeightedRandom,
)

BUILT_IN: Final = MappingProxyType[str, Callable[[], Strategy]](
    {
        "adaptive": Adaptive,
        "priority": Priority,
        "round_robin": RoundRobin,
        "weighted": SmoothWeighted,
        "random": WeightedRandom,
        "least_busy": LeastBusy,
        "cheapest": Cheapest,
        "fastest": Fastest,
        "best_quality": BestQuality,
        "economy": Economy,
    }
)
"""Makes a fresh strategy by name."""

__all__ = ["BUILT_IN", "Strategy", "View"]
