"""Laws of turns: one at a time for each actor, messages in order, urgent lanes first."""

from __future__ import annotations

from typing import Final

from understudy_actors.domain.events import ActorCrashed, ActorStarted, TurnEnded
from understudy_actors.runtime.mailbox import OVERTAKINGS, Lane
from understudy_actors.runtime.restart import PoisonDoor
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch

_WORK: Final = Lane.WORK.value
_REFUSES: Final = PoisonDoor().limit
"""An actor that crashed so often may refuse messages that waited, which leaves no turn."""


class _Past:
    """What an actor's turns were so far."""

    __slots__ = ("crashes", "direct", "early", "last", "urgent", "waited")

    def __init__(self) -> None:
        self.last: tuple[int, TurnEnded] | None = None
        self.direct: tuple[int, TurnEnded] | None = None  # the last that did not wait
        self.waited: dict[str, tuple[int, TurnEnded]] = {}  # the last of each lane
        self.early: tuple[int, TurnEnded] | None = None  # the last of WORK, if urgent ones go first
        self.urgent = 0  # turns in a row that waited in an urgent lane
        self.crashes = 0


class Turns(Watch):
    """S22. Stronger than order for each sender: a lane is one line, whoever stands in it.

    A message that is handled in its sender's call overtakes nobody in any lane, for that is allowed
    only while nothing waits. A turn is told when it ends; while turns do not overlap, they are told
    in the order in which they began.
    """

    name = "S22"
    claim = "an actor's turns never overlap, and messages of a lane are handled in order, each once"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._actors: dict[str, _Past] = {}
        self.hears = {
            TurnEnded: self._on_turn,
            ActorCrashed: self._on_crash,
            ActorStarted: self._on_start,
        }

    def _on_start(self, seq: int, event: ActorStarted) -> None:  # noqa: ARG002
        self._actors.pop(event.actor, None)  # another one of that name, with numbers of its own

    def _on_crash(self, seq: int, event: ActorCrashed) -> None:  # noqa: ARG002
        if (past := self._actors.get(event.actor)) is not None:
            past.crashes += 1

    def _on_turn(self, seq: int, event: TurnEnded) -> Violation | None:
        past = self._actors.get(event.actor)
        if past is None:
            past = self._actors[event.actor] = _Past()
        here = seq, event
        last, past.last = past.last, here
        if last is not None and event.began < last[1].ended:
            inner, outer = last[1].message_kind, event.message_kind
            said = f"{event.actor} handled a {inner} in the midst of its turn over a {outer}"
            return self.broken("overlap", said, last, here)
        if event.lane is None:
            past.direct = here
            return None
        found = self._order(past, here) or self._lanes(past, here)
        past.waited[event.lane] = here
        if event.lane != _WORK:
            past.urgent += 1
        else:
            past.early = here if past.urgent < OVERTAKINGS else None
            past.urgent = 0
        return found

    def _order(self, past: _Past, here: tuple[int, TurnEnded]) -> Violation | None:
        event = here[1]
        for rival in (past.waited.get(event.lane or ""), past.direct):
            if rival is None or event.message > rival[1].message:
                continue
            if event.message == rival[1].message:
                said = f"{event.actor} handled message {event.message} twice"
                return self.broken("twice", said, rival, here)
            said = f"{event.actor} handled message {rival[1].message} before {event.message}"
            return self.broken("order", said, rival, here)
        return None

    def _lanes(self, past: _Past, here: tuple[int, TurnEnded]) -> Violation | None:
        """Work that was begun although something more urgent had been sent before that."""
        event = here[1]
        work = past.early
        if work is None or event.lane == _WORK or past.crashes >= _REFUSES:
            return None
        if event.sent >= work[1].began:
            return None
        said = f"{event.actor} handled work while a message waited in its {event.lane} lane"
        return self.broken("lane", said, work, here)
