"""What came of a simulated run: its events, its requests, and digests to compare it by."""

from __future__ import annotations

from functools import cached_property

import attrs
from msgspec import Struct

from understudy_actors.domain.events import Event
from understudy_sim.check import Violation
from understudy_sim.digest import Summary, digest
from understudy_sim.progress import Progress
from understudy_sim.scenario import Scenario


class RequestRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One request as its client saw it. Times are virtual seconds since the start of the run.

    Attributes:
        id: `client/number`, or `client/user.number` in a closed loop; a repetition by the client
            itself ends in `+1`, `+2`, ...
        status: `ok`, `degraded`, `cancelled` (its client left), or the name of the error.
        attempts: How many providers' answers it took; 0 if nobody was asked.
        retry_at: When the error says that another try makes sense.
        cost_usd: What the engine says it cost; None if it cannot say.
    """

    id: str
    client: str
    arrived_at: float
    status: str
    elapsed_s: float
    attempts: int = 0
    provider: str | None = None
    model: str | None = None
    cost_usd: float | None = None
    retry_at: float | None = None
    user: str | None = None
    priority: int = 0

    @property
    def ended_at(self) -> float:
        """When it was over."""
        return self.arrived_at + self.elapsed_s

    @property
    def ok(self) -> bool:
        """Whether a provider answered."""
        return self.status == "ok"


@attrs.define(eq=False)
class Run:
    """One finished run.

    Attributes:
        scenario: What was run; its seed is the one that was used.
        events: Everything that happened, the engine's and the world's events together, numbered
            from 1.
        requests: By arrival.
        schedule_digest: Of the order of tasks; see `Simulation`.
        progress: `done`, or why the run was ended.
        ended_at_s: Virtual time at the end.
        steps: Task steps and timers.
        contests: How often more than one task was ready.
        violations: What the monitors found.
    """

    scenario: Scenario
    events: list[tuple[int, Event]]
    requests: list[RequestRecord]
    schedule_digest: str
    progress: Progress
    ended_at_s: float
    steps: int
    contests: int
    violations: list[Violation] = attrs.Factory(list)

    @cached_property
    def _summary(self) -> Summary:
        return digest(self.events)

    @property
    def semantic_digest(self) -> str:
        """32 hex digits over all events."""
        return self._summary.semantic

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The same at regular intervals: halving finds where two runs part."""
        return self._summary.checkpoints

    @property
    def world(self) -> list[tuple[int, Event]]:
        """The world's own events."""
        return [
            (seq, event)
            for seq, event in self.events
            if str(event.__struct_config__.tag).startswith("world.")
        ]
