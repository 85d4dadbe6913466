"""A few planted faults are found here; `make mutants` hunts all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.classes import CLASSES, KIND
from tests.mutants.documents import DIRECTED
from tests.mutants.harness import Catch, Order, Planted, healthy, hunt
from tests.mutants.plants import PLANTS, QUICK
from tests.mutants.state import State
from tests.mutants.table import Row, markdown, summary, within

DOCUMENTS = DIRECTED + 4
CHOSEN = [each for each in PLANTS if each.name in QUICK]


def test_every_fault_can_still_be_planted() -> None:
    assert len({each.name for each in PLANTS}) == len(PLANTS) >= 30
    for each in PLANTS:
        compile(each.source(), each.name, "exec")


def test_every_fault_stands_for_one_kind_of_bug() -> None:
    assert sorted(KIND) == sorted(each.name for each in PLANTS)
    assert sum(len(names) for names in CLASSES.values()) == len(PLANTS)


def test_the_table_says_what_was_found_and_what_was_not() -> None:
    first, second, third = PLANTS[:3]
    rows = [
        Row(first, Catch(7, "seed-3", "S3", "a sentence", (5, 2))),
        Row(second, Catch(9, "seed-5", "S2", "another | one", (6, 1))),
        Row(third, Catch(40)),
    ]
    assert [within(each.catch) for each in rows] == [True, False, False]
    assert summary(rows).startswith("3 planted, 2 found, 1 of them")
    assert summary(rows).endswith("1 not found")
    table = markdown(rows, Order(40))
    assert "| 7 | S3 | 5 / 2 | a sentence |" in table
    assert "another / one" in table
    assert "| 40 | not found |  |  |" in table


def test_an_interrupted_hunt_goes_on(tmp_path: Path) -> None:
    path, catch = tmp_path / "state", Catch(7, "seed-3", "S3", "a sentence", (5, 2))
    State(path).keep(PLANTS[0], catch)
    State(path).keep(PLANTS[1], Catch(8))
    State(None).keep(PLANTS[2], catch)
    assert [State(path).get(each) for each in PLANTS[:3]] == [catch, Catch(8), None]


def test_what_is_not_there_any_more_cannot_be_planted() -> None:
    gone = Planted("gone", "understudy_actors.provider.breaker", "no such text", "")
    with pytest.raises(LookupError, match="occurs 0 times"):
        gone.source()


@pytest.mark.parametrize("mutant", CHOSEN, ids=str)
def test_a_planted_fault_is_found(mutant: Planted, tmp_path: Path) -> None:
    catch = hunt(mutant, tmp_path, Order(DOCUMENTS))
    assert catch.monitor is not None, "no checker noticed it"


def test_nothing_is_found_where_nothing_is_planted(tmp_path: Path) -> None:
    assert healthy(tmp_path, DOCUMENTS) == []
