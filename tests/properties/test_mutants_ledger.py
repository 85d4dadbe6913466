"""Every planted fault in the ledger is noticed; the real books pass the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.actors.ledger import test_projection, test_windows
from tests.properties.mutants_dispatcher import built_upon
from tests.properties.mutants_ledger import MUTANTS, ORDER
from tests.properties.test_money import LAWS
from tests.support.mutants import Mutant

HARMLESS: Final = "from __future__ import annotations"
ALONE: Final = {ORDER[0]: test_windows.LAWS, ORDER[1]: test_projection.LAWS}
"""Modules with laws of their own: a copy's enumerations are not those of the tests."""

settings.register_profile(
    "planted in the ledger",
    settings.get_profile("default"),
    max_examples=100,
    derandomize=True,
    phases=[Phase.generate],  # finding is enough: nobody reads a planted fault's smallest example
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def breaks(laws: Iterable[Callable[[ModuleType], None]], module: ModuleType) -> bool:
    """Does any of the laws break?"""
    before = settings.get_current_profile_name()
    settings.load_profile("planted in the ledger")
    try:
        for law in laws:
            law(module)
    except Exception:
        return True
    finally:
        settings.load_profile(before)
    return False


def noticed(mutant: Mutant) -> bool:
    """Is a fault seen, in its module itself or in the books that are built upon it?"""
    if mutant.module in ALONE:
        return breaks(ALONE[mutant.module], mutant.plant())
    return breaks(LAWS, built_upon(mutant, ORDER))


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_planted_fault_is_noticed(mutant: Mutant) -> None:
    assert noticed(mutant), "nobody noticed it"


@pytest.mark.parametrize("module", ORDER)
def test_a_copy_without_a_fault_passes(module: str) -> None:
    """What is noticed is the fault, and not that it stands in a copy."""
    assert not noticed(Mutant("none", module, HARMLESS, HARMLESS))
