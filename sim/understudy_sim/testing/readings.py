"""What providers said and what the engine made of it: adapters, held against the world's truth."""

from __future__ import annotations

from typing import Final

from understudy_actors.domain.events import AttemptDispatched, AttemptEnded, RequestOutcome
from understudy_sim.check import Rules, Violation, Watch
from understudy_sim.check.rules import DEFAULT, provider_of
from understudy_sim.world_events import FaultBegan, Served

_MEANINGS: Final = {
    401: {"auth"},
    402: {"quota"},
    403: {"permission"},
    404: {"model_not_found", "bad_request"},
    408: {"timeout"},
    409: {"conflict"},
    429: {"rate_limit", "quota", "overloaded"},
    500: {"server"},
    502: {"server"},
    503: {"server", "overloaded"},
    504: {"timeout"},
    529: {"overloaded"},
}
"""What a refusal with this status may be read as; the body decides between them."""
_HINTED: Final = frozenset({429, 503, 529})
_MOST_S: Final = 86_400.0
_GRAIN_S: Final = 2.0  # dates are whole seconds, and time goes on while an answer travels


class Readings(Watch):
    """A clock that jumps makes dates mean something else: then only their presence is judged."""

    name = "R7"
    claim = "what a provider answered is what the attempt is told to have ended with"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._served: dict[tuple[str, str], tuple[int, Served]] = {}
        self._jumps = False
        self.hears = {
            Served: self._on_served,
            FaultBegan: self._on_fault,
            AttemptDispatched: self._on_dispatched,
            AttemptEnded: self._on_ended,
            RequestOutcome: self._on_outcome,
        }

    def _on_fault(self, seq: int, event: FaultBegan) -> None:  # noqa: ARG002
        self._jumps = self._jumps or event.fault_kind == "clock_jump"

    def _on_served(self, seq: int, event: Served) -> None:
        self._served[event.request_id, event.provider] = seq, event

    def _on_dispatched(self, seq: int, event: AttemptDispatched) -> None:  # noqa: ARG002
        self._served.pop((event.request, provider_of(event.endpoint)), None)

    def _on_outcome(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        for key in [key for key in self._served if key[0] == event.request]:
            del self._served[key]

    def _on_ended(self, seq: int, event: AttemptEnded) -> Violation | None:
        answer = self._served.get((event.request, provider_of(event.endpoint)))
        if answer is None:
            return None
        here, said = (seq, event), answer[1]
        if event.error == "connect":
            what = f"{event.endpoint} read attempt {event.attempt}, which is told as never sent"
            return self.broken("sent", what, answer, here)
        if event.error is None and said.spoiled:
            what = f"{event.endpoint} gave a broken answer, and attempt {event.attempt} succeeded"
            return self.broken("broken", what, answer, here)
        if said.status is None or event.status != said.status:
            return None
        if event.error not in _MEANINGS.get(said.status, {event.error}):
            what = f"{event.endpoint} answered {said.status}, which was read as {event.error}"
            return self.broken(f"status/{said.status}", what, answer, here)
        return self._delay(answer, here)

    def _delay(
        self, answer: tuple[int, Served], here: tuple[int, AttemptEnded]
    ) -> Violation | None:
        stated_s, read_s = answer[1].retry_after_s, here[1].retry_after_s
        if answer[1].status not in _HINTED or stated_s is None:
            return None
        waited_s = here[1].at_s - answer[1].at_s
        wanted_s = min(_MOST_S, max(0.0, stated_s))
        if read_s is not None:
            early = read_s < min(_MOST_S, max(0.0, stated_s - waited_s)) - _GRAIN_S
            if self._jumps or not (early or read_s > wanted_s + _GRAIN_S):
                return None
        what = f"{here[1].endpoint} asked to wait {stated_s:g} s, which was read as {read_s}"
        return self.broken("delay", what, answer, here)
