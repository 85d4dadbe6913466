"""What the kit asks beyond the laws of a trace: nothing of one's own may go wrong either.

These are no laws that every trace of an engine must keep. The engine keeps its promise when it
contains what an adapter, a strategy or a listener raises (R1): only whoever wrote that one has to
mend it. How a run ended (R2), and what a provider had really sent (R7), a simulation alone can
tell; in a recorded trace nothing would ever break them.
"""

from __future__ import annotations

from understudy_actors.domain.events import ActorCrashed, Contained
from understudy_sim.check import Rules, Violation, Watch
from understudy_sim.check.rules import DEFAULT
from understudy_sim.world_events import RunEnded

_PLANTED = "Poison"  # what a `crash` fault of the scenario makes an actor choke on


class OwnCrashes(Watch):
    """Nothing of the engine raises unless a fault of the scenario makes it."""

    name = "R1"
    claim = "no actor crashes, and no adapter, strategy or timer raises, by itself"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self.hears = {ActorCrashed: self._on_crash, Contained: self._on_contained}

    def _on_crash(self, seq: int, event: ActorCrashed) -> Violation | None:
        if event.message_kind.startswith(_PLANTED):
            return None
        said = f"{event.actor} crashed with {event.error} over {event.message_kind}"
        return self.broken(f"crash/{event.error}", said, (seq, event))

    def _on_contained(self, seq: int, event: Contained) -> Violation | None:
        if event.where == "actor":  # its crash was told already
            return None
        said = f"{event.where} {event.who} raised {event.error} ({event.line}): {event.note}"
        return self.broken(f"{event.where}/{event.error}", said, (seq, event))


class Progress(Watch):
    """The run came to its end by itself."""

    name = "R2"
    claim = "a run ends: no deadlock, no livelock, nobody left waiting for hours"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self.hears = {RunEnded: self._on_end}

    def _on_end(self, seq: int, event: RunEnded) -> Violation | None:
        if event.progress == "done":
            return None
        return self.broken(event.progress, f"the run ended in a {event.progress}", (seq, event))
