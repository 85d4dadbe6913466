"""Laws of what a breaker counts: each verdict once, and a run of failures is never too long."""

from __future__ import annotations

from typing import ClassVar, Final

from understudy_actors.domain.events import (
    ActorCrashed,
    BreakerCounted,
    BreakerMoved,
    BreakerStale,
    PermitReleased,
    PermitTaken,
)
from understudy_actors.domain.outcome import Verdict
from understudy_sim.check.gates import ACTOR
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Violation, Watch, Witness

_OK: Final = Verdict.OK.value
_COUNTED: Final = frozenset({_OK, Verdict.FAIL.value})


class Counting(Watch):
    """S31."""

    name = "S31"
    claim = "each success and failure is counted once by each breaker it passed, throttling never"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._heard: dict[str, tuple[int, BreakerCounted | BreakerStale]] = {}
        self.hears = {
            BreakerCounted: self._on_heard,
            BreakerStale: self._on_heard,
            PermitReleased: self._released,
            BreakerMoved: self._moved,
            ActorCrashed: self._crashed,
        }
        self._disabled: set[str] = set()

    def _moved(self, seq: int, event: BreakerMoved) -> None:  # noqa: ARG002
        if event.target == "disabled":
            self._disabled.add(event.scope)
        elif self._disabled:
            self._disabled.discard(event.scope)

    def _crashed(self, seq: int, event: ActorCrashed) -> None:  # noqa: ARG002
        """What its last turn heard is released by the next incarnation, if at all."""
        name = event.actor.removeprefix(ACTOR)
        self._heard = {s: each for s, each in self._heard.items() if provider_of(s) != name}

    def _on_heard(self, seq: int, event: BreakerCounted | BreakerStale) -> Violation | None:
        """What was heard is released in the same turn, so one a scope is all there is."""
        if not event.permit:
            return None
        before = self._heard.get(event.scope)
        self._heard[event.scope] = seq, event
        if before is None or before[1].permit != event.permit:
            return None
        said = f"{event.scope} heard the verdict on attempt {event.permit} twice"
        return self.broken("twice", said, before, (seq, event))

    def _released(self, seq: int, event: PermitReleased) -> Violation | None:
        heard = self._heard.pop(event.scope, None)
        if heard is not None and heard[1].permit != event.permit:
            heard = None
        counts = event.verdict in _COUNTED
        if counts and heard is None and event.scope not in self._disabled:
            said = f"{event.scope} did not hear that attempt {event.permit} {event.verdict}"
            return self.broken("not counted", said, (seq, event))
        if heard is None or type(heard[1]) is not BreakerCounted:
            return None
        if heard[1].verdict == event.verdict:
            return None
        said = f"{event.scope} counted {heard[1].verdict}, the verdict was {event.verdict}"
        return self.broken("wrong verdict", said, heard, (seq, event))


class FailuresOnly(Watch):
    """L5. Traffic since the last move bounds from above what the breaker's window can hold."""

    name = "L5"
    claim = "failures in a row open a breaker, however far apart they are"
    learned: ClassVar[bool] = True

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._run: dict[str, int] = {}
        self._total: dict[str, int] = {}
        self._due: dict[str, Witness] = {}
        self._untouched: set[str] = set()
        self.hears = {
            BreakerCounted: self._counted,
            BreakerMoved: self._moved,
            PermitTaken: self._taken,
        }

    def _moved(self, seq: int, event: BreakerMoved) -> Violation | None:
        scope, found = event.scope, None
        if scope in self._due and (event.source, event.target) == ("open", "half-open"):
            found = self._overdue(scope, (seq, event))  # it must have opened first
        self._run.pop(scope, None)
        if event.source != event.target:  # a restored breaker has its windows back
            self._total.pop(scope, None)
        self._due.pop(scope, None)
        if event.target == "closed":
            self._untouched.discard(scope)
        else:
            self._untouched.add(scope)
        return found

    def _counted(self, seq: int, event: BreakerCounted) -> Violation | None:
        scope = event.scope
        found = self._overdue(scope, (seq, event)) if self._due else None
        self._total[scope] = total = self._total.get(scope, 0) + 1
        if event.verdict == _OK:
            if self._run:
                self._run.pop(scope, None)
            return found
        self._run[scope] = run = self._run.get(scope, 0) + 1
        policy = self.rules.breaker_of(scope)
        if (
            run >= policy.run_threshold
            and scope not in self._untouched
            and run >= policy.threshold(total)
        ):
            self._due[scope] = seq, event
        return found

    def _taken(self, seq: int, event: PermitTaken) -> Violation | None:
        return self._overdue(event.scope, (seq, event)) if self._due else None

    def _overdue(self, scope: str, here: Witness) -> Violation | None:
        """The move follows in the same turn; whatever comes first shows that there is none."""
        last = self._due.pop(scope, None)
        if last is None:
            return None
        run = self._run.get(scope, 0)
        return self.broken("closed", f"{scope} is closed after {run} failures in a row", last, here)
