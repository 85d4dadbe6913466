"""Every planted fault in the shelf is noticed; the real one passes the same."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.properties.mutants_cache import MUTANTS
from tests.properties.test_cache import LAWS
from tests.support.mutants import Mutant
from understudy.cache import shelf

settings.register_profile(
    "planted in the cache",
    settings.get_profile("default"),
    max_examples=50,
    stateful_step_count=30,
    derandomize=True,
    phases=[Phase.generate],  # finding is enough: nobody reads a planted fault's smallest example
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def noticed(module: ModuleType) -> bool:
    """Does any law of the shelf break?"""
    before = settings.get_current_profile_name()
    settings.load_profile("planted in the cache")
    try:
        for law in LAWS:
            law(module)
    except Exception:
        return True
    finally:
        settings.load_profile(before)
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_planted_fault_is_noticed(mutant: Mutant) -> None:
    assert noticed(mutant.plant()), "nobody noticed it"


def test_the_real_shelf_passes_the_same() -> None:
    assert not noticed(shelf)
