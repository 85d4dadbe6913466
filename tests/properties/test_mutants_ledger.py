"""Every planted fault in the ledger is noticed; the real books pass the same."""

from __future__ import annotations

from typing import Final

import pytest

from tests.actors.ledger import test_projection, test_windows
from tests.properties.mutants_dispatcher import built_upon
from tests.properties.mutants_ledger import MUTANTS, ORDER
from tests.properties.test_money import LAWS
from tests.support.mutants import Mutant
from tests.support.planted import a_law_breaks, planted_profile

HARMLESS: Final = "from __future__ import annotations"
ALONE: Final = {ORDER[0]: test_windows.LAWS, ORDER[1]: test_projection.LAWS}
"""Modules with laws of their own: a copy's enumerations are not those of the tests."""

PROFILE: Final = planted_profile("planted in the ledger", max_examples=100)


def noticed(mutant: Mutant) -> bool:
    """Is a fault seen, in its module itself or in the books that are built upon it?"""
    if mutant.module in ALONE:
        return a_law_breaks(ALONE[mutant.module], mutant.plant(), PROFILE)
    return a_law_breaks(LAWS, built_upon(mutant, ORDER), PROFILE)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_planted_fault_is_noticed(mutant: Mutant) -> None:
    assert noticed(mutant), "nobody noticed it"


@pytest.mark.parametrize("module", ORDER)
def test_a_copy_without_a_fault_passes(module: str) -> None:
    """What is noticed is the fault, and not that it stands in a copy."""
    assert not noticed(Mutant("none", module, HARMLESS, HARMLESS))
