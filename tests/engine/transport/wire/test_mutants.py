"""Every planted fault in our own HTTP is noticed; the real one passes the same."""

from __future__ import annotations

from typing import Final

import pytest
import trio

from tests.engine.transport.wire import test_answer, test_lines, test_wire
from tests.engine.transport.wire.mutants import KEEPING, ORDER, READING, SENDING
from tests.properties.mutants_dispatcher import built_upon
from tests.support.mutants import Mutant
from tests.support.planted import a_law_breaks, planted_profile

PROFILE: Final = planted_profile("planted in HTTP", max_examples=40)
PATIENCE_S: Final = 2.0
"""A fault may make somebody wait for ever."""


@pytest.mark.parametrize("mutant", READING, ids=str)
def test_a_fault_in_reading_is_noticed(mutant: Mutant) -> None:
    assert a_law_breaks(test_answer.LAWS, mutant.plant(), PROFILE), "nobody noticed it"


@pytest.mark.parametrize("mutant", KEEPING, ids=str)
def test_a_fault_in_keeping_lines_is_noticed(mutant: Mutant) -> None:
    assert a_law_breaks(test_lines.LAWS, mutant.plant(), PROFILE), "nobody noticed it"


@pytest.mark.wall_clock
@pytest.mark.parametrize("mutant", SENDING, ids=str)
async def test_a_fault_in_sending_is_noticed(mutant: Mutant) -> None:
    faulty = built_upon(mutant, ORDER)
    for name in test_wire.LAWS:
        try:
            with trio.fail_after(PATIENCE_S):
                await test_wire.check(name, faulty)
        except Exception:
            return
    pytest.fail("nobody noticed it")
