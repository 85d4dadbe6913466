"""Runs a scenario: an engine opened as in production, over simulated ports and providers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
import trio
from msgspec.structs import replace

from understudy import Engine, open_engine
from understudy.config import Config
from understudy.config.otel import OtelConfig
from understudy.ports import Ports
from understudy_actors.domain.events import Event
from understudy_actors.runtime.trace import Trace
from understudy_sim.check import Rules, Violation, check
from understudy_sim.check.checker import Factory
from understudy_sim.disk import WRITE_S, SimDisk
from understudy_sim.fault_kinds import ClockJump, Crash, Disk, Kill, Leave, Pause
from understudy_sim.fleet import environ
from understudy_sim.havoc import Havoc
from understudy_sim.lives import Lives
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


def quiet(config: Config) -> Config:
    """Nobody outside is told of a simulation."""
    return replace(config, alerts=(), otel=OtelConfig(enabled=False))


async def _play(
    scenario: Scenario,
    sim: Sim,
    log: Log,
    records: list[RequestRecord],
    strategies: Mapping[str, Any] | None,
) -> None:
    if scenario.starts_at is not None:
        sim.clock.epoch_s = scenario.starts_at.timestamp()
    beyond_answers = ClockJump | Pause | Leave | Crash | Disk | Kill
    wire_faults = [each for each in scenario.faults if not isinstance(each, beyond_answers)]
    servers = {each.name: Server(each, wire_faults, sim, log.tell) for each in scenario.fleet}

    def opening(disk: SimDisk | None, trace: Trace) -> open_engine:
        return open_engine(
            quiet(scenario.config),
            ports=Ports(clock=sim.clock, ids=sim.ids, randomness=sim.randomness, trace=trace),
            transport=SimTransport(servers),
            store=None if disk is None else disk.open(),
            environ=environ(scenario.fleet),
            strategies=strategies,
        )

    async def play(engine: Engine | Lives, disk: SimDisk | None) -> None:
        leaves = [
            (place, each) for place, each in enumerate(scenario.faults) if isinstance(each, Leave)
        ]
        audience = Audience(engine, scenario, sim, log.tell, records, leaves)
        havoc = Havoc(engine, scenario, sim, log.tell, disk)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(havoc.play)
            await audience.play()
            nursery.cancel_scope.cancel()  # faults that nobody would live to see

    if scenario.config.store is None:
        async with opening(None, Trace()) as engine:
            engine.listen(log.hear, turns=True)
            await play(engine, None)
        return
    coin = sim.randomness.stream("torn writes").uniform
    disk = SimDisk(write_s=WRITE_S, coin=lambda: coin() < 0.5)
    lives, ready = Lives(opening, disk, sim, log.hear, log.tell), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lives.run, ready)
        await ready.wait()
        await play(lives, disk)
        nursery.cancel_scope.cancel()
