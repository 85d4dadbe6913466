"""Every planted fault in the accounts is noticed; the real accounts pass the same."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.properties.mutants_accounts import MUTANTS, ORDER
from tests.properties.mutants_dispatcher import built_upon
from tests.properties.test_accounts import LAWS
from tests.support.mutants import Mutant
from understudy.accounts import accounts

settings.register_profile(
    "planted in the accounts",
    settings.get_profile("default"),
    max_examples=100,
    derandomize=True,
    phases=[Phase.generate],  # finding is enough: nobody reads a planted fault's smallest example
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def noticed(module: ModuleType) -> bool:
    """Does any law of the accounts break?"""
    before = settings.get_current_profile_name()
    settings.load_profile("planted in the accounts")
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
    assert noticed(built_upon(mutant, ORDER)), "nobody noticed it"


def test_the_real_accounts_pass_the_same() -> None:
    assert not noticed(accounts)
