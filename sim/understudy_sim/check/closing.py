"""The law of how a half-open breaker closes."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar, Final

from understudy_actors.domain.events import BreakerCounted, BreakerMoved, PermitTaken
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch, Witness

_HALF_OPEN: Final = "half-open"
_CLOSED: Final = "closed"
_OK: Final = "ok"


class Closing(Watch):
    """Probes that say nothing prove nothing."""

    name = "R3"
    claim = "a half-open breaker closes after as many successful probes as configured, no others"
    learned: ClassVar[bool] = True

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._proofs = Counter[str]()
        self._half_open: set[str] = set()
        self._due: dict[str, Witness] = {}
        self.hears = {
            BreakerMoved: self._on_moved,
            BreakerCounted: self._on_counted,
            PermitTaken: self._on_taken,
        }

    def _on_counted(self, seq: int, event: BreakerCounted) -> Violation | None:
        scope, found = event.scope, self._overdue(event.scope, (seq, event))
        self._proofs[scope] += event.verdict == _OK
        enough = self._proofs[scope] >= self.rules.breaker_of(scope).close_after
        if enough and scope in self._half_open:
            self._due[scope] = seq, event
        return found

    def _on_taken(self, seq: int, event: PermitTaken) -> Violation | None:
        return self._overdue(event.scope, (seq, event)) if self._due else None

    def _overdue(self, scope: str, here: Witness) -> Violation | None:
        """The move follows in the same turn; whatever comes first shows that there is none."""
        due = self._due.pop(scope, None) if self._due else None
        if due is None:
            return None
        said = f"{scope} is half-open after {self._proofs[scope]} successful probes"
        return self.broken("too late", said, due, here)

    def _on_moved(self, seq: int, event: BreakerMoved) -> Violation | None:
        self._due.pop(event.scope, None)
        if event.target == _HALF_OPEN:
            self._half_open.add(event.scope)
        else:
            self._half_open.discard(event.scope)
        if event.source == event.target:
            return None  # restored: what was proven stays so
        proofs, self._proofs[event.scope] = self._proofs[event.scope], 0
        wanted = self.rules.breaker_of(event.scope).close_after
        by_hand = event.why in ("reset", "enabled")
        if event.source != _HALF_OPEN or event.target != _CLOSED or by_hand or proofs >= wanted:
            return None
        said = f"{event.scope} closed after {proofs} successful probes instead of {wanted}"
        return self.broken("too early", said, (seq, event))
