"""The hunt inside the copy: `python -m tests.mutants.hunter ORDER` takes and prints JSON."""

from __future__ import annotations

import sys
from typing import Final

import msgspec

from tests.mutants.harness import Catch, Order
from understudy.adapters.anthropic import AnthropicAdapter
from understudy.adapters.openai import OpenAIAdapter
from understudy_actors.dispatcher.strategies import BUILT_IN
from understudy_sim.check import Violation
from understudy_sim.examine import Lab, examine
from understudy_sim.generate import generate
from understudy_sim.scenario import Scenario, load, names
from understudy_sim.shrink import shrink
from understudy_sim.testing import EVERY, LawBroken, verify_adapter, verify_strategy

THE_LAB: Final = Lab(monitors=EVERY)
SHRINK_RUNS: Final = 200
LIBRARY_EVERY: Final = 10
"""One document in so many is a scenario of the library, which is larger than the drawn ones."""
SHARES: Final = {"weighted": "weight", "random": "weight", "round_robin": "equal"}


def document(seed: int) -> Scenario:
    """The scenario of a seed."""
    if seed % LIBRARY_EVERY:
        return generate(seed)
    known = names()
    return msgspec.structs.replace(load(known[seed // LIBRARY_EVERY % len(known)]), seed=seed)


def complaint(scenario: Scenario) -> Violation | None:
    """The first law that a run of `scenario` breaks."""
    return next(iter(examine(scenario, THE_LAB).violations), None)


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


def shrunk(scenario: Scenario, found: Violation) -> str:
    """How small a document breaks the same law in the same way."""
    requests, faults = shrink(scenario, found.signature, lab=THE_LAB, runs_max=SHRINK_RUNS).after
    return f"{requests} requests, {faults} faults"


def main(seeds: int, skip: set[int], smaller: bool) -> Catch:
    """Run drawn documents until one complains; the kit has the last word."""
    for seed in range(1, seeds + 1):
        if seed in skip:
            continue
        scenario = document(seed)
        if (found := complaint(scenario)) is not None:
            size = shrunk(scenario, found) if smaller else None
            return Catch(seed, found.monitor, found.sentence, size)
    if (broken := by_kit()) is not None:
        return Catch(seeds, *broken)
    return Catch(seeds)


def healthy(seeds: int) -> list[Catch]:
    """What is found without any fault: these seeds prove nothing about one."""
    found = ((seed, complaint(document(seed))) for seed in range(1, seeds + 1))
    return [Catch(seed, each.monitor, each.sentence) for seed, each in found if each is not None]


if __name__ == "__main__":
    order = msgspec.json.decode(sys.argv[1], type=Order)
    answer: object = (
        healthy(order.seeds) if order.healthy else main(order.seeds, set(order.skip), order.shrink)
    )
    sys.stdout.buffer.write(msgspec.json.encode(answer))
