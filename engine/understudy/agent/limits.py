"""Whether an agent may begin another task. Pure."""

from __future__ import annotations

from msgspec import Struct

from understudy.agent.records import AgentRecord


class Limits(Struct, frozen=True, kw_only=True):
    """What an agent may come to; None: as much as it likes.

    Attributes:
        cost_usd: In all its processes together. With a budget it is the ledger that holds it, to
            the micro-dollar; a task's request that does not fit any more raises `OverBudget`.
        runtime_s: While it was started, in all its processes.
        failures: Tasks that failed.
        concurrency: Tasks at the same time.
    """

    cost_usd: float | None = None
    runtime_s: float | None = None
    failures: int | None = None
    concurrency: int = 8

    def reached(self, record: AgentRecord, runtime_s: float, cost_usd: float) -> str | None:
        """Which limit is reached, in words; None: none is."""
        if self.cost_usd is not None and cost_usd >= self.cost_usd:
            return f"it has cost ${cost_usd:.6f} of ${self.cost_usd:.6f}"
        if self.runtime_s is not None and runtime_s >= self.runtime_s:
            return f"it has run {runtime_s:.1f} s of {self.runtime_s:.1f} s"
        if self.failures is not None and record.failed >= self.failures:
            return f"{record.failed} of its tasks have failed, and {self.failures} may"
        return None
