"""Every planted fault in dispatcher and provider actor is noticed; the real modules pass."""

from __future__ import annotations

import importlib

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.properties.mutants_dispatcher import (
    CHECKS,
    MUTANTS,
    OF_PROVIDER,
    SEEN_FROM,
    checks_of,
    subject,
)
from tests.support.mutants import Mutant

settings.register_profile(
    "planted",
    settings.get_profile("default"),
    phases=[Phase.generate],  # finding is enough: nobody reads a planted fault's smallest example
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def noticed(mutant: Mutant) -> bool:
    """Does any of its checks object to a mutant?"""
    module, before = subject(mutant), settings.get_current_profile_name()
    settings.load_profile("planted")
    try:
        for check in checks_of(mutant.module):
            check(module)
    except Exception:
        return True
    finally:
        settings.load_profile(before)
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_planted_fault_is_noticed(mutant: Mutant) -> None:
    assert noticed(mutant), "nobody noticed it"


@pytest.mark.parametrize("name", [*CHECKS, "provider.actor"])
def test_the_real_module_passes_the_same(name: str) -> None:
    module = importlib.import_module(f"understudy_actors.{SEEN_FROM.get(name, name)}")
    for check in CHECKS.get(name, OF_PROVIDER):
        check(module)
