"""Every planted fault in the shelf is noticed; the real one passes the same."""

from __future__ import annotations

from typing import Final

import pytest

from tests.properties.mutants_cache import MUTANTS
from tests.properties.test_cache import LAWS
from tests.support.mutants import Mutant
from tests.support.planted import a_law_breaks, planted_profile
from understudy.cache import shelf

PROFILE: Final = planted_profile("planted in the cache", max_examples=50, stateful_step_count=30)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_planted_fault_is_noticed(mutant: Mutant) -> None:
    assert a_law_breaks(LAWS, mutant.plant(), PROFILE), "nobody noticed it"


def test_the_real_shelf_passes_the_same() -> None:
    assert not a_law_breaks(LAWS, shelf, PROFILE)
