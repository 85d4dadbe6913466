"""Every planted fault in the arithmetic of prices is noticed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.actors.domain.test_price import LAWS
from tests.properties.mutants_price import MUTANTS
from tests.support.mutants import Mutant

settings.register_profile(
    "planted in prices",
    settings.get_profile("default"),
    max_examples=120,
    derandomize=True,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_planted_fault_is_noticed(mutant: Mutant) -> None:
    before = settings.get_current_profile_name()
    settings.load_profile("planted in prices")
    try:
        assert mutant.caught_by(LAWS, TypeError, ValueError), "nobody noticed it"
    finally:
        settings.load_profile(before)
