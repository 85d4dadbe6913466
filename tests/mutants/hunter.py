"""The hunt inside the copy: `python -m tests.mutants.hunter ORDER` takes and prints JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from tests.mutants.documents import document
from tests.mutants.harness import Catch, Order, small
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
WAYS: Final = 3
"""Ways to break a law that are shrunk, until one is small enough."""
PROOFS: Final = 5
"""Documents that are shrunk, until one is small enough."""
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


def proof(scenario: Scenario, found: Sequence[Violation]) -> tuple[int, int]:
    """Requests and faults of a small document that breaks the same law.

    One law can be broken in several ways at once (by two too many, by three), and some ways need
    more than others: a few of them are tried.
    """
    ways = [each for each in found if each.monitor == found[0].monitor][:WAYS]
    sizes: list[tuple[int, int]] = []
    for way in ways:
        sizes.append(shrink(scenario, way.signature, lab=THE_LAB, runs_max=SHRINK_RUNS).after)
        if small(sizes[-1]):
            break
    return min(sizes, key=sum)


def main(order: Order) -> Catch:
    """Run one document after the other until one complains; the kit has the last word.

    If it cannot be shrunk far enough, the next ones that complain are tried too.
    """
    clock, tried = SystemClock(), 0
    until = clock.wall() + order.seconds
    catches: list[Catch] = []
    for number in range(1, order.documents + 1):
        if number in order.skip:
            continue
        if clock.wall() > until:
            break
        scenario, tried = document(number), number
        if not (found := complaints(scenario)):
            continue
        size = proof(scenario, found) if order.shrink else None
        catch = Catch(tried, scenario.name, found[0].monitor, found[0].sentence, size)
        if size is None or small(size):
            return msgspec.structs.replace(catch, documents=(*catches, catch)[0].documents)
        catches.append(catch)
        if len(catches) == PROOFS:
            break
    if catches:
        return catches[0]
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
