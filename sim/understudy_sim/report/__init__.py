"""What a simulated run amounts to, for people: one HTML file, and tables for a terminal."""

from __future__ import annotations

from understudy_sim.report.facts import Facts, gather
from understudy_sim.report.page import page
from understudy_sim.report.terminal import headline_table

__all__ = ["Facts", "gather", "headline_table", "page"]
