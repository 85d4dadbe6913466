"""Laws of streamed answers: who may speak after whom, and that every byte is right."""

from __future__ import annotations

import attrs

from understudy_actors.domain.cache_events import CacheHit, CacheStored
from understudy_actors.domain.events import (
    AttemptAdmitted,
    AttemptDispatched,
    AttemptEnded,
    RequestOutcome,
)
from understudy_actors.domain.outcome import Verdict
from understudy_actors.domain.stream_events import AttemptCommitted, StreamRescue
from understudy_sim.check.requests import RECENT
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch, Witness
from understudy_sim.world_events import Delivered, Produced

_OK = Verdict.OK.value


@attrs.define(slots=True, eq=False)
class _Answer:
    """A streamed answer: who speaks and since when, and whether somebody else may go on with it.

    `dispatched` is an attempt after a failure that has not (yet) said that it goes on with what was
    delivered; `done` says that one which did has come to a good end.
    """

    commit: Witness
    attempt: int
    chars: int
    ended: Witness | None = None
    dispatched: Witness | None = None
    done: bool = False


class OneVoice(Watch):
    """S17 for streams."""

    name = "S17"
    claim = (
        "once a piece of an answer was delivered, nobody else is asked before that attempt failed, "
        "and then only to go on with what was delivered"
    )

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._answers: dict[str, _Answer] = {}
        self.hears = {
            AttemptAdmitted: self._admitted,
            AttemptDispatched: self._dispatched,
            AttemptEnded: self._attempt_ended,
            AttemptCommitted: self._committed,
            StreamRescue: self._rescue,
            RequestOutcome: self._outcome,
        }

    def _admitted(self, seq: int, event: AttemptAdmitted) -> Violation | None:
        answer = self._answers.get(event.request)
        if answer is None or answer.ended is not None:
            return None
        said = f"{event.request} asked {event.endpoint} while another one was being delivered"
        return self.broken("admitted", said, answer.commit, (seq, event))

    def _dispatched(self, seq: int, event: AttemptDispatched) -> None:
        answer = self._answers.get(event.request)
        if answer is not None:
            answer.dispatched = seq, event

    def _rescue(self, seq: int, event: StreamRescue) -> Violation | None:
        answer = self._answers.get(event.request)
        if answer is None or event.delivered_chars < answer.chars:
            said = f"{event.endpoint} goes on with more of {event.request} than was delivered"
            if answer is not None:
                said = f"{event.endpoint} forgets what was delivered of {event.request}"
            commit = answer.commit if answer is not None else None
            return self.broken("rescue", said, commit, (seq, event))
        answer.chars, answer.dispatched = event.delivered_chars, None
        return None

    def _attempt_ended(self, seq: int, event: AttemptEnded) -> Violation | None:
        answer = self._answers.get(event.request)
        if answer is None:
            return None
        if event.attempt == answer.attempt:
            if event.verdict != _OK:
                answer.ended = seq, event
            return None
        if event.verdict != _OK:
            return None
        answer.done = True
        if answer.dispatched is None:
            return None
        said = f"{event.endpoint} answered {event.request} anew after a part had been delivered"
        return self.broken("anew", said, answer.commit, answer.dispatched, (seq, event))

    def _committed(self, seq: int, event: AttemptCommitted) -> Violation | None:
        before = self._answers.get(event.request)
        self._answers[event.request] = _Answer((seq, event), event.attempt, event.delivered_chars)
        if before is None:
            return None
        if before.ended is None:
            said = f"two attempts of {event.request} are delivered at once"
            return self.broken("two", said, before.commit, (seq, event))
        if before.dispatched is not None:
            said = f"{event.endpoint} is delivered as if nothing of {event.request} had been"
            return self.broken("anew", said, before.commit, before.dispatched, (seq, event))
        return None

    def _outcome(self, seq: int, event: RequestOutcome) -> Violation | None:
        answer = self._answers.pop(event.request, None)
        if answer is None or event.status != "ok" or answer.ended is None:
            return None
        if answer.done:
            return None
        said = f"{event.request} counts as answered, but its stream broke off"
        return self.broken("cut", said, answer.commit, answer.ended, (seq, event))


class Exact(Watch):
    """S33, from what providers made up and what clients got: only a simulation knows both."""

    name = "S33"
    claim = (
        "a delivered text is the beginning of what one provider said, or of what several said who "
        "each went on exactly where the text stood; a stream that ended well has all of it"
    )

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._said: dict[str, list[tuple[str, str, Witness]]] = {}
        self._answers: dict[str, str] = {}  # of requests, as long as they are delivered
        self._texts: dict[str, int] = {}
        self._stood_in: set[str] = set()  # requests that were given what is configured for then
        self.hears = {
            Produced: self._produced,
            RequestOutcome: self._ended,
            CacheStored: self._known,
            CacheHit: self._known,
            Delivered: self._delivered,
        }

    def _produced(self, seq: int, event: Produced) -> None:
        own = self._said.setdefault(event.request_id, [])
        own.append((event.given, event.given + event.text, (seq, event)))

    def _ended(self, _seq: int, event: RequestOutcome) -> None:
        if event.status == "degraded":
            self._stood_in.add(event.request)

    def _delivered(self, seq: int, event: Delivered) -> Violation | None:
        said = self._said.pop(event.request_id, [])
        stood_in = event.request_id in self._stood_in
        self._stood_in.discard(event.request_id)
        answer = self._answers.pop(event.request_id, None)
        if answer is not None and event.whole:
            other = self._other(seq, event, answer)
            if event.cached or other is not None:
                return other
        if event.degraded or stood_in or not (event.text or event.whole):
            return None
        wholes: list[str] = []
        for given, whole, _ in said:
            if not given or any(each.startswith(given) for each in wholes):
                wholes.append(whole)
        witness = (*(each for _, _, each in said), (seq, event))
        if event.whole and event.text not in wholes:
            told = f"{event.request_id} was told that its answer is whole, and it is not"
            return self.broken("not whole", told, *witness)
        if not any(each.startswith(event.text) for each in wholes):
            told = f"{event.request_id} was delivered what no provider said"
            return self.broken("not exact", told, *witness)
        return None

    def _known(self, seq: int, event: CacheStored | CacheHit) -> None:  # noqa: ARG002
        self._answers[event.request] = event.answer
        if len(self._answers) > RECENT:  # most are no streams, and are never delivered
            del self._answers[next(iter(self._answers))]

    def _other(self, seq: int, event: Delivered, answer: str) -> Violation | None:
        """An answer that was kept has one text, however often it is played."""
        text = hash(event.text)
        if self._texts.setdefault(answer, text) == text:
            return None
        told = f"{event.request_id} was delivered another text than others of the same answer"
        return self.broken("played", told, (seq, event))
