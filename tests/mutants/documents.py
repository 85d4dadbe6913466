"""The documents of a hunt, in order: a few worlds made for rare moments, then drawn ones.

Some moments are so rare (an actor is down just when an answer says how long to wait) that drawn
worlds would take thousands of runs to meet them. Each of these worlds is tried under a few seeds.
After them comes the campaigns' own generator, and every tenth a scenario of the library.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from understudy_sim.generate import generate
from understudy_sim.scenario import Scenario, load, names

WORLDS: Final = tuple(sorted((Path(__file__).parent / "worlds").glob("*.toml")))
SEEDS_EACH: Final = 4
DIRECTED: Final = SEEDS_EACH * len(WORLDS)
LIBRARY_EVERY: Final = 10
"""One document in so many is a scenario of the library, which is larger than the drawn ones."""


def document(number: int) -> Scenario:
    """Document `number` of a hunt, from 1."""
    if number <= DIRECTED:
        seed, place = divmod(number - 1, len(WORLDS))
        return _seeded(load(WORLDS[place]), seed)
    seed = number - DIRECTED
    if seed % LIBRARY_EVERY:
        return generate(seed)
    known = names()
    return _seeded(load(known[seed // LIBRARY_EVERY % len(known)]), seed)


def _seeded(scenario: Scenario, seed: int) -> Scenario:
    return msgspec.structs.replace(scenario, seed=seed)
