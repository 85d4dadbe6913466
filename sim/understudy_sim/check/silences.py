"""Silence towards everybody, worked out again from the attempts that nobody answered."""

from __future__ import annotations

import math
from collections import deque
from typing import ClassVar, Final

import attrs

from understudy_actors.domain.events import ActorCrashed, AttemptEnded, BreakerMoved, Event
from understudy_actors.domain.hedge_events import HedgeLaunched
from understudy_actors.domain.stream_events import AttemptCommitted
from understudy_sim.check.gates import ACTOR
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Violation, Watch

_UNANSWERED: Final = frozenset({"silent", "cancelled"})
_PATIENCE_S: Final = 10.0
_FACTOR: Final = 4.0
_SAMPLES: Final = 64
_ROUNDING_S: Final = 0.01


@attrs.define(eq=False, slots=True)
class _Heard:
    """What an endpoint has been heard of: how long answers take, and for how long none came."""

    latencies: deque[float] = attrs.Factory(lambda: deque(maxlen=_SAMPLES))
    answered_at: float = -math.inf
    until: float = -math.inf
    unanswered_s: float = 0.0

    @property
    def median_s(self) -> float:
        ordered = sorted(self.latencies)
        return ordered[math.ceil(0.5 * len(ordered)) - 1]

    def left(self, now: float, waited_s: float) -> float:
        """Somebody leaves unanswered; returns for how long nobody was answered, waits that overlap
        counted once."""
        if self.until <= self.answered_at:
            total_s = min(waited_s, now - self.answered_at)
        else:
            total_s = self.unanswered_s + min(waited_s, now - self.until)
        self.unanswered_s, self.until = max(0.0, total_s), now
        return self.unanswered_s


class Silences(Watch):
    """Told of whole answers only, of endpoints whose actor never crashed, and without copies."""

    name = "R9"
    claim = "silence that lasts long enough counts, even if nobody who met it stayed for all of it"
    learned: ClassVar[bool] = True

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._heard: dict[str, _Heard] = {}
        self._blind: set[str] = set()
        self._partly = False
        self.hears = {
            AttemptEnded: self._on_ended,
            AttemptCommitted: self._on_part,
            HedgeLaunched: self._on_part,
            ActorCrashed: self._on_crash,
            BreakerMoved: self._on_moved,
        }

    def _on_part(self, seq: int, event: Event) -> None:  # noqa: ARG002
        self._partly = True

    def _on_crash(self, seq: int, event: ActorCrashed) -> None:  # noqa: ARG002
        self._blind.add(event.actor.removeprefix(ACTOR))

    def _on_moved(self, seq: int, event: BreakerMoved) -> None:  # noqa: ARG002
        if event.why == "reset":
            self._blind.add(provider_of(event.scope))

    def _on_ended(self, seq: int, event: AttemptEnded) -> Violation | None:
        heard = self._heard.setdefault(event.endpoint, _Heard())
        if event.error not in _UNANSWERED:
            heard.answered_at = event.at_s
            if event.error is None:
                heard.latencies.append(event.elapsed_s)
            return None
        if not heard.latencies or event.elapsed_s < (usual_s := heard.median_s):
            return None
        silent_s = heard.left(event.at_s, event.elapsed_s)
        enough_s = max(_PATIENCE_S, _FACTOR * usual_s) + _ROUNDING_S
        known = not self._partly and provider_of(event.endpoint) not in self._blind
        if event.error != "silent" or event.verdict != "neutral" or silent_s < enough_s:
            return None
        if not known:
            return None
        said = f"{event.endpoint} has answered nobody for {silent_s:.3f} s, and is not blamed"
        return self.broken("spared", said, (seq, event))
