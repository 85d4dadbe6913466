"""Every planted fault in the accounts is noticed; the real accounts pass the same."""

from __future__ import annotations

from typing import Final

import pytest

from tests.properties.mutants_accounts import MUTANTS, ORDER
from tests.properties.mutants_dispatcher import built_upon
from tests.properties.test_accounts import LAWS
from tests.support.mutants import Mutant
from tests.support.planted import a_law_breaks, planted_profile
from understudy.accounts import accounts

PROFILE: Final = planted_profile("planted in the accounts", max_examples=100)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_planted_fault_is_noticed(mutant: Mutant) -> None:
    assert a_law_breaks(LAWS, built_upon(mutant, ORDER), PROFILE), "nobody noticed it"


def test_the_real_accounts_pass_the_same() -> None:
    assert not a_law_breaks(LAWS, accounts, PROFILE)
