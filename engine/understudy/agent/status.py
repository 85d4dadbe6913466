"""How an agent is, for people and programs."""

from __future__ import annotations

from msgspec import Struct

from understudy.agent.limits import Limits
from understudy.agent.records import AgentRecord


class AgentStatus(Struct, frozen=True, kw_only=True):
    """An agent.

    Attributes:
        running: The tasks that run now.
        runtime_s: How long it was running, in all its processes, in seconds.
        completed, failed: Tasks.
        progress: From 0 to 1, as it was told.
        cost_usd: In USD; by the ledger where `max_cost_usd` is set.
        unknown: Attempts whose cost nobody knows.
        tokens: Input and output together.
        providers: How many requests each has answered.
        limit_reached: Which of its limits, in words.
        checkpoint: The number of its newest checkpoint; 0: there is none.
    """

    name: str
    running: tuple[str, ...]
    runtime_s: float
    completed: int
    failed: int
    progress: float
    cost_usd: float
    unknown: int
    tokens: int
    requests: int
    providers: dict[str, int]
    provider: str | None
    limit_reached: str | None
    checkpoint: int


def status_of(
    record: AgentRecord,
    limits: Limits,
    runtime_s: float,
    cost_usd: float,
    running: tuple[str, ...],
) -> AgentStatus:
    """The same for people."""
    spent = record.spent
    return AgentStatus(
        name=record.name,
        running=running,
        runtime_s=runtime_s,
        completed=record.completed,
        failed=record.failed,
        progress=record.progress,
        cost_usd=cost_usd,
        unknown=spent.unknown,
        tokens=spent.tokens,
        requests=spent.requests,
        providers=spent.providers,
        provider=record.provider,
        limit_reached=limits.reached(record, runtime_s, cost_usd),
        checkpoint=record.checkpoints[-1].number if record.checkpoints else 0,
    )
