"""Faults planted into the monitors of streams are noticed by their cases."""

from __future__ import annotations

import pytest

from tests.sim.check.case import Case
from tests.sim.check.cases_of_streams import CASES
from tests.sim.check.tape import Tape, breaks
from tests.sim.check.test_laws import RULES
from tests.support.mutants import Mutant

PLANTED = [
    Mutant(name, "understudy_sim.check.streams", old, new)
    for name, old, new in [
        ("anybody may be asked", "answer is None or answer.ended is not None", "True"),
        ("a failure is no end", "answer.ended = seq, event", "pass"),
        ("a good end is none", "answer.done = True", "pass"),
        ("anew is as good", "answer.dispatched = seq, event", "pass"),
        ("less is as good", "event.delivered_chars < answer.chars", "False"),
        (
            "chars are forgotten",
            "(seq, event), event.attempt, event.delivered_chars",
            "(seq, event), event.attempt, 99",
        ),
        ("whatever was given", "any(each.startswith(given) for each in wholes)", "True"),
        ("nothing may be given", "if not given or any", "if not given or not any"),
        ("whole is any beginning", "event.text not in wholes", "not wholes"),
        (
            "any text will do",
            "if not any(each.startswith(event.text) for each in wholes):",
            "if False:",
        ),
        ("stand-ins must say the same", "event.degraded or stood_in or not", "not"),
        ("whoever ends badly is told anything", 'event.status == "degraded"', "True"),
        ("cut is answered", 'event.status != "ok" or answer.ended', "True or answer.ended"),
    ]
]


@pytest.mark.parametrize("mutant", PLANTED, ids=str)
def test_a_fault_planted_into_a_monitor_is_noticed_by_its_cases(mutant: Mutant) -> None:
    module = mutant.plant()

    def told(case: Case) -> bool:
        bad, good, monitor = Tape(), Tape(), getattr(module, case.monitor.__name__)
        case.bad(bad)
        case.good(good)
        found = breaks(monitor, bad, RULES)
        return [case.said in each.sentence for each in found] == [True] and not breaks(
            monitor, good, RULES
        )

    assert not all(map(told, CASES))
