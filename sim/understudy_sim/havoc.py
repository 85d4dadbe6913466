"""Plays the faults of a scenario: tells when each begins and ends, and does those that hit the
engine itself. What hits answers is done where answers are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
import msgspec

from understudy import Engine
from understudy_actors.domain.events import Event
from understudy_sim.disk import WRITE_S, SimDisk
from understudy_sim.fault_kinds import ClockJump, Crash, Disk, Kill, Pause, Selector
from understudy_sim.lives import Lives
from understudy_sim.ports import Sim
from understudy_sim.scenario import AnyFault, Scenario
from understudy_sim.world_events import FaultBegan, FaultEnded, Quiet

_POISONS: Final = tuple(msgspec.defstruct(f"Poison{n}", []) for n in range(8))
"""Messages that no actor understands. Several kinds, since an actor soon refuses what kills it."""
_CRASHES_MAX: Final = 10_000


@attrs.frozen
class _Act:
    """One thing to do at a time; `order` is that of acts at the same time."""

    at_s: float
    order: int
    do: Callable[[], None]


@attrs.define(eq=False, slots=True)
class Havoc:
    """The faults of one run. `tell` takes what is to be told of them."""

    engine: Engine | Lives
    scenario: Scenario
    sim: Sim
    tell: Callable[[Event], None]
    disk: SimDisk | None = None
    _poisons: int = 0
    _quiet_at_s: float | None = None

    async def play(self) -> None:
        """Do everything at its time, until nothing is left to do."""
        for act in sorted(self._acts(), key=lambda each: (each.at_s, each.order)):
            if act.at_s > self.sim.clock.now():
                await self.sim.time.sleep_until(act.at_s)
            act.do()

    def _acts(self) -> list[_Act]:
        acts: list[_Act] = []
        over: list[float | None] = [0.0]
        for place, fault in enumerate(self.scenario.faults):
            facts = {
                "fault": f"{place}:{fault.kind}",
                "fault_kind": fault.kind,
                "target": target_of(fault.selector),
            }
            acts.append(_Act(fault.from_s, 1, self._teller(FaultBegan, facts)))
            acts += self._deeds(fault)
            ends = _over_s(fault)
            over.append(ends)
            if ends is not None:
                acts.append(_Act(ends, 3, self._teller(FaultEnded, facts)))
        ends_all = [each for each in over if each is not None]
        if len(ends_all) == len(over):
            acts.append(_Act(max(ends_all), 4, self._quiet))
        return acts

    def _deeds(self, fault: AnyFault) -> list[_Act]:
        """What a fault does to the engine itself."""
        match fault:
            case ClockJump(by_s=by_s, from_s=start, until_s=end):
                deeds = [_Act(start, 2, lambda: self._skew(by_s))]
                return deeds if end is None else [*deeds, _Act(end, 2, lambda: self._skew(-by_s))]
            case Pause(from_s=start, until_s=end) if end is not None:
                length_s = end - start
                return [_Act(start, 2, lambda: self.sim.time.freeze_all(length_s))]
            case Crash():
                return [
                    _Act(at_s, 2, lambda: self._poison(fault))
                    for at_s in crash_times(fault, self.scenario.horizon_s)
                ]
            case Kill():
                return [
                    _Act(at_s, 2, lambda: self._kill(fault))
                    for at_s in crash_times(fault, self.scenario.horizon_s)
                ]
            case Disk(from_s=start, until_s=end):
                deeds = [_Act(start, 2, lambda: self._spoil(fault))]
                return deeds if end is None else [*deeds, _Act(end, 2, self._mend)]
            case _:
                return []

    def _teller(
        self, kind: type[FaultBegan | FaultEnded], facts: dict[str, str]
    ) -> Callable[[], None]:
        return lambda: self.tell(kind(at_s=self.sim.clock.now(), **facts))

    def _quiet(self) -> None:
        self.tell(Quiet(at_s=self.sim.clock.now()))

    def _skew(self, by_s: float) -> None:
        self.sim.clock.skew_s += by_s

    def _kill(self, fault: Kill) -> None:
        if isinstance(self.engine, Lives):
            self.engine.kill(fault)

    def _spoil(self, fault: Disk) -> None:
        if self.disk is not None:
            self._mend()
            self.disk.broken = "no space left on it" if fault.variant == "full" else None
            self.disk.unsure = fault.variant == "unsure"
            self.disk.write_s += fault.takes_s if fault.variant == "slow" else 0.0

    def _mend(self) -> None:
        if self.disk is not None:
            self.disk.broken, self.disk.unsure = None, False
            self.disk.write_s = WRITE_S

    def _poison(self, fault: Crash) -> None:
        # No verb of the engine can crash an actor, which is as it should be: this goes past them.
        engine = self.engine.engine if isinstance(self.engine, Lives) else self.engine
        if engine is None:
            return  # the process is down
        parts = engine._parts
        if fault.actor == "dispatcher":
            victims = [parts.wiring.dispatcher]
        else:
            victims = [
                parts.providers[each.name]
                for each in self.scenario.fleet
                if fault.selector.covers(each.name, each.region)
            ]
        for victim in victims:
            self._poisons += 1
            victim.tell(_POISONS[self._poisons % len(_POISONS)]())


def crash_times(fault: Crash | Kill, horizon_s: float) -> list[float]:
    """When a crash or a kill happens: once, or in each cycle until its end, at most `times`."""
    if fault.every_s is None:
        return [fault.from_s]
    end_s = min(horizon_s, horizon_s if fault.until_s is None else fault.until_s)
    most = min(_CRASHES_MAX, fault.times or _CRASHES_MAX)
    times: list[float] = []
    while len(times) < most and (at_s := fault.from_s + len(times) * fault.every_s) < end_s:
        times.append(at_s)
    return times


def target_of(selector: Selector) -> str:
    """Whom a fault is for, in a few words."""
    if selector.provider is not None:
        return selector.provider
    return "all" if selector.region is None else f"region {selector.region}"


def _over_s(fault: AnyFault) -> float | None:
    """When a fault is over; a single crash is over at once, a kill when the process is up."""
    if isinstance(fault, Crash | Kill) and fault.every_s is None:
        return fault.from_s + (fault.down_s if isinstance(fault, Kill) else 0.0)
    return fault.over_s
