"""Every planted fault in the provider's machines is noticed; the real machines pass the same."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.properties.mutants_provider import MACHINES, MUTANTS
from tests.support.mutants import Mutant

BOUNDED = settings(
    max_examples=150,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # finding is enough: nobody reads a planted fault's smallest example
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def noticed(
    machines: tuple[Callable[[ModuleType], type[RuleBasedStateMachine]], ...], module: ModuleType
) -> bool:
    """Does any of the machines object to the module?"""
    for machine in machines:
        try:
            run_state_machine_as_test(machine(module), settings=BOUNDED)
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_planted_fault_is_noticed(mutant: Mutant) -> None:
    assert noticed(MACHINES[mutant.module], mutant.plant()), "no machine noticed it"


@pytest.mark.parametrize("name", MACHINES)
def test_the_real_module_passes_the_same(name: str) -> None:
    assert not noticed(MACHINES[name], importlib.import_module(name))
