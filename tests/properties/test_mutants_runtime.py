"""The checks of the actor runtime notice the faults they are there for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase, errors, settings

from tests.properties.mutants_runtime import CHECKS, MUTANTS, NO_FAULT, Check
from tests.support.mutants import Mutant

WRONG = (
    ImportError,
    NameError,
    SyntaxError,
    errors.InvalidArgument,
    errors.FailedHealthCheck,
)
"""These say that the fault was planted wrongly, not that it was noticed."""


@pytest.fixture(autouse=True)
def _noticing_is_enough() -> Iterator[None]:
    """Look for one failure, and do not make it any smaller."""
    name = settings.get_current_profile_name()
    settings.register_profile(
        "planted",
        settings.get_profile(name),
        phases=[Phase.explicit, Phase.generate],
        report_multiple_bugs=False,
    )
    settings.load_profile("planted")
    yield
    settings.load_profile(name)


@pytest.mark.parametrize(("check", "mutant"), MUTANTS, ids=[mutant.name for _, mutant in MUTANTS])
def test_a_planted_fault_is_noticed(check: Check, mutant: Mutant) -> None:
    mutant.plant()
    with pytest.raises(Exception) as noticed:  # noqa: PT011 - a fault may show in any way
        check(mutant)
    assert not isinstance(noticed.value, WRONG)


@pytest.mark.parametrize("check", CHECKS)
def test_what_changes_nothing_is_not_noticed(check: Check) -> None:
    check(NO_FAULT)
