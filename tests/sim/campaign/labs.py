"""Labs for tests: engines and laws with a fault planted in them, found by name in any process."""

from __future__ import annotations

import os
from typing import Any

from understudy_actors.domain.events import AttemptEnded, Event
from understudy_sim.check import Rules, Violation, Watch
from understudy_sim.check.violation import Hears
from understudy_sim.examine import Lab
from understudy_sim.run import Run
from understudy_sim.scenario import Scenario, parse
from understudy_sim.world import run
from understudy_sim.world_events import FaultBegan


class NoRefusedKeyAfterSilence(Watch):
    """A law that a healthy engine breaks: its smallest example needs two faults."""

    name = "T1"
    claim = "no key is refused once an attempt ended in silence"

    def __init__(self, rules: Rules | None = None) -> None:
        super().__init__(rules or Rules())
        self._silence: tuple[int, Event] | None = None
        self.hears: Hears = {AttemptEnded: self._ended}

    def _ended(self, seq: int, event: AttemptEnded) -> Violation | None:
        if event.error == "silent":
            self._silence = seq, event
        if event.error == "auth" and self._silence:
            return self.broken(
                "both", "a key is refused after a silence", self._silence, (seq, event)
            )
        return None


def by_hash_seed(scenario: Scenario) -> Run:
    """A run that hangs on the order of a set of texts."""
    ran = run(scenario)
    first = next(iter({f"name {n}" for n in range(50)}))
    ran.events.append(
        (len(ran.events) + 1, FaultBegan(at_s=0.0, fault=first, fault_kind="", target=""))
    )
    return ran


def raising(scenario: Scenario) -> Run:
    """A run that fails in one document of two."""
    if scenario.seed % 2:
        raise LookupError("nothing there")
    return run(scenario)


def dying(scenario: Scenario) -> Run:
    """A run that takes its process along, for one seed."""
    if scenario.seed == 3:
        os._exit(9)
    return run(scenario)


def calm(seed: int) -> Scenario:
    """Nothing ever goes wrong."""
    client = {"name": "web", "arrivals": {"kind": "steady", "rate": 1.0}}
    document: dict[str, Any] = {
        "name": "calm", "seed": seed, "horizon": 5,
        "clients": [client], "fleet": [{"name": "alpha"}],
    }  # fmt: skip
    return parse(document)


LEAKY = Lab(run=by_hash_seed, monitors=())
RAISING = Lab(run=raising, monitors=())
DYING = Lab(run=dying, monitors=())
CALM = Lab(generate=calm)
PLANTED = Lab(monitors=(NoRefusedKeyAfterSilence,))
