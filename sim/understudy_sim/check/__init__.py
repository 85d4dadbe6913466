"""Checkers: laws that every trace of an engine must keep, checked from its events alone.

What today's events cannot decide is not checked, rather than checked in vain:

- VOID verdicts (parts of S6 and S14): every permit is dispatched in the turn that gave it.
- S22 in a trace without turns (`Engine.listen(..., turns=True)` adds them; simulations do).
"""

from __future__ import annotations

from understudy_sim.check.checker import ALL, Checker, check
from understudy_sim.check.metamorphic import adding_hurts, identical, renamed, scaled
from understudy_sim.check.reference import Reference
from understudy_sim.check.rules import Rules
from understudy_sim.check.violation import Monitor, Violation, Watch

__all__ = [
    "ALL",
    "Checker",
    "Monitor",
    "Reference",
    "Rules",
    "Violation",
    "Watch",
    "adding_hurts",
    "check",
    "identical",
    "renamed",
    "scaled",
]
