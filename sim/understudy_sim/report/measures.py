"""What engines are compared by, in words."""

from __future__ import annotations

from typing import Final

from understudy_sim.compare import Estimate
from understudy_sim.report.words import percent, seconds, usd

NAMES: Final = {
    "success": "success",
    "p50_s": "p50",
    "p95_s": "p95",
    "cost_usd": "cost",
    "wasted_calls": "wasted calls / request",
}
"""Measure to what people call it, in the order in which they are shown."""
UNITS: Final = {
    "success": (100.0, 2, " points"),
    "p50_s": (1000.0, 0, " ms"),
    "p95_s": (1000.0, 0, " ms"),
    "cost_usd": (1.0, 4, " USD"),
    "wasted_calls": (1.0, 4, ""),
}
"""Measure to factor, decimals and unit of a difference."""


def measured(name: str, value: float) -> str:
    """A value of a measure."""
    match name:
        case "success":
            return percent(value)
        case "cost_usd":
            return usd(value)
        case "wasted_calls":
            return f"{value:.4f}"
        case _:
            return seconds(value)


def change(name: str, found: Estimate | None) -> str:
    """A difference with its interval; starred where that leaves out 0."""
    if found is None:
        return "–"
    scale, places, unit = UNITS[name]

    def signed(value: float) -> str:
        return f"{value * scale + 0.0:+.{places}f}"

    star = " *" if found.clear else "  "
    if found.low is None or found.high is None:
        return f"{signed(found.mean)}{unit}{star}"
    return f"{signed(found.mean)}{unit} [{signed(found.low)}, {signed(found.high)}]{star}"
