"""A few planted faults are found here; `make mutants` hunts all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.harness import Order, Planted, healthy, hunt
from tests.mutants.plants import PLANTS, QUICK

SEEDS = 12
CHOSEN = [each for each in PLANTS if each.name in QUICK]


def test_every_fault_can_still_be_planted() -> None:
    assert len({each.name for each in PLANTS}) == len(PLANTS) >= 30
    for each in PLANTS:
        compile(each.source(), each.name, "exec")


def test_what_is_not_there_any_more_cannot_be_planted() -> None:
    gone = Planted("gone", "understudy_actors.provider.breaker", "no such text", "")
    with pytest.raises(LookupError, match="occurs 0 times"):
        gone.source()


@pytest.mark.parametrize("mutant", CHOSEN, ids=str)
def test_a_planted_fault_is_found(mutant: Planted, tmp_path: Path) -> None:
    catch = hunt(mutant, tmp_path, Order(SEEDS))
    assert catch.monitor is not None, "no checker noticed it"


def test_nothing_is_found_where_nothing_is_planted(tmp_path: Path) -> None:
    assert healthy(tmp_path, SEEDS) == []
