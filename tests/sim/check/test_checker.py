"""The checker as a whole: over a list, as a listener, and over traces that were tampered with."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import pytest
import trio
from hypothesis import given, strategies as st

from tests.engine.house import Script
from tests.sim.check.cases_of_failures import unanswered
from tests.sim.check.engines import ask, trace_of
from tests.sim.check.tape import Tape
from understudy import Engine, ErrorClass
from understudy_actors.domain.events import Event
from understudy_sim.check import ALL, Checker, Rules, Violation, check
from understudy_sim.check.agenda import Agenda
from understudy_sim.check.requests import OneOutcome
from understudy_sim.check.silences import Silences
from understudy_sim.check.violation import Witness
from understudy_sim.world_events import EngineKilled


def test_violations_are_reported_as_they_happen_and_counted_by_signature() -> None:
    told: list[Violation] = []
    checker = Checker(on_violation=told.append)
    tape = Tape().accept("a").outcome(request="a").outcome(request="a")
    tape.accept("b").outcome(request="b").outcome(request="b")
    for seq, event in tape.events:
        checker(seq, event)
    assert [each.monitor for each in told] == ["S4", "S4"]
    assert told == checker.violations
    assert checker.counts == {"S4/two outcomes(req.outcome,req.outcome)": 2}
    assert checker.end() == told


def test_a_signature_names_no_id_and_no_time() -> None:
    one = check(Tape().accept("a").outcome(request="a").outcome(request="a").events)
    other = check(Tape().at(7.0).accept("b").outcome(request="b").outcome(request="b").events)
    assert one[0].sentence != other[0].sentence
    assert one[0].signature == other[0].signature


def test_a_monitor_of_ones_own_may_listen_too() -> None:
    class Silence:
        name = "mine"

        def __init__(self, rules: Rules) -> None:
            self.heard = 0

        def on(self, seq: int, event: Event) -> Violation | None:
            self.heard += 1
            return None

        def end(self) -> Violation | None:
            return Violation(self.name, f"{self.heard} events", (), "mine/heard")

    found = check(Tape().accept().outcome().events, [Silence, OneOutcome])
    assert [each.sentence for each in found] == ["2 events"]


def test_every_monitor_says_what_its_law_is() -> None:
    assert all(each.name and each.claim and each.__doc__ for each in ALL)
    assert len({each.claim for each in ALL}) == len(ALL)


def test_a_law_of_what_was_learned_is_silent_about_a_process_that_goes_on_with_it() -> None:
    for killed, count in ((False, 1), (True, 0)):
        tape = unanswered((Tape().add(EngineKilled) if killed else Tape()).ended(), 4)
        assert len(check(tape.events, [Silences])) == count
    unanswered(tape := Tape().ended(), 4).add(EngineKilled)
    assert len(check(tape.events, [Silences])) == 1, "what happened before the kill did happen"


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 50), st.booleans()), max_size=40))
def test_an_agenda_reports_each_thing_once_and_only_if_it_was_given_its_second_chance(
    acts: list[tuple[int, float, bool]],
) -> None:
    agenda: Agenda[int] = Agenda(1.0)
    pending: dict[int, float] = {}
    reported: list[object] = []
    now = 0.0
    for key, after_s, drops in acts:
        if drops:
            assert agenda.drop(key) == (key if key in pending else None)
            pending.pop(key, None)
        else:
            agenda.add(key, now + after_s, key)
            pending[key] = now + after_s
        now += 0.5
        for _ in range(2):
            late = agenda.overdue(now)
            assert all(pending.pop(thing) + 1.0 < now for _, thing in late)
            reported += [thing for _, thing in late]
    assert len(agenda) == len(pending)
    last = agenda.overdue(1e6) + agenda.overdue(2e6)
    assert sorted(thing for _, thing in last) == sorted(pending)
    assert agenda.due == math.inf


FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "a": ((ErrorClass.SERVER,) * 14 + ("fine",)),
    "b": (0.5, 0.5, ErrorClass.RATE_LIMIT, 0.5, ErrorClass.AUTH, 0.5),
}


def busy() -> tuple[list[Witness], Rules]:
    """A real trace with everything in it: trips, probes, holds, queueing, retries, failovers."""
    config = {
        "strategy": "priority",
        "providers": {
            name: {"kind": "function", "concurrency": {"initial": 1, "max": 1}}
            for name in FUNCTIONS
        },
    }
    functions = {name: Script(*steps) for name, steps in FUNCTIONS.items()}

    async def drive(engine: Engine) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(ask, engine)
                await trio.sleep(0.1 if number % 3 else 3.0)
        for _ in range(3):
            await trio.sleep(700.0)  # every hold and every cooldown is over
            await ask(engine)

    return trace_of(config, functions, drive)


TRACE, BUSY_RULES = busy()
BY_KIND: dict[str, list[int]] = defaultdict(list)
for _at, (_, _event) in enumerate(TRACE):
    BY_KIND[str(_event.__struct_config__.tag)].append(_at)


def tampered(at: int, how: str) -> list[Witness]:
    events = [event for _, event in TRACE]
    if how == "lost":
        del events[at]
    else:
        events.insert(at, events[at])
    return list(enumerate(events, 1))


def test_the_trace_itself_keeps_every_law() -> None:
    assert check(TRACE, rules=BUSY_RULES) == []


LOST = (
    "br.transition", "hold.cleared", "permit.released", "permit.taken", "req.outcome",
    "slot.freed", "slot.taken", "br.counted", "retry.token", "ask.closed",
)  # fmt: skip
TWICE = (
    "br.transition", "br.counted", "permit.released", "permit.taken", "req.accepted",
    "req.outcome", "slot.freed", "slot.taken", "ask.closed",
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "how"), [*((k, "lost") for k in LOST), *((k, "twice") for k in TWICE)]
)
def test_a_trace_that_was_tampered_with_breaks_some_law(kind: str, how: str) -> None:
    places = BY_KIND[kind]
    assert places, f"no {kind} in the trace"
    # Without its first permit a trace looks like one that began a little later.
    unnoticed = [
        at
        for at in places[kind == "permit.taken" :][:6]
        if not check(tampered(at, how), rules=BUSY_RULES)
    ]
    assert not unnoticed, TRACE[unnoticed[0]]
