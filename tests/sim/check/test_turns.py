"""The law of turns over real actors: silent for the runtime, loud for one with a fault."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from tests.actors.runtime.world import REAL, Runtime, runtime
from tests.properties.test_mailbox import ACTORS, Plan, Play, programs
from tests.support.mutants import Mutant
from understudy_actors.domain.events import Event, TurnEnded
from understudy_actors.runtime.actor import Context
from understudy_actors.runtime.errors import AskCycle
from understudy_actors.runtime.mailbox import Lane
from understudy_sim.check import Violation
from understudy_sim.check.turns import Turns

LANES = [each.value for each in Lane]
ANYTHING = programs(*LANES, "ask")
WAITING = st.lists(
    st.tuples(st.integers(0, ACTORS - 1), st.sampled_from(LANES)), min_size=1, max_size=90
)


class Bare(Play):
    """Carries out plans and keeps no books, so that nothing but the law can complain."""

    def send(self, sender: int, plan: Plan) -> None:
        self.serial += 1
        message = (self.serial, sender, plan)
        if plan.how != "ask":
            self.refs[plan.target].tell(message, Lane(plan.how))
            return
        with contextlib.suppress(AskCycle):
            self.refs[plan.target].ask_now(message)

    def receive(self, context: Context, message: Any) -> int:
        _, _, plan = message
        for each in plan.then:
            self.send(plan.target, each)
        return self.serial


class Heard:
    """The turns of a play, and what the law says of them."""

    def __init__(self, play: Play) -> None:
        self.turns: list[TurnEnded] = []
        self.found: list[Violation] = []
        self._law = Turns()
        play.world.trace.listen(self._take, turns=True)

    def _take(self, seq: int, event: Event) -> None:
        if isinstance(event, TurnEnded):
            self.turns.append(event)
        if (found := self._law.on(seq, event)) is not None:
            self.found.append(found)


def carried_out(runtime: Runtime, program: list[Plan]) -> tuple[Play, Heard]:
    """A program of tells and asks, most of them from within turns."""
    play = Bare(runtime)
    heard = Heard(play)
    for plan in program:
        play.send(-1, plan)
    return play, heard


@given(ANYTHING)
def test_turns_of_the_real_runtime_keep_the_law_and_each_is_told_once(program: list[Plan]) -> None:
    play, heard = carried_out(REAL, program)
    assert heard.found == []
    assert len(heard.turns) == sum(ref.status().handled for ref in play.refs)


@given(WAITING, st.booleans())
def test_what_waited_for_a_restart_is_handled_lane_by_lane(
    sent: list[tuple[int, str]], asked: bool
) -> None:
    play = Bare(REAL)
    for target, lane in [*dict.fromkeys((target, "work") for target, _ in sent)]:
        play.refs[target].tell("no plan at all", Lane(lane))  # which crashes it
    heard = Heard(play)
    for target, lane in sent:
        play.send(-1, Plan(target, lane, ()))
        play.world.trace.emit_fine(Event(at_s=0.0))  # so that the trace tells before from after
    play.world.advance_to(1.0)
    if asked:
        play.send(-1, Plan(sent[0][0], "ask", ()))
    assert heard.found == []
    assert len(heard.turns) == len(sent) + asked
    assert {each.lane for each in heard.turns} == {lane for _, lane in sent} | (
        {None} if asked else set()
    )


FAULTS = [
    Mutant(
        "asks overtake",
        "understudy_actors.runtime.cell",
        "while self.state is State.RUNNING and self._mailbox:",
        "while False:",
    ),
    Mutant(
        "cycles go on", "understudy_actors.runtime.cell", "if self in self._stack:", "if False:"
    ),
    Mutant(
        "nobody looks at the mailbox",
        "understudy_actors.runtime.life",
        "if running and not waiting and not self.door.ajar",
        "if running and not self.door.ajar",
    ),
]


@pytest.mark.parametrize("mutant", FAULTS, ids=str)
def test_the_law_notices_a_runtime_with_a_fault(mutant: Mutant) -> None:
    faulty = runtime(mutant)
    found: list[Violation] = []

    @settings(database=None, max_examples=300)
    @given(ANYTHING)
    def play(program: list[Plan]) -> None:
        found.extend(carried_out(faulty, program)[1].found)

    play()
    assert {each.monitor for each in found} == {"S22"}


def test_turns_are_told_only_to_those_who_ask_for_them() -> None:
    play = Bare(REAL)
    plain: list[Event] = []
    stop = play.world.trace.listen(lambda _seq, event: plain.append(event))
    play.send(-1, Plan(0, "work", ()))
    assert not any(isinstance(each, TurnEnded) for each in plain)
    heard = Heard(play)
    play.send(-1, Plan(0, "work", (Plan(0, "control", ()),)))
    kinds = [(each.message, each.lane) for each in heard.turns]
    assert kinds == [(2, None), (3, "control")]
    assert not any(isinstance(each, TurnEnded) for each in plain)
    stop()
    assert play.world.trace.turns
