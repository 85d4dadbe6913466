"""Runs a scenario: an engine opened as in production, over simulated ports and providers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
import trio
from msgspec.structs import replace

from understudy import open_engine
from understudy.ports import Ports
from understudy_actors.domain.events import Event
from understudy_sim.check import Rules, Violation, check
from understudy_sim.check.checker import Factory
from understudy_sim.fault_kinds import ClockJump, Crash, Leave, Pause
from understudy_sim.fleet import environ
from understudy_sim.havoc import Havoc
from understudy_sim.players import Audience
from understudy_sim.ports import Sim
from understudy_sim.run import RequestRecord, Run
from understudy_sim.scenario import Scenario
from understudy_sim.server import Server
from understudy_sim.simtransport import SimTransport
from understudy_sim.simulation import simulate
from understudy_sim.world_events import RunEnded

GRACE_S: Final = 7200.0
"""Virtual seconds after the horizon in which everything under way must be over."""


@attrs.define(eq=False, slots=True)
class Log:
    """Every event of a run in order, the engine's and the world's, numbered from 1."""

    events: list[tuple[int, Event]] = attrs.Factory(list)

    def tell(self, event: Event) -> None:
        """Take an event of the world."""
        self.events.append((len(self.events) + 1, event))

    def hear(self, _seq: int, event: Event) -> None:
        """Take an event of the engine."""
        self.events.append((len(self.events) + 1, event))


def run(
    scenario: Scenario,
    *,
    seed: int | None = None,
    monitors: Iterable[Factory] | None = None,
    log: Log | None = None,
    strategies: Mapping[str, Any] | None = None,
) -> Run:
    """Run a scenario to its end.

    Args:
        scenario: What to run.
        seed: Another seed than the document's.
        monitors: What makes the monitors that are told of every event once the run is over, such as
            `understudy_sim.check.ALL`; left out, nobody is.
        log: An empty one that fills up as the run goes on; who reads it sees how far the run is.
        strategies: The user's own strategies by name, as for `open_engine`.

    Raises:
        ConfigError: The engine's configuration cannot run.
    """
    if seed is not None:
        scenario = replace(scenario, seed=seed)
    log, records = log or Log(), list[RequestRecord]()
    schedule = scenario.schedule
    ended = simulate(
        lambda sim: _play(scenario, sim, log, records, strategies),
        seed=scenario.seed,
        policy=schedule.policy,
        quantum=schedule.quantum_s,
        replies_first=schedule.replies_first,
        horizon_s=scenario.horizon_s + GRACE_S,
    )
    log.tell(RunEnded(at_s=ended.ended_at_s, progress=ended.progress))
    violations: list[Violation] = []
    if monitors is not None:
        violations = check(log.events, monitors, rules=Rules.of(scenario.config))
    records.sort(key=lambda each: (each.arrived_at, each.id))
    return Run(
        scenario=scenario,
        events=log.events,
        requests=records,
        schedule_digest=ended.schedule_digest,
        progress=ended.progress,
        ended_at_s=ended.ended_at_s,
        steps=ended.steps,
        contests=ended.contests,
        violations=violations,
    )


async def _play(
    scenario: Scenario,
    sim: Sim,
    log: Log,
    records: list[RequestRecord],
    strategies: Mapping[str, Any] | None,
) -> None:
    beyond_answers = ClockJump | Pause | Leave | Crash
    wire_faults = [each for each in scenario.faults if not isinstance(each, beyond_answers)]
    servers = {each.name: Server(each, wire_faults, sim, log.tell) for each in scenario.fleet}
    opening = open_engine(
        scenario.config,
        ports=Ports(clock=sim.clock, ids=sim.ids, randomness=sim.randomness),
        transport=SimTransport(servers),
        environ=environ(scenario.fleet),
        strategies=strategies,
    )
    async with opening as engine:
        engine.listen(log.hear, turns=True)
        leaves = [
            (place, each) for place, each in enumerate(scenario.faults) if isinstance(each, Leave)
        ]
        audience = Audience(engine, scenario, sim, log.tell, records, leaves)
        havoc = Havoc(engine, scenario, sim, log.tell)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(havoc.play)
            await audience.play()
            nursery.cancel_scope.cancel()  # faults that nobody would live to see
