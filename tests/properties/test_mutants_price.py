"""Every planted fault in the arithmetic of prices is noticed; the real one passes the same."""

from __future__ import annotations

from typing import Final

import pytest

from tests.actors.domain.test_price import LAWS
from tests.properties.mutants_price import MUTANTS
from tests.support.mutants import Mutant
from tests.support.planted import a_law_breaks, planted_profile
from understudy_actors.domain import price

PROFILE: Final = planted_profile("planted in prices", max_examples=120)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_planted_fault_is_noticed(mutant: Mutant) -> None:
    assert a_law_breaks(LAWS, mutant.plant(), PROFILE), "nobody noticed it"


def test_the_real_prices_pass_the_same() -> None:
    assert not a_law_breaks(LAWS, price, PROFILE)
