"""Plays a document again and tells what happens, up to a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import attrs

from understudy_actors.domain.events import Event
from understudy_sim.check import Violation
from understudy_sim.diagram import line, sequence_diagram
from understudy_sim.examine import STANDARD, Lab, examine
from understudy_sim.run import Run
from understudy_sim.scenario import Scenario, load


@attrs.frozen
class Replay:
    """A run that was played again.

    Attributes:
        run: None if it raised; a violation says so.
        violations: What is known of by `until_s`: those whose witnesses all lie before it.
        until_s: Virtual time up to which it is told; infinite for all of it.
    """

    run: Run | None
    violations: tuple[Violation, ...]
    until_s: float = math.inf

    def timeline(self, *, request: str | None = None) -> Iterator[str]:
        """One line for each event; `request` leaves those of all other requests out.

        Violations stand behind the last of their witnesses.
        """
        for seq, event in self.events:
            if request is None or getattr(event, "request", request) == request:
                yield line(seq, event)
            yield from self.verdicts(seq)
        for each in self.violations:
            if not each.witness:
                yield f"!! {each.monitor}: {each.sentence}"

    @property
    def events(self) -> Iterator[tuple[int, Event]]:
        """What is told: everything up to the first event after `until_s`."""
        return takewhile(
            lambda each: each[1].at_s <= self.until_s, self.run.events if self.run else ()
        )

    def verdicts(self, seq: int) -> Iterator[str]:
        """The violations of which this event is the last witness."""
        for each in self.violations:
            if each.witness and each.witness[-1][0] == seq:
                yield f"{'':12} {'':6} !! {each.monitor}: {each.sentence}"

    @property
    def diagram(self) -> str:
        """The first violation as a sequence diagram, or the end of the run if there is none."""
        if self.run is None:
            return ""
        return sequence_diagram(self.run, self.violations[0] if self.violations else None)


def replay(
    source: Scenario | str | Path, *, until_s: float | None = None, lab: Lab = STANDARD
) -> Replay:
    """Play a document.

    A run is a function of its document, so telling it up to a time is the same as stopping it then.

    Args:
        source: A document, its file, or the name of a scenario of the library.
        until_s: Virtual seconds up to which it is told.
        lab: What runs and watches.

    Raises:
        Refused: The file holds no scenario; the message names the key.
        OSError: The file cannot be read.
    """
    scenario = source if isinstance(source, Scenario) else load(source)
    seen = examine(scenario, lab)
    end_s = math.inf if until_s is None else until_s
    known = tuple(
        each for each in seen.violations if all(event.at_s <= end_s for _, event in each.witness)
    )
    return Replay(seen.run, known, end_s)
