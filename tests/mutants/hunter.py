"""The hunt inside the copy: `python -m tests.mutants.hunter ORDER` takes and prints JSON."""

from __future__ import annotations

import sys
from typing import Final

import msgspec

from tests.mutants.documents import document
from tests.mutants.harness import Catch, Order
from understudy.adapters.anthropic import AnthropicAdapter
from understudy.adapters.openai import OpenAIAdapter
from understudy.ports import SystemClock
from understudy_actors.dispatcher.strategies import BUILT_IN
from understudy_sim.check import Violation
from understudy_sim.examine import Lab, examine
from understudy_sim.scenario import Scenario
from understudy_sim.shrink import shrink
from understudy_sim.testing import EVERY, LawBroken, verify_adapter, verify_strategy

THE_LAB: Final = Lab(monitors=EVERY)
SHRINK_RUNS: Final = 400
SHARES: Final = {"weighted": "weight", "random": "weight", "round_robin": "equal"}


def complaints(scenario: Scenario) -> tuple[Violation, ...]:
    """The laws that a run of `scenario` breaks, the first broken first."""
    return examine(scenario, THE_LAB).violations


def by_kit() -> tuple[str, str] | None:
    """The first law of adapters or strategies that the built-in ones break."""
    try:
        verify_adapter(OpenAIAdapter())
        verify_adapter(AnthropicAdapter())
        for name, make in BUILT_IN.items():
            verify_strategy(make, shares=SHARES.get(name), worlds=False)
    except LawBroken as broken:
        return f"kit: {broken.law}", broken.what
    return None


def shrunk(scenario: Scenario, found: Violation) -> tuple[int, int]:
    """Requests and faults of a small document that breaks the same law in the same way."""
    return shrink(scenario, found.signature, lab=THE_LAB, runs_max=SHRINK_RUNS).after


def main(order: Order) -> Catch:
    """Run one document after the other until one complains; the kit has the last word."""
    clock, tried = SystemClock(), 0
    until = clock.wall() + order.seconds
    for number in range(1, order.documents + 1):
        if number in order.skip:
            continue
        if clock.wall() > until:
            break
        scenario, tried = document(number), number
        if found := complaints(scenario):
            first = found[0]
            size = shrunk(scenario, first) if order.shrink else None
            return Catch(tried, scenario.name, first.monitor, first.sentence, size)
    if (broken := by_kit()) is not None:
        return Catch(tried, "the verification kit", *broken)
    return Catch(tried)


def healthy(order: Order) -> list[Catch]:
    """What is found without any fault: these documents prove nothing about one."""
    found: list[Catch] = []
    for number in range(1, order.documents + 1):
        scenario = document(number)
        if said := complaints(scenario):
            found.append(Catch(number, scenario.name, said[0].monitor, said[0].sentence))
    return found


if __name__ == "__main__":
    order = msgspec.json.decode(sys.argv[1], type=Order)
    answer: object = healthy(order) if order.healthy else main(order)
    sys.stdout.buffer.write(msgspec.json.encode(answer))
